"""Each process of the native driver dies, or the machine restarts: the task is never doubled and never stuck (D1, D4).

Real processes, because what is tested is the kernel's answer to their death.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import pwd
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from runtimes.errors import InvalidTask, RuntimeUnavailable, StartFailed, TaskNotFound
from runtimes.native import plan, processes
from runtimes.native.driver import NativeDriver
from runtimes.native.task_folder import TaskFolder
from runtimes.settings import NativeSettings
from runtimes.types import ExitResult, Limits, LogPaths, TaskId, TaskSpec, TaskState
from tests.support.wait import async_wait_until

ID = TaskId("j-1-job-0", "1")


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[NativeDriver]:
    """Without control groups, so that the way without them is tested on every machine."""
    made = NativeDriver(NativeSettings(tmp_path / "state", cgroup_root="no/such/parent"))
    yield made
    await made.destroy(ID)
    await made.close()


@pytest.fixture
def folder(tmp_path: Path) -> TaskFolder:
    return TaskFolder(tmp_path / "state", ID.name)


def a_spec(tmp_path: Path, script: str, **changes: Any) -> TaskSpec:
    job = tmp_path / "job"
    job.mkdir(exist_ok=True)
    spec = TaskSpec(
        id=ID,
        labels={},
        argv=("sh", "-c", script),
        environment={},
        job_folder=job,
        logs=LogPaths(job / "out", job / "err"),
        limits=Limits(cpu_milli=1000, memory_bytes=10**8),
        hostname="node-0",
    )
    return dataclasses.replace(spec, **changes)


async def _printed(spec: TaskSpec, text: str) -> None:
    async def look() -> bool:
        return text in spec.logs.stdout.read_text()

    await async_wait_until(look, f"{text!r} in the log")


async def test_a_claimed_folder_whose_starter_died_before_the_launch_is_launched_by_the_next(
    driver: NativeDriver, folder: TaskFolder, tmp_path: Path
) -> None:
    spec = a_spec(tmp_path, "echo ran; exit 3")
    folder.create(plan.describe(spec, (), folder.folder / "etc", {}, 0.0), {})
    with pytest.raises(TaskNotFound):
        await driver.recover(ID)
    assert (await driver.wait(await driver.start(spec))).code == 3
    assert spec.logs.stdout.read_text() == "ran\n"


async def test_the_launchers_death_touches_no_task_and_the_next_start_gets_a_new_one(
    driver: NativeDriver, tmp_path: Path
) -> None:
    spec = a_spec(tmp_path, "echo ready; read line < go; exit 5")
    os.mkfifo(spec.job_folder / "go")
    handle = await driver.start(spec)
    await _printed(spec, "ready")
    first = (await driver._launcher.request([]))["pid"]
    os.kill(first, signal.SIGKILL)
    await processes.wait_until_gone(processes.ProcessId(first, processes.start_of(first) or 0))
    assert (await driver.inspect(handle)).state == TaskState.RUNNING
    assert (await driver.capabilities()).available
    assert (await driver._launcher.request([]))["pid"] != first
    (spec.job_folder / "go").write_text("\n")
    assert (await driver.wait(handle)).code == 5


async def test_the_waiter_is_deaf_to_what_stops_services(
    driver: NativeDriver, folder: TaskFolder, tmp_path: Path
) -> None:
    spec = a_spec(tmp_path, "echo ready; read line < go; exit 6")
    os.mkfifo(spec.job_folder / "go")
    handle = await driver.start(spec)
    await _printed(spec, "ready")
    started = folder.started()
    assert started is not None
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        os.kill(started.waiter.pid, number)
    (spec.job_folder / "go").write_text("\n")
    assert (await driver.wait(handle)).code == 6


async def test_after_a_restart_of_the_machine_a_task_has_ended_with_unknown_status(
    driver: NativeDriver, folder: TaskFolder, tmp_path: Path
) -> None:
    """Also when its process ids belong to others by now: to this test, for example."""
    spec = a_spec(tmp_path, "echo ran")
    await driver.wait(await driver.start(spec))
    _change(folder, "started.json", boot="an-earlier-boot", waiter=_me(), launcher=_me(), workload=_me())
    (folder.folder / "exit.json").unlink()
    handle = await driver.recover(ID)
    assert await driver.wait(handle) == ExitResult()
    assert (await driver.inspect(handle)).state == TaskState.ENDED
    await driver.stop(handle, 0)
    await driver.start(spec)
    assert spec.logs.stdout.read_text() == "ran\n"


async def test_a_process_id_that_was_given_to_somebody_else_is_not_taken_for_the_task(
    driver: NativeDriver, folder: TaskFolder, tmp_path: Path
) -> None:
    """Otherwise this test would be waited for, and killed."""
    await driver.wait(await driver.start(a_spec(tmp_path, "exit 0")))
    pid, start = _me()
    _change(folder, "started.json", waiter=[pid, start - 1], launcher=[pid, start - 1], workload=[pid, start - 1])
    (folder.folder / "exit.json").unlink()
    handle = await driver.recover(ID)
    assert await driver.wait(handle) == ExitResult()
    await driver.stop(handle, 0)
    await driver.destroy(ID)


async def test_a_task_that_is_destroyed_while_its_waiter_is_on_the_way_is_not_started(
    tmp_path: Path, folder: TaskFolder, driver: NativeDriver
) -> None:
    """The waiter was forked with a folder that has been thrown away since."""
    spec = a_spec(tmp_path, "echo ran")
    folder.create(plan.describe(spec, (), folder.folder / "etc", {}, 0.0), {})
    opened = _opened(folder, spec)
    (folder.folder / "task.json").unlink()
    answer = await driver._launcher.request(opened)
    for file in opened:
        os.close(file)
    assert answer["outcome"] == "gone"
    assert spec.logs.stdout.read_text() == ""


async def test_a_launch_that_is_asked_for_twice_runs_once(
    driver: NativeDriver, folder: TaskFolder, tmp_path: Path
) -> None:
    """REC-3: the answer to the first was lost, and the task has ended meanwhile."""
    spec = a_spec(tmp_path, "echo ran")
    await driver.wait(await driver.start(spec))
    await async_wait_until(lambda: asyncio.to_thread(lambda: not folder.is_locked()), "the waiter to leave")
    opened = _opened(folder, spec)
    answer = await driver._launcher.request(opened)
    for file in opened:
        os.close(file)
    assert answer["outcome"] == "again"
    assert spec.logs.stdout.read_text() == "ran\n"


async def test_a_start_that_fails_leaves_nothing(
    driver: NativeDriver, folder: TaskFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A control group that vanished between its making and the joining of it."""
    monkeypatch.setattr(driver._limits, "folders", lambda _: (tmp_path / "vanished",))
    with pytest.raises(StartFailed, match="could not be started"):
        await driver.start(a_spec(tmp_path, "echo ran"))
    assert [path.name for path in folder.state_dir.iterdir()] == ["launcher.log"]
    assert (tmp_path / "job" / "out").read_text() == ""


async def test_a_symbolic_link_in_the_place_of_a_log_is_refused(driver: NativeDriver, tmp_path: Path) -> None:
    """LOG-18."""
    spec = a_spec(tmp_path, "echo ran")
    (tmp_path / "precious").write_text("precious")
    spec.logs.stdout.symlink_to(tmp_path / "precious")
    with pytest.raises(InvalidTask):
        await driver.start(spec)
    assert (tmp_path / "precious").read_text() == "precious"


async def test_a_private_log_is_shown_in_the_job_folder(driver: NativeDriver, tmp_path: Path) -> None:
    """LOG-16: deleting what is shown loses nothing."""
    private = tmp_path / "private"
    private.mkdir()
    spec = a_spec(tmp_path, "echo one", logs=LogPaths(private / "stdout-0.log", private / "stderr-0.log"))
    await driver.wait(await driver.start(spec))
    shown = spec.job_folder / "stdout-0.log"
    assert shown.read_text() == "one\n"
    shown.unlink()
    assert spec.logs.stdout.read_text() == "one\n"


async def test_a_state_folder_that_cannot_be_used_is_told_and_not_raised(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    driver = NativeDriver(NativeSettings(tmp_path / "state"))
    capabilities = await driver.capabilities()
    assert not capabilities.available
    assert "state" in capabilities.reason
    with pytest.raises(RuntimeUnavailable):
        await driver.start(a_spec(tmp_path, "exit 0"))
    await driver.close()


async def test_a_machine_without_hard_limits_is_refused_only_if_they_are_required(
    driver: NativeDriver, tmp_path: Path
) -> None:
    assert (await driver.capabilities()).details["limits"].startswith("none")
    strict = NativeDriver(NativeSettings(tmp_path / "state", cgroup_root="no/such/parent", require_cgroup=True))
    capabilities = await strict.capabilities()
    assert not capabilities.available
    assert "limited" in capabilities.reason
    await strict.close()


async def test_usage_without_control_groups_sums_over_the_processes(driver: NativeDriver, tmp_path: Path) -> None:
    spec = a_spec(tmp_path, "sleep 1000 & echo ready; wait")
    handle = await driver.start(spec)
    await _printed(spec, "ready")
    usage = await driver.usage(handle)
    assert usage.memory_bytes > 0
    assert usage.processes >= 2


LAUNCH_WITHOUT_A_READER = """
import os, sys
from runtimes.native import launcher
from runtimes.native.order import Order
from runtimes.native.small import identity
launcher.signal.signal(launcher.signal.SIGPIPE, launcher.signal.SIG_IGN)
reader, writer = os.pipe()
os.close(reader)
order = Order([int(number) for number in sys.argv[1:]])
order.read("run", [])
launcher.become(order, writer, launcher.wait_on_task, order, writer, identity(os.getpid()))
"""


async def test_a_launch_whose_launcher_died_before_the_report_is_a_good_launch(
    driver: NativeDriver, folder: TaskFolder, tmp_path: Path
) -> None:
    """What was started is not killed by a report that nobody reads."""
    spec = a_spec(tmp_path, "echo ran; exit 7")
    folder.create(plan.describe(spec, (), folder.folder / "etc", {"PATH": plan.SEARCH_PATH}, 0.0), {})
    opened = _opened(folder, spec)
    waiter = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", LAUNCH_WITHOUT_A_READER, *map(str, opened)),
        pass_fds=opened,
        cwd=Path(__file__).parents[4],
    )
    for file in opened:
        os.close(file)
    await waiter.wait()
    assert (await driver.wait(await driver.recover(ID))).code == 7
    assert spec.logs.stdout.read_text() == "ran\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has groups to give")
async def test_a_process_of_another_user_has_none_of_our_groups(tmp_path: Path) -> None:
    """ENV-28. The launcher inherits what we are in; the process must not."""
    ours = os.getgroups()
    os.setgroups([4, 6])
    try:
        driver = NativeDriver(NativeSettings(tmp_path / "state", cgroup_root="no/such/parent"))
        spec = a_spec(tmp_path, "cat /proc/self/status", user=(11042, 11042))
        await driver.wait(await driver.start(spec))
        await driver.destroy(ID)
        await driver.close()
    finally:
        os.setgroups(ours)
    status = dict(line.split(":", 1) for line in spec.logs.stdout.read_text().splitlines())
    assert status["Groups"].split() == []
    assert status["Uid"].split() == status["Gid"].split() == ["11042"] * 4


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can switch to another user")
async def test_a_process_of_another_user_is_his_alone_and_so_are_its_logs(driver: NativeDriver, tmp_path: Path) -> None:
    """ENV-28, LOG-15: no groups of ours stay, and the files of the task are his to read but not to change."""
    script = 'id -u; id -G; cat "$UCLOUD_CONFIG_DIR/rank.txt"; echo x > "$UCLOUD_CONFIG_DIR/rank.txt" || echo refused'
    for parent in (tmp_path, *tmp_path.parents):
        if parent.is_relative_to("/tmp") and parent != Path("/tmp"):
            parent.chmod(0o755)
    spec = a_spec(tmp_path, script, user=(11042, 11042), files={"rank.txt": b"0\n"})
    await driver.wait(await driver.start(spec))
    assert spec.logs.stdout.read_text() == "11042\n11042\n0\nrefused\n"
    assert (spec.logs.stdout.stat().st_uid, spec.logs.stdout.stat().st_gid) == (11042, 11042)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can switch to another user")
async def test_a_process_with_an_account_of_its_own_is_in_its_groups(driver: NativeDriver, tmp_path: Path) -> None:
    """ENV-28: project folders are often open to a group only."""
    account = max(pwd.getpwall(), key=lambda one: (len(os.getgrouplist(one.pw_name, one.pw_gid)), one.pw_uid))
    wanted = os.getgrouplist(account.pw_name, account.pw_gid)
    spec = a_spec(tmp_path, "id -un; id -G", user=(account.pw_uid, account.pw_gid), login=account.pw_name)
    await driver.wait(await driver.start(spec))
    name, groups = spec.logs.stdout.read_text().splitlines()
    assert name == account.pw_name
    assert {int(group) for group in groups.split()} == set(wanted)


@pytest.mark.parametrize("user", [(11042, 11042), (1, 1)])
async def test_an_account_that_this_machine_does_not_have_is_refused(
    driver: NativeDriver, tmp_path: Path, user: tuple[int, int]
) -> None:
    """ENV-28: the same name may be another person here."""
    with pytest.raises(InvalidTask, match="this machine has no account"):
        await driver.start(a_spec(tmp_path, "true", user=user, login="somebody" if user[0] == 1 else "root"))
    with pytest.raises(TaskNotFound):
        await driver.recover(ID)


async def test_the_launcher_ends_when_its_driver_does(tmp_path: Path) -> None:
    """A driver's process that is killed closes its end of the socket, and so does `close`."""
    driver = NativeDriver(NativeSettings(tmp_path / "state"))
    pid = (await driver._launcher.request([]))["pid"]
    start = processes.start_of(pid)
    assert start is not None
    await driver.close()
    await processes.wait_until_gone(processes.ProcessId(pid, start))


def _opened(folder: TaskFolder, spec: TaskSpec) -> list[int]:
    """What a launch takes: state folder, logs, job folder."""
    logs = [os.open(path, os.O_CREAT | os.O_WRONLY, 0o600) for path in (spec.logs.stdout, spec.logs.stderr)]
    state, job = (os.open(path, os.O_RDONLY) for path in (folder.folder, spec.job_folder))
    return [state, *logs, job]


def _me() -> list[int]:
    return [os.getpid(), processes.start_of(os.getpid()) or 0]


def _change(folder: TaskFolder, name: str, **changes: Any) -> None:
    path = folder.folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
