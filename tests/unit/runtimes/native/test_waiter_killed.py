"""SIGKILL for a native task's waiter at any moment: the program ran once, its log is whole, its exit is known (D1, D4).

Real processes, because what is tested is the kernel's answer to their death.
"""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from runtimes.native import processes
from runtimes.native.driver import NativeDriver
from runtimes.native.processes import ProcessId
from runtimes.native.task_folder import TaskFolder
from runtimes.settings import NativeSettings
from runtimes.types import ExitResult, Limits, LogPaths, TaskId, TaskSpec, TaskState
from tests.support import small_disk
from tests.support.wait import async_wait_until

ID = TaskId("j-1-job-0", "1")
ROUNDS = 6


@pytest.fixture(params=["no/such/parent", f"ucloud-ray-test-{os.getpid()}"], ids=["no control group", "control group"])
async def driver(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[NativeDriver]:
    made = NativeDriver(NativeSettings(tmp_path / "state", cgroup_root=request.param))
    yield made
    await made.destroy(ID)
    await made.close()
    _remove_parents(request.param)


@pytest.fixture
def folder(tmp_path: Path) -> TaskFolder:
    return TaskFolder(tmp_path / "state", ID.name)


@pytest.fixture
def task(tmp_path: Path) -> Callable[[str], TaskSpec]:
    job = tmp_path / "job"
    job.mkdir()

    def make(script: str) -> TaskSpec:
        os.mkfifo(job / "go")
        return TaskSpec(
            id=ID,
            labels={},
            argv=("sh", "-c", script),
            environment={},
            job_folder=job,
            logs=LogPaths(job / "out", job / "err"),
            limits=Limits(cpu_milli=1000, memory_bytes=10**8),
            hostname="node-0",
        )

    return make


def _remove_parents(cgroup_root: str) -> None:
    """Which says that no task left a group in them."""
    for parent in [*Path("/sys/fs/cgroup").glob(f"*/{cgroup_root}"), *Path("/sys/fs/cgroup").glob(cgroup_root)]:
        parent.rmdir()


MakeTask = Callable[[str], TaskSpec]


async def until(condition: Callable[[], object], what: str) -> None:
    async def look() -> bool:
        return bool(condition())

    await async_wait_until(look, what)


async def _printed(spec: TaskSpec, text: str) -> None:
    await until(lambda: text in spec.logs.stdout.read_text(), f"{text!r} in the log")


async def _kill(victim: ProcessId) -> None:
    os.kill(victim.pid, signal.SIGKILL)
    await processes.wait_until_gone(victim)


async def _kill_waiter(folder: TaskFolder) -> None:
    started = folder.started()
    assert started is not None
    await _kill(started.waiter)


async def _successor(folder: TaskFolder, but: ProcessId | None = None) -> ProcessId:
    await until(lambda: folder.successor() not in (None, but), "a successor")
    found = folder.successor()
    assert found is not None
    return found


async def test_the_program_runs_on_its_log_is_whole_and_its_exit_is_known(
    driver: NativeDriver, folder: TaskFolder, task: MakeTask
) -> None:
    spec = task("echo ready; read line < go; echo more; echo mess >&2; exit 5")
    handle = await driver.start(spec)
    await _printed(spec, "ready")
    waiting = asyncio.create_task(driver.wait(handle))
    await _kill_waiter(folder)
    assert (await driver.inspect(handle)).state == TaskState.RUNNING
    assert not waiting.done()
    (spec.job_folder / "go").write_text("\n")
    result = await waiting
    assert (result.code, result.signal, result.finished_at is not None) == (5, None, True)
    assert (await driver.inspect(handle)).exit == result
    assert (spec.logs.stdout.read_text(), spec.logs.stderr.read_text()) == ("ready\nmore\n", "mess\n")


async def test_whoever_succeeds_the_waiter_may_be_killed_as_well(
    driver: NativeDriver, folder: TaskFolder, task: MakeTask
) -> None:
    spec = task("echo ready; read line < go; kill -9 $$")
    handle = await driver.start(spec)
    await _printed(spec, "ready")
    await _kill_waiter(folder)
    successor = await _successor(folder)
    for _ in range(3):
        await _kill(successor)
        successor = await _successor(folder, but=successor)
    (spec.job_folder / "go").write_text("\n")
    assert (await driver.wait(handle)).signal == signal.SIGKILL


async def test_a_waiter_killed_between_the_end_of_the_program_and_its_telling_loses_neither_exit_nor_output(
    driver: NativeDriver, folder: TaskFolder, task: MakeTask
) -> None:
    """All that was written is still in the pipe, and the process is still to be collected."""
    spec = task("echo ready; read line < go; head -c 50000 /dev/zero; exit 6")
    handle = await driver.start(spec)
    await _printed(spec, "ready")
    started = folder.started()
    assert started is not None
    os.kill(started.waiter.pid, signal.SIGSTOP)
    (spec.job_folder / "go").write_text("\n")
    await processes.wait_until_gone(started.workload)
    await _kill(started.waiter)
    assert (await driver.wait(handle)).code == 6
    assert spec.logs.stdout.stat().st_size == len("ready\n") + 50_000


async def test_a_task_can_be_stopped_and_leaves_nothing(
    driver: NativeDriver, folder: TaskFolder, task: MakeTask
) -> None:
    spec = task("trap '' TERM; sleep 1000 & echo ready; while :; do sleep 0.05; done")
    handle = await driver.start(spec)
    await _printed(spec, "ready")
    started = folder.started()
    assert started is not None
    await _kill_waiter(folder)
    await driver.stop(handle, 0.05)
    assert (await driver.wait(handle)).signal == signal.SIGKILL
    assert processes.family(started.waiter, started.workload) == []
    await driver.destroy(ID)
    assert not folder.folder.exists()


async def test_a_task_that_ends_on_request_says_how(driver: NativeDriver, folder: TaskFolder, task: MakeTask) -> None:
    spec = task("trap 'echo bye; exit 9' TERM; echo ready; while :; do sleep 0.05; done")
    handle = await driver.start(spec)
    await _printed(spec, "ready")
    await _kill_waiter(folder)
    await driver.stop(handle, 60)
    assert (await driver.wait(handle)).code == 9
    assert spec.logs.stdout.read_text() == "ready\nbye\n"


async def test_what_the_task_left_running_is_killed_at_its_end(
    driver: NativeDriver, folder: TaskFolder, task: MakeTask
) -> None:
    spec = task("sleep 1000 & echo $!; read line < go; exit 4")
    handle = await driver.start(spec)
    await _printed(spec, "\n")
    await _kill_waiter(folder)
    (spec.job_folder / "go").write_text("\n")
    assert (await driver.wait(handle)).code == 4
    assert not _runs(int(spec.logs.stdout.read_text()))


async def test_the_driver_may_be_gone_meanwhile(
    driver: NativeDriver, folder: TaskFolder, task: MakeTask, tmp_path: Path
) -> None:
    """A launcher ends with its last task, not with its driver."""
    spec = task("echo ready; read line < go; exit 8")
    first = NativeDriver(NativeSettings(tmp_path / "state", cgroup_root="no/such/parent"))
    await first.start(spec)
    await _printed(spec, "ready")
    await first.close()
    await _kill_waiter(folder)
    handle = await driver.recover(ID)
    assert (await driver.inspect(handle)).state == TaskState.RUNNING
    (spec.job_folder / "go").write_text("\n")
    assert (await driver.wait(handle)).code == 8
    started = folder.started()
    assert started is not None
    await processes.wait_until_gone(started.launcher)


@pytest.mark.parametrize("first", ["waiter", "launcher"])
async def test_without_waiter_and_launcher_the_log_is_whole_and_the_exit_is_unknown(
    driver: NativeDriver, folder: TaskFolder, task: MakeTask, first: str
) -> None:
    """Nobody is left who could know it: it is never said to be another one (D4)."""
    spec = task("echo ready; read line < go; head -c 3000000 /dev/zero; echo end; exit 5")
    handle = await driver.start(spec)
    await _printed(spec, "ready")
    started = folder.started()
    assert started is not None
    victims = [started.waiter, started.launcher]
    for victim in victims if first == "waiter" else reversed(victims):
        os.kill(victim.pid, signal.SIGKILL)
    for victim in victims:
        await processes.wait_until_gone(victim)
    if (heir := folder.successor()) is not None and processes.is_alive(heir):
        await _kill(heir)
    assert (await driver.inspect(handle)).state == TaskState.RUNNING
    waiting = asyncio.create_task(driver.wait(handle))
    (spec.job_folder / "go").write_text("\n")
    assert await waiting == ExitResult()
    assert spec.logs.stdout.stat().st_size == len("ready\nend\n") + 3_000_000


@pytest.mark.parametrize("seed", range(ROUNDS))
async def test_killed_at_any_moment_of_a_short_task(
    driver: NativeDriver, folder: TaskFolder, task: MakeTask, seed: int
) -> None:
    """Before the program starts, while it writes, and around its end. Its output is more than a pipe holds."""
    spec = task("echo run >> runs; cat data; exit 7")
    data = os.urandom(4_000_000)
    (spec.job_folder / "data").write_bytes(data)
    killer = asyncio.create_task(_kill_waiters_after(seed * 0.008, folder.state_dir))
    handle = await driver.start(spec)
    result = await driver.wait(handle)
    killer.cancel()
    with suppress(asyncio.CancelledError):
        await killer
    assert result.code == 7
    assert (spec.job_folder / "runs").read_text() == "run\n"
    assert hashlib.sha256(spec.logs.stdout.read_bytes()).digest() == hashlib.sha256(data).digest()


async def _kill_waiters_after(seconds: float, state_dir: Path) -> None:
    """Whoever holds the task's folder and is called a waiter, also one that has not even looked at it; three times."""
    for _ in range(3):
        await asyncio.sleep(seconds)
        for waiter in await asyncio.to_thread(_waiters, state_dir):
            with suppress(psutil.Error, OSError):
                if _is_waiter(waiter.pid):  # still: a child of it is on its way to its program, whose end is told
                    waiter.kill()


def _waiters(state_dir: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if _is_waiter(process.pid) and _has_open(process.pid, state_dir):
                found.append(process)
    return found


def _is_waiter(pid: int) -> bool:
    return Path(f"/proc/{pid}/comm").read_text() == "ucloud-waiter\n"


def _has_open(pid: int, folder: Path) -> bool:
    return any(os.readlink(file).startswith(str(folder)) for file in Path(f"/proc/{pid}/fd").iterdir())


async def test_what_is_missing_for_a_full_disk_is_not_forgotten(
    driver: NativeDriver, folder: TaskFolder, task: MakeTask, tmp_path: Path
) -> None:
    """LOG-17, LOG-10: it was counted by the one who was killed."""
    with small_disk.mounted(tmp_path / "tiny") as tiny:
        (tiny / "filler").write_bytes(b"x" * small_disk.SIZE)
        spec = task("head -c 3000000 /dev/zero; echo > written; read line < go; echo after")
        spec = _with_logs(spec, tiny)
        handle = await driver.start(spec)
        await until((spec.job_folder / "written").exists, "the program to have written everything")
        await _kill_waiter(folder)
        await _successor(folder)
        (tiny / "filler").unlink()
        (spec.job_folder / "go").write_text("\n")
        assert (await driver.wait(handle)).code == 0
        told = spec.logs.stdout.read_bytes()
        note, _, rest = told.lstrip(b"\n").partition(b"\n")
        missing = int(note.removeprefix(b"[").split()[0])
        assert rest.endswith(b"after\n")
        assert missing + len(rest) == 3_000_000 + len("after\n")
        await driver.destroy(ID)


def _with_logs(spec: TaskSpec, folder: Path) -> TaskSpec:
    return dataclasses.replace(spec, logs=LogPaths(folder / "out", folder / "err"))


def _runs(pid: int) -> bool:
    return processes.start_of(pid) is not None
