"""A process and the device files of GPUs (ENV-38): the kernel forbids those of others. Real processes and groups."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtimes.errors import InvalidTask
from runtimes.native.driver import NativeDriver
from runtimes.settings import NativeSettings
from tests.unit.runtimes.native.test_faults import ID, a_spec

DEVICES = Path("/sys/fs/cgroup/devices/devices.deny")
FULL = (1, 7)
"""/dev/full: a character device that may be opened and that nothing else here needs."""
ZERO = (1, 5)

needs_device_groups = pytest.mark.skipif(
    os.geteuid() != 0 or not DEVICES.exists(), reason="needs root and control groups of version 1 with devices"
)


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[NativeDriver]:
    """On a machine with two GPUs, which are really /dev/full and /dev/zero."""
    dev = tmp_path / "dev"
    dev.mkdir()
    for name, number in (("nvidia0", FULL), ("nvidia1", ZERO)):
        os.mknod(dev / name, 0o020666, os.makedev(*number))
        (dev / name).chmod(0o666)
    made = NativeDriver(NativeSettings(tmp_path / "state", cgroup_root="ucloud-ray-test-gpus", dev_dir=dev))
    yield made
    await made.destroy(ID)
    await made.close()
    for tree in ("cpu", "cpuacct", "memory", "pids", "devices"):
        (Path("/sys/fs/cgroup") / tree / "ucloud-ray-test-gpus").rmdir()


async def seen(driver: NativeDriver, tmp_path: Path, *mine: str) -> list[str]:
    """Variables, then for each device whether it opens."""
    dev = tmp_path / "dev"
    script = (
        'echo "$CUDA_VISIBLE_DEVICES $NVIDIA_VISIBLE_DEVICES"; '
        f"for n in 0 1; do (: < {dev}/nvidia$n) 2>/dev/null && echo open || echo forbidden; done; : < /dev/null"
    )
    spec = a_spec(tmp_path, script, gpu_count=len(mine), gpu_ids=mine, environment={"CUDA_VISIBLE_DEVICES": "0,1"})
    result = await driver.wait(await driver.start(spec))
    assert result.code == 0
    return (tmp_path / "job" / "out").read_text().split("\n")[:-1]


@needs_device_groups
async def test_a_process_opens_its_own_device_and_no_other(driver: NativeDriver, tmp_path: Path) -> None:
    assert await seen(driver, tmp_path, "1") == ["1 1", "forbidden", "open"]


@needs_device_groups
async def test_a_process_without_devices_opens_none(driver: NativeDriver, tmp_path: Path) -> None:
    assert await seen(driver, tmp_path) == ["-1 void", "forbidden", "forbidden"]


@needs_device_groups
async def test_a_process_that_has_not_what_it_was_promised_does_not_start(driver: NativeDriver, tmp_path: Path) -> None:
    await driver.capabilities()
    with pytest.raises(InvalidTask, match="promised 1 GPUs"):
        await driver.start(a_spec(tmp_path, "true", gpu_count=1))
