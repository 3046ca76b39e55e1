"""Whoever started a task is killed with SIGKILL: the task neither ends nor doubles, and its real end is told (D1)."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import sys
from pathlib import Path

import pytest

from runtimes.driver import Driver
from runtimes.errors import TaskNotFound
from runtimes.types import TaskSpec, TaskState
from tests.contract.driver.kits import DriverKit
from tests.contract.driver.programs import Program
from tests.contract.driver.waiting import appears, has_printed, stdout

ROOT = Path(__file__).parents[3]


async def test_a_running_task_survives_its_starter(driver_kit: DriverKit, driver: Driver) -> None:
    """REC-2, REC-3."""
    spec = driver_kit.make_spec(Program(out="ready", seconds=None, says_goodbye="bye", exit=21))
    starter = await _start_elsewhere(driver_kit, spec)
    await has_printed(spec, "ready")
    await _kill(starter)
    handle = await driver.recover(spec.id)
    assert (await driver.inspect(handle)).state == TaskState.RUNNING
    assert await driver.start(spec) == handle
    await driver.stop(handle, 60)
    assert (await driver.wait(handle)).code == 21
    assert stdout(spec) == "ready\nbye\n"


async def test_the_exit_of_a_task_that_ended_while_nobody_looked_is_found(
    real_kit: DriverKit, real_driver: Driver
) -> None:
    """REC-2. The task ends when a file appears, which is after its starter was killed."""
    script = "echo ready; until [ -e go ]; do sleep 0.02; done; echo done > ended; exit 22"
    spec = real_kit.make_spec(("sh", "-c", script))
    starter = await _start_elsewhere(real_kit, spec)
    await has_printed(spec, "ready")
    await _kill(starter)
    (spec.job_folder / "go").touch()
    await appears(spec.job_folder / "ended")
    result = await real_driver.wait(await real_driver.recover(spec.id))
    assert result.code == 22
    assert result.finished_at is not None
    assert stdout(spec) == "ready\n"


@pytest.mark.parametrize("after_milliseconds", [5, 20, 60, 150])
async def test_a_starter_killed_at_any_moment_leaves_a_task_that_runs_once(
    driver_kit: DriverKit, driver: Driver, after_milliseconds: int
) -> None:
    """REC-3: before, while or after it started the task, a second start sets it right."""
    spec = driver_kit.make_spec(Program(out="started", seconds=0.05, exit=23))
    starter = await _run_starter(driver_kit, spec)
    await _first_trace(driver_kit)
    await asyncio.sleep(after_milliseconds / 1000)
    await _kill(starter)
    assert (await driver.wait(await driver.start(spec))).code == 23
    assert stdout(spec) == "started\n"
    await driver.destroy(spec.id)
    assert await driver_kit.leftovers() == []
    with pytest.raises(TaskNotFound):
        await driver.recover(spec.id)


async def _first_trace(kit: DriverKit) -> None:
    """Until the starter has got as far as touching anything, there is nothing to interrupt."""
    await appears(kit.folder / kit.name)


async def _start_elsewhere(kit: DriverKit, spec: TaskSpec) -> asyncio.subprocess.Process:
    starter = await _run_starter(kit, spec)
    assert starter.stdout is not None
    assert await starter.stdout.readline() == b"started\n"
    return starter


async def _run_starter(kit: DriverKit, spec: TaskSpec) -> asyncio.subprocess.Process:
    """In a process group of its own, so that a kill of the group reaches all that is ours and nothing else."""
    order = kit.folder / f"{spec.id.name}.order"
    order.write_bytes(pickle.dumps((kit.name, kit.settings, spec)))
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.contract.driver.starter", str(order)),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


async def _kill(starter: asyncio.subprocess.Process) -> None:
    os.killpg(starter.pid, signal.SIGKILL)
    assert await starter.wait() == -signal.SIGKILL
