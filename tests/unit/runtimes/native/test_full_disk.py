"""A process whose state finds no room on the disk is not started, and leaves nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtimes.errors import StartFailed
from runtimes.native.driver import NativeDriver
from runtimes.settings import NativeSettings
from tests.support.small_disk import full, mounted
from tests.unit.runtimes.native.test_faults import ID, a_spec


async def test_without_room_nothing_is_started_and_another_try_may_succeed(tmp_path: Path) -> None:
    """SCH-11: told without paths; another machine may have room."""
    with mounted(tmp_path / "state") as state:
        driver = NativeDriver(NativeSettings(state, cgroup_root="no/such/parent"))
        spec = a_spec(tmp_path, "touch started; exit 3")
        before = set(state.rglob("*"))
        with full(state), pytest.raises(StartFailed, match=r"^The disk of the machine is full\.$") as refused:
            await driver.start(spec)
        assert refused.value.retryable
        assert not (spec.job_folder / "started").exists()
        assert {path for path in state.rglob("*") if "launcher" not in path.name} <= before
        handle = await driver.start(spec)
        assert (await driver.wait(handle)).code == 3
        await driver.destroy(ID)
        await driver.close()
