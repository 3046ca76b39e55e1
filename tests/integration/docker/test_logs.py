"""The log files hold every byte that the program wrote (LOG-15 to LOG-18)."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from runtimes.docker.driver import DockerDriver
from runtimes.settings import DockerSettings
from runtimes.types import LogPaths, TaskSpec
from tests.integration.docker.conftest import MEGABYTE, USER, MakeTask, Run
from tests.support import small_disk
from tests.support.wait import async_wait_until, wait_until


async def test_bytes_that_are_no_text_arrive_unchanged(run: Run, make_task: MakeTask) -> None:
    """LOG-15: raw bytes, also without a newline at the end."""
    task = make_task("dd if=/dev/urandom bs=1k count=300 of=random 2>/dev/null; cat random; printf '\\377x' >&2")
    await run(task)
    assert task.logs.stdout.read_bytes() == (task.job_folder / "random").read_bytes()
    assert task.logs.stderr.read_bytes() == b"\xffx"


async def test_the_log_is_seen_in_the_job_folder_as_the_users_own(run: Run, make_task: MakeTask) -> None:
    task = make_task("echo hello")
    await run(task)
    shown = task.job_folder / "stdout-0.log"
    assert shown.read_text() == "hello\n"
    assert (shown.stat().st_uid, shown.stat().st_gid) == task.user


async def test_who_carries_the_output_may_be_killed_again_and_again(
    driver: DockerDriver, settings: DockerSettings, make_task: MakeTask
) -> None:
    """D9: not a byte is lost or doubled. More than a pipe holds."""
    task = make_task("head -c 3000000 /dev/urandom > random; for i in 1 2 3 4 5 6 7 8; do cat random; done")
    handle = await driver.start(task)
    for size in range(1, 20_000_000, 3_000_000):
        await _has_size(task.logs.stdout, size)
        await asyncio.to_thread(_kill_pump, settings, task)
    await driver.wait(handle)
    assert task.logs.stdout.read_bytes() == (task.job_folder / "random").read_bytes() * 8
    await driver.destroy(task.id)


async def test_without_anybody_who_watches_over_it_the_next_who_looks_has_it_carried_on(
    settings: DockerSettings, driver: DockerDriver, make_task: MakeTask
) -> None:
    """D1: the driver that started it is gone, and then the launcher and the pump are killed."""
    task = make_task("echo before; until [ -e go ]; do sleep 0.02; done; head -c 500000 /dev/zero; echo after; exit 3")
    first = DockerDriver(settings)
    await first.start(task)
    await _has_size(task.logs.stdout, 1)
    await first.close()
    await asyncio.to_thread(_kill_pump, settings, task, with_launcher=True)
    handle = await driver.recover(task.id)
    (task.job_folder / "go").touch()
    assert (await driver.wait(handle)).code == 3
    assert task.logs.stdout.read_bytes() == b"before\n" + bytes(500_000) + b"after\n"
    await driver.destroy(task.id)


def _kill_pump(settings: DockerSettings, task: TaskSpec, *, with_launcher: bool = False) -> None:
    """Returns when it is gone."""
    place = str(settings.state_dir / task.id.name)
    for pump in wait_until(lambda: [found for found in psutil.process_iter() if _carries(found, place)], "a pump"):
        victims = [*([pump.parent()] if with_launcher else []), pump]
        for victim in victims:
            victim.kill()
        psutil.wait_procs(victims, timeout=30)


def _carries(process: psutil.Process, place: str) -> bool:
    with contextlib.suppress(psutil.Error, OSError):
        if process.name() == "ucloud-waiter":
            return any(os.readlink(file).startswith(place) for file in Path(f"/proc/{process.pid}/fd").iterdir())
    return False


async def test_a_program_may_open_its_output_by_name(run: Run, make_task: MakeTask) -> None:
    """As nginx does, which is told to log to /dev/stdout; not as root."""
    task = make_task("id -u; echo one > /dev/stdout; echo two >> /proc/self/fd/1; echo three > /dev/stderr")
    await run(task)
    assert task.logs.stdout.read_text() == f"{USER[0]}\none\ntwo\n"
    assert task.logs.stderr.read_text() == "three\n"


async def test_a_task_sees_its_own_pipes_only_and_cannot_take_them_away(run: Run, make_task: MakeTask) -> None:
    task = make_task("cd /.ucloud-ray; ls; rm stdout.fifo || touch file || echo refused", run_as_root=True)
    await run(task)
    assert task.logs.stdout.read_text().split() == ["busybox", "start", "stderr.fifo", "stdout.fifo", "refused"]


async def test_a_log_that_the_user_deletes_or_truncates_does_not_stop_logging(
    driver: DockerDriver, make_task: MakeTask
) -> None:
    """LOG-16."""
    task = make_task("echo one; until [ -e go ]; do sleep 0.02; done; echo two")
    handle = await driver.start(task)
    await _has_size(task.logs.stdout, 4)
    os.truncate(task.job_folder / "stdout-0.log", 0)
    (task.job_folder / "stderr-0.log").unlink()
    (task.job_folder / "go").touch()
    await driver.wait(handle)
    assert task.logs.stdout.read_text() == "two\n"
    await driver.destroy(task.id)


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    with small_disk.mounted(tmp_path / "small") as folder:
        yield folder


async def test_a_full_disk_neither_stops_the_job_nor_loses_its_output(
    driver: DockerDriver, make_task: MakeTask, tiny: Path
) -> None:
    """LOG-17: the job ends although nothing can be written; once there is room, everything is."""
    filler = tiny / "filler"
    filler.write_bytes(b"x" * (small_disk.SIZE - MEGABYTE // 2))
    script = "dd if=/dev/urandom of=random bs=1k count=800 2>/dev/null; cat random; echo > ended"
    task = make_task(script, logs=LogPaths(tiny / "out", tiny / "err"))
    handle = await driver.start(task)

    async def has_ended() -> bool:
        return (task.job_folder / "ended").exists()

    await async_wait_until(has_ended, "the program to end")
    await _has_size(tiny / "out", 1)
    assert tiny.joinpath("out").stat().st_size < 800 * 1024
    filler.unlink()
    await driver.wait(handle)
    assert _digest(tiny / "out") == _digest(task.job_folder / "random")
    await driver.destroy(task.id)


async def test_a_full_job_folder_on_another_file_system_costs_its_own_copy_only(
    driver: DockerDriver, make_task: MakeTask, tiny: Path, tmp_path: Path
) -> None:
    """LOG-15 to LOG-17: the user sees as much as has room; the private log is whole; the job noticed nothing."""
    os.chmod(tiny, 0o777)
    task = dataclasses.replace(make_task("head -c 3000000 /dev/zero; echo out >&2; exit 3"), job_folder=tiny)
    result = await driver.wait(await driver.start(task))
    assert result.code == 3
    assert task.logs.stdout.stat().st_size == 3_000_000
    assert 0 < (tiny / task.logs.stdout.name).stat().st_size <= small_disk.SIZE
    await driver.destroy(task.id)


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


async def _has_size(file: Path, size: int) -> None:
    def is_there() -> bool:
        return file.exists() and file.stat().st_size >= size

    async def look() -> bool:
        return is_there()

    await async_wait_until(look, f"{size} bytes in {file}")
