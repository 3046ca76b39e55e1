"""The log files hold every byte that the program wrote (LOG-15 to LOG-18)."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtimes.docker.driver import DockerDriver
from runtimes.settings import DockerSettings
from runtimes.types import LogPaths
from tests.integration.docker.conftest import MEGABYTE, MakeTask, Run
from tests.support import small_disk
from tests.support.wait import async_wait_until


async def test_bytes_that_are_no_text_arrive_unchanged(run: Run, make_task: MakeTask) -> None:
    """LOG-15: raw bytes, also without a newline at the end."""
    task = make_task("dd if=/dev/urandom bs=1k count=300 of=random 2>/dev/null; cat random; printf '\\377x' >&2")
    await run(task)
    assert task.logs.stdout.read_bytes() == (task.job_folder / "random").read_bytes()
    assert task.logs.stderr.read_bytes() == b"\xffx"


@pytest.mark.parametrize("length", [16383, 16384, 16385, 32768, 100_000])
async def test_long_lines_keep_their_newlines(run: Run, make_task: MakeTask, length: int) -> None:
    """LOG-15. Docker 20.10 forgets the newline of a line that it had to cut."""
    line = f"head -c {length} /dev/zero | tr '\\0' x; echo"
    task = make_task(f"{line}; echo short; {line}; printf end")
    await run(task)
    assert task.logs.stdout.read_bytes() == b"x" * length + b"\nshort\n" + b"x" * length + b"\nend"


async def test_the_log_is_seen_in_the_job_folder_as_the_users_own(run: Run, make_task: MakeTask) -> None:
    task = make_task("echo hello")
    await run(task)
    shown = task.job_folder / "stdout-0.log"
    assert shown.read_text() == "hello\n"
    assert (shown.stat().st_uid, shown.stat().st_gid) == task.user


async def test_copies_cut_off_again_and_again_make_one_whole_log(
    driver: DockerDriver, settings: DockerSettings, make_task: MakeTask
) -> None:
    """D9: each driver is closed in the middle of its copy, as a process that ends."""
    task = make_task("i=0; while [ $i -lt 40000 ]; do echo line $i; i=$((i+1)); done")
    first = DockerDriver(settings)
    handle = await first.start(task)
    await first.close()
    for size in range(1000, 400_000, 40_000):
        other = DockerDriver(settings)
        await other.recover(task.id)
        await _has_size(task.logs.stdout, size)
        await other.close()
    await driver.wait(handle)
    assert task.logs.stdout.read_text() == "".join(f"line {i}\n" for i in range(40_000))


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
