"""What a process writes is in its log files, whatever disk, user and process do (LOG-15 to LOG-18)."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from runtimes.native.driver import NativeDriver
from runtimes.native.task_folder import TaskFolder
from runtimes.output.fifos import MODEST_PIPE_BYTES
from runtimes.output.pump import NICENESS
from runtimes.settings import NativeSettings
from runtimes.types import Limits, LogPaths, TaskId, TaskSpec
from tests.support import small_disk
from tests.support.wait import async_wait_until

ID = TaskId("j-1-job-0", "1")
BIG = 3 * 1024 * 1024


@pytest.fixture
async def driver(tmp_path: Path) -> AsyncIterator[NativeDriver]:
    made = NativeDriver(NativeSettings(tmp_path / "state", cgroup_root="no/such/parent"))
    yield made
    await made.destroy(ID)
    await made.close()


@pytest.fixture
def task(tmp_path: Path) -> Callable[[str], TaskSpec]:
    for name in ("job", "logs"):
        (tmp_path / name).mkdir()

    def make(script: str) -> TaskSpec:
        return TaskSpec(
            id=ID,
            labels={},
            argv=("sh", "-c", script),
            environment={},
            job_folder=tmp_path / "job",
            logs=LogPaths(tmp_path / "logs" / "stdout-0.log", tmp_path / "logs" / "stderr-0.log"),
            limits=Limits(cpu_milli=1000, memory_bytes=10**8),
            hostname="node-0",
        )

    return make


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    with small_disk.mounted(tmp_path / "tiny") as folder:
        yield folder


MakeTask = Callable[[str], TaskSpec]


def on(folder: Path, task: TaskSpec) -> TaskSpec:
    """With its private logs there."""
    return dataclasses.replace(task, logs=LogPaths(folder / "stdout-0.log", folder / "stderr-0.log"))


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def until(condition: Callable[[], bool], what: str) -> None:
    async def look() -> bool:
        return condition()

    await async_wait_until(look, what)


def random_bytes(folder: Path, size: int) -> bytes:
    data = os.urandom(size)
    (folder / "random").write_bytes(data)
    return data


async def test_a_full_disk_under_the_private_logs_does_not_end_or_block_the_process(
    driver: NativeDriver, task: MakeTask, tiny: Path
) -> None:
    """LOG-17: every write of the program succeeds; the beginning is kept."""
    spec = on(tiny, task("set -e; cat random; echo > ended; exit 3"))
    data = random_bytes(spec.job_folder, 2 * BIG)
    result = await driver.wait(await driver.start(spec))
    assert result.code == 3
    kept = spec.logs.stdout.read_bytes()
    assert len(kept) > small_disk.SIZE // 2
    assert data.startswith(kept)


async def test_output_that_finds_room_again_goes_on_and_a_line_says_what_is_missing(
    driver: NativeDriver, task: MakeTask, tiny: Path
) -> None:
    """LOG-17, LOG-10: nothing is lost silently, and the line is where it is missing."""
    (tiny / "filler").write_bytes(b"x" * (small_disk.SIZE - 64 * 1024))
    spec = on(tiny, task("cat random; echo > written; read line < go; echo after"))
    os.mkfifo(spec.job_folder / "go")
    data = random_bytes(spec.job_folder, BIG)
    handle = await driver.start(spec)
    await until((spec.job_folder / "written").exists, "the program to have written everything")
    (tiny / "filler").unlink()
    (spec.job_folder / "go").write_text("\n")
    assert (await driver.wait(handle)).code == 0
    told = re.fullmatch(
        rb"(?s)(.*)\n\[(\d+) bytes of output are missing here: the disk was full\]\n(.*)", spec.logs.stdout.read_bytes()
    )
    assert told
    before, missing, after = told.groups()
    assert data.startswith(before)
    assert before
    assert (data + b"after\n").endswith(after)
    assert b"after\n" in after
    assert int(missing) == len(data) + len(b"after\n") - len(before) - len(after)


async def test_what_waits_for_room_is_bounded_and_whole_when_room_comes(
    driver: NativeDriver, task: MakeTask, tiny: Path
) -> None:
    """LOG-17: a short shortage loses nothing."""
    (tiny / "filler").write_bytes(b"x" * small_disk.SIZE)
    spec = on(tiny, task("cat random; echo > written; read line < go"))
    os.mkfifo(spec.job_folder / "go")
    data = random_bytes(spec.job_folder, MODEST_PIPE_BYTES // 2)
    handle = await driver.start(spec)
    await until((spec.job_folder / "written").exists, "the program to have written everything")
    (tiny / "filler").unlink()
    await until(lambda: spec.logs.stdout.stat().st_size == len(data), "the log to be whole")
    (spec.job_folder / "go").write_text("\n")
    await driver.wait(handle)
    assert digest(spec.logs.stdout.read_bytes()) == digest(data)


async def test_a_job_folder_on_another_file_system_has_the_logs_too(
    driver: NativeDriver, task: MakeTask, tiny: Path
) -> None:
    """LOG-15, LOG-16."""
    spec = dataclasses.replace(task("echo out; echo err >&2"), job_folder=tiny)
    await driver.wait(await driver.start(spec))
    for folder in (tiny, spec.logs.stdout.parent):
        assert [(folder / f"{stream}-0.log").read_text() for stream in ("stdout", "stderr")] == ["out\n", "err\n"]


async def test_a_full_job_folder_costs_its_own_copy_only(driver: NativeDriver, task: MakeTask, tiny: Path) -> None:
    """LOG-17: the private log is whole, and the process noticed nothing."""
    spec = task("cat random; exit 3")
    data = random_bytes(spec.job_folder, BIG)
    spec = dataclasses.replace(spec, job_folder=tiny, argv=("sh", "-c", f"cat {spec.job_folder}/random; exit 3"))
    assert (await driver.wait(await driver.start(spec))).code == 3
    assert digest(spec.logs.stdout.read_bytes()) == digest(data)
    assert data.startswith((tiny / "stdout-0.log").read_bytes())


async def test_a_line_of_a_hundred_megabytes_is_whole(driver: NativeDriver, task: MakeTask) -> None:
    spec = task("head -c 100000000 /dev/zero")
    await driver.wait(await driver.start(spec))
    assert spec.logs.stdout.stat().st_size == 100_000_000
    assert not spec.logs.stdout.read_bytes().strip(b"\0")


async def test_who_carries_much_output_stands_behind_everybody_else(
    driver: NativeDriver, task: MakeTask, tmp_path: Path
) -> None:
    """The limits of the loud task do not hold its waiter. A quiet one's has an end to tell in time."""
    spec = task("echo quiet; read line < go; head -c 20000000 /dev/zero; read line < go")
    os.mkfifo(spec.job_folder / "go")
    await driver.start(spec)
    started = TaskFolder(tmp_path / "state", ID.name).started()
    assert started is not None
    await until(lambda: spec.logs.stdout.stat().st_size > 0, "a line")
    assert os.getpriority(os.PRIO_PROCESS, started.waiter.pid) == 0
    (spec.job_folder / "go").write_text("\n")
    await until(lambda: spec.logs.stdout.stat().st_size > 20_000_000, "all of the output")
    await until(lambda: os.getpriority(os.PRIO_PROCESS, started.waiter.pid) == NICENESS, "the waiter to step back")
    assert os.getpriority(os.PRIO_PROCESS, started.workload.pid) == 0


async def test_a_process_that_closes_its_output_runs_on_and_ends_as_it_says(
    driver: NativeDriver, task: MakeTask
) -> None:
    spec = task("echo first; exec >&- 2>&-; echo > closed; read line < go; exit 4")
    os.mkfifo(spec.job_folder / "go")
    handle = await driver.start(spec)
    await until((spec.job_folder / "closed").exists, "the output to be closed")
    (spec.job_folder / "go").write_text("\n")
    assert (await driver.wait(handle)).code == 4
    assert spec.logs.stdout.read_text() == "first\n"


async def test_what_a_grandchild_wrote_before_the_end_is_there(driver: NativeDriver, task: MakeTask) -> None:
    """It has the pipe open when the task ends, and is killed then."""
    spec = task("(echo from below; echo > said; exec sleep 1000) & while [ ! -e said ]; do sleep 0.01; done; echo end")
    await driver.wait(await driver.start(spec))
    assert sorted(spec.logs.stdout.read_text().splitlines()) == ["end", "from below"]


async def test_a_log_that_its_user_truncates_or_deletes_is_written_on(driver: NativeDriver, task: MakeTask) -> None:
    """LOG-16."""
    spec = task("echo one; echo two >&2; read line < go; echo three; echo four >&2")
    os.mkfifo(spec.job_folder / "go")
    handle = await driver.start(spec)
    await until(lambda: spec.logs.stderr.stat().st_size > 0 < spec.logs.stdout.stat().st_size, "both logs")
    os.truncate(spec.job_folder / "stdout-0.log", 0)
    (spec.job_folder / "stderr-0.log").unlink()
    (spec.job_folder / "go").write_text("\n")
    await driver.wait(handle)
    assert spec.logs.stdout.read_text() == "three\n"
    assert spec.logs.stderr.read_text() == "two\nfour\n"
    assert not (spec.job_folder / "stderr-0.log").exists()
