"""What ranks use is sampled, bounded, kept with the job and told to followers (W15)."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.driver import Driver
from runtimes.errors import RuntimeUnavailable, TaskNotFound
from runtimes.types import LogPaths, TaskHandle, TaskId, Usage
from ucloud_ray.control.usage_file import (
    FIRST_INTERVAL,
    MOST_SAMPLES,
    Sample,
    UsageTail,
    interval_of,
    line,
    parse,
    usage_path,
)
from ucloud_ray.control.usage_sampler import MOST_IDLE, UsageSampler

HANDLE = TaskHandle("scripted", TaskId("j-1-job-0", "1"))


class Measured:
    """A driver that has one task, of which only the use is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.used = Usage(1.5, 1000, 2, 10, 20)
        self.works = 1.0
        """Seconds of processor time between two questions."""
        self.refuse: Exception | None = None
        self.asked = 0

    async def usage(self, handle: TaskHandle) -> Usage:
        self.asked += 1
        if self.refuse is not None:
            raise self.refuse
        self.used = replace(self.used, cpu_seconds=self.used.cpu_seconds + self.works)
        return self.used

    async def logs(self, handle: TaskHandle) -> LogPaths:
        return LogPaths(self.folder / "stdout-0.log", self.folder / "stderr-0.log")


@pytest.fixture
def driver(tmp_path: Path) -> Measured:
    return Measured(tmp_path)


@pytest.fixture
async def sampler(driver: Measured, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Its rounds are the test's: its own clock would come in between on a slow machine."""

    async def never(_: UsageSampler) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(UsageSampler, "_run", never)
    sampler = UsageSampler()
    sampler.watch(cast("Driver", driver), HANDLE)
    yield sampler
    await sampler.close()


def kept(folder: Path) -> list[Sample]:
    file = folder / "usage-0.csv"
    return parse(file.read_bytes()) if file.exists() else []


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_a_sample_is_kept_beside_the_log(sampler: UsageSampler, driver: Measured, tmp_path: Path) -> None:
    await sampler.round(100)
    assert kept(tmp_path) == [Sample(100_000, 2500, 1000, 2, 10, 20, None, None)]
    assert usage_path(tmp_path / "stdout-12.log") == tmp_path / "usage-12.csv"


async def test_however_long_a_job_runs_its_samples_are_bounded_and_evenly_spread(
    sampler: UsageSampler, driver: Measured, tmp_path: Path
) -> None:
    for second in range(1000, 1000 + 8 * MOST_SAMPLES * FIRST_INTERVAL, FIRST_INTERVAL):
        await sampler.round(second)
        assert len(kept(tmp_path)) <= MOST_SAMPLES
    samples = kept(tmp_path)
    assert len(samples) >= MOST_SAMPLES // 2 - 1
    steps = {later.at - earlier.at for earlier, later in itertools.pairwise(samples)}
    assert steps == {interval_of(samples) * 1000}
    assert interval_of(samples) in (8 * FIRST_INTERVAL, 16 * FIRST_INTERVAL)
    assert driver.asked < 5 * MOST_SAMPLES, "a long job is looked at less often"
    assert names(tmp_path) == ["usage-0.csv"]


async def test_a_task_that_does_nothing_is_looked_at_seldom_until_it_works_again(
    sampler: UsageSampler, driver: Measured, tmp_path: Path
) -> None:
    driver.works = 0.0
    for second in range(0, 10 * MOST_IDLE, FIRST_INTERVAL):
        await sampler.round(second)
    idle = [sample.at // 1000 for sample in kept(tmp_path)]
    assert idle[:3] == [0, 5, 10]
    assert {later - earlier for earlier, later in itertools.pairwise(idle[-5:])} == {MOST_IDLE}
    driver.works = 1.0
    for second in range(10 * MOST_IDLE, 11 * MOST_IDLE, FIRST_INTERVAL):
        await sampler.round(second)
    busy = [sample.at // 1000 for sample in kept(tmp_path)][len(idle) :]
    assert busy == list(range(10 * MOST_IDLE, 11 * MOST_IDLE, FIRST_INTERVAL))


async def test_another_sampler_goes_on_where_the_first_one_was(
    sampler: UsageSampler, driver: Measured, tmp_path: Path
) -> None:
    """The replica actor was killed: its successor keeps the interval."""
    for second in range(0, MOST_SAMPLES * FIRST_INTERVAL * 3 // 2, FIRST_INTERVAL):
        await sampler.round(second)
    interval = interval_of(kept(tmp_path))
    successor = UsageSampler()
    successor.watch(cast("Driver", driver), HANDLE)
    last = kept(tmp_path)[-1].at // 1000
    for second in range(last + FIRST_INTERVAL, last + 4 * interval + 1, FIRST_INTERVAL):
        await successor.round(second)
    await successor.close()
    assert [sample.at // 1000 for sample in kept(tmp_path)[-4:]] == [last + step * interval for step in range(1, 5)]


async def test_a_task_that_cannot_be_measured_has_a_gap_and_one_that_is_gone_is_forgotten(
    sampler: UsageSampler, driver: Measured, tmp_path: Path
) -> None:
    await sampler.round(100)
    driver.refuse = RuntimeUnavailable("the daemon is away")
    await sampler.round(105)
    driver.refuse = None
    await sampler.round(110)
    driver.refuse = TaskNotFound("it has ended")
    await sampler.round(115)
    driver.refuse = None
    await sampler.round(120)
    assert [sample.at for sample in kept(tmp_path)] == [100_000, 110_000]


async def test_a_disk_that_takes_nothing_hurts_nobody(driver: Measured, tmp_path: Path, sampler: UsageSampler) -> None:
    """LOG-17."""
    driver.folder = tmp_path / "not there"
    await sampler.round(100)
    (tmp_path / "not there").mkdir()
    await sampler.round(105)
    assert [sample.at for sample in kept(driver.folder)] == [105_000]


async def test_what_is_forgotten_is_not_measured(sampler: UsageSampler, driver: Measured) -> None:
    sampler.forget(HANDLE.id)
    await sampler.round(100)
    assert driver.asked == 0


NUMBERS = st.integers(0, 2**60)
SAMPLES = st.builds(Sample, NUMBERS, NUMBERS, NUMBERS, NUMBERS, *[st.none() | NUMBERS] * 4)


@given(st.lists(SAMPLES, max_size=5), st.integers(0, 30))
def test_samples_are_read_as_they_were_written_and_half_a_line_is_left_out(samples: list[Sample], cut: int) -> None:
    text = "".join(map(line, samples)).encode()
    assert parse(text) == samples
    if samples:
        assert parse(text[: len(text) - 1 - cut % len(line(samples[-1]))]) == samples[:-1]


def test_damaged_lines_are_left_out() -> None:
    good = Sample(1, 2, 3, 4)
    assert parse(b"\xff,1,2,3\n" + line(good).encode() + b"1,2\nnonsense\n,,,,,,,\n1,2,3,4,5,6,7,8,9\n") == [good]


def test_a_reader_gets_new_lines_and_hears_when_the_file_was_thinned_out(tmp_path: Path) -> None:
    path = tmp_path / "usage-0.csv"
    tail = UsageTail(path)
    assert tail.read() == b""
    path.write_bytes(b"one\ntwo\nhal")
    assert (tail.read(), tail.was_reset) == (b"one\ntwo\n", False)
    assert tail.read() == b""
    with path.open("ab") as file:
        file.write(b"f\n")
    assert (tail.read(), tail.was_reset) == (b"half\n", False)
    (tmp_path / "new").write_bytes(b"two\n")
    (tmp_path / "new").replace(path)
    assert (tail.read(), tail.was_reset) == (b"two\n", True)
