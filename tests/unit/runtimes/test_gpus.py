"""Which devices a task sees, said to each of the three that have to know (ENV-38, SCH-21)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from runtimes import gpus
from runtimes.errors import InvalidTask
from runtimes.types import Limits, LogPaths, TaskId, TaskSpec


def spec(*ids: str, **changes: Any) -> TaskSpec:
    fixed: dict[str, Any] = {
        "id": TaskId("j-1-job-0", "1"),
        "labels": {},
        "argv": ("true",),
        "environment": {},
        "job_folder": Path("/job"),
        "logs": LogPaths(Path("/out"), Path("/err")),
        "limits": Limits(1000, 10**9),
        "hostname": "j-1-job-0",
        "gpu_count": len(ids),
        "gpu_ids": ids,
    }
    return TaskSpec(**fixed | changes)


def test_a_process_sees_its_own_devices_by_their_numbers_on_the_machine() -> None:
    assert gpus.variables_of_process(spec("1", "3")) == {
        "CUDA_VISIBLE_DEVICES": "1,3",
        "NVIDIA_VISIBLE_DEVICES": "1,3",
        "ROCR_VISIBLE_DEVICES": "-1",
    }
    assert gpus.variables_of_process(spec("1", gpu_type="amd")) == {
        "CUDA_VISIBLE_DEVICES": "-1",
        "NVIDIA_VISIBLE_DEVICES": "void",
        "ROCR_VISIBLE_DEVICES": "1",
    }


@pytest.mark.parametrize("vendor", ["nvidia", "amd"])
def test_a_process_without_devices_sees_none(vendor: str) -> None:
    """No accident gives it all of them: an absent or empty variable would."""
    assert set(gpus.variables_of_process(spec(gpu_type=vendor)).values()) == {"-1", "void"}


def test_a_container_is_given_exactly_its_devices() -> None:
    task = spec("1", "3", runtime="nvidia")
    assert gpus.of_container(task) == {
        "Runtime": "nvidia",
        "DeviceRequests": [{"DeviceIDs": ["1", "3"], "Capabilities": [["gpu"]]}],
    }
    assert gpus.variables_of_container(task) == {"NVIDIA_VISIBLE_DEVICES": "1,3"}


def test_a_container_without_devices_is_given_none() -> None:
    assert gpus.of_container(spec()) == {}
    assert gpus.variables_of_container(spec()) == {"NVIDIA_VISIBLE_DEVICES": "void"}


def test_a_container_on_amd_devices_gets_the_files_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "dri").mkdir()
    for name in ("kfd", "dri/renderD128", "dri/renderD129"):
        (tmp_path / name).touch()
    task = spec("1", gpu_type="amd")
    assert [device["PathOnHost"] for device in gpus.of_container(task, tmp_path)["Devices"]] == [
        str(tmp_path / "kfd"),
        str(tmp_path / "dri/renderD129"),
    ]
    assert gpus.variables_of_container(task) == {"NVIDIA_VISIBLE_DEVICES": "void"}
    assert gpus.groups_of_container(task, tmp_path) == [(tmp_path / "kfd").stat().st_gid]
    with pytest.raises(InvalidTask, match="not named by its number"):
        gpus.of_container(spec("GPU-1", gpu_type="amd"), tmp_path)


@pytest.mark.parametrize("ids", [(), ("0",), ("0", "0"), ("0", "1", "2")])
def test_a_task_that_has_not_what_it_was_promised_does_not_start(ids: tuple[str, ...]) -> None:
    with pytest.raises(InvalidTask, match="promised 2 GPUs"):
        gpus.of_container(spec(*ids, gpu_count=2))


def device_files(dev: Path, *names: str) -> None:
    """All of them are /dev/null in disguise, with its number: what counts is which are chosen."""
    for number, name in enumerate(names):
        (dev / name).parent.mkdir(parents=True, exist_ok=True)
        os.mknod(dev / name, 0o020666, os.makedev(200, number))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device files")
def test_the_device_files_of_others_are_forbidden_and_of_no_one_else(tmp_path: Path) -> None:
    device_files(tmp_path, "nvidia0", "nvidia1", "nvidia10", "nvidiactl", "nvidia-uvm", "dri/renderD128", "dri/card0")
    assert gpus.forbidden(spec("1"), tmp_path) == [(200, 0), (200, 2), (200, 5)]
    assert gpus.forbidden(spec(), tmp_path) == [(200, 0), (200, 1), (200, 2), (200, 5)]
    assert gpus.forbidden(spec("0", gpu_type="amd"), tmp_path) == [(200, 0), (200, 1), (200, 2)]
    assert gpus.forbidden(spec(), tmp_path / "none") == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device files")
def test_devices_are_counted_by_their_files(tmp_path: Path) -> None:
    assert gpus.count(tmp_path) == 0
    device_files(tmp_path, "dri/renderD128")
    assert gpus.count(tmp_path) == 0, "a graphics card that cannot compute"
    device_files(tmp_path, "nvidia0", "nvidia1", "nvidiactl")
    assert gpus.count(tmp_path) == 2


def test_a_device_that_is_named_by_its_uuid_is_looked_up(tmp_path: Path) -> None:
    for folder, minor, uuid in (("0000:17:00.0", 3, "GPU-aa"), ("0000:65:00.0", 5, "GPU-bb")):
        (tmp_path / folder).mkdir()
        text = f"Model: \t\t NVIDIA\nGPU UUID: \t {uuid}\nDevice Minor: \t {minor}\n"
        (tmp_path / folder / "information").write_text(text)
    assert gpus._minors(["GPU-bb"], tmp_path) == {5}
    assert gpus._minors(["GPU-cc"], tmp_path) == set()
    assert gpus._minors(["7"], tmp_path) == {7}
