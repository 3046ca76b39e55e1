"""Samples what the tasks of one replica actor use, and keeps it with their jobs (`usage_file`).

Used by `replica_runner`, which says which tasks there are. One timer for all of them; a task's first sample is taken
when the next multiple of five seconds comes, so that a short job costs nothing. A task that does nothing is looked at
less and less often, so that a thousand sleepers cost next to nothing; its curve is flat anyway. A sample that fails is
left out: graphs have a gap then, and nothing else happens. Samples never disturb a task: a full disk stops them, not it
(LOG-17).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from runtimes.driver import Driver
from runtimes.errors import DriverError, TaskNotFound
from runtimes.types import TaskHandle, TaskId, Usage
from ucloud_ray.control.usage_file import (
    FIRST_INTERVAL,
    MOST_SAMPLES,
    Sample,
    interval_of,
    line,
    parse,
    usage_path,
)

log = structlog.get_logger(__name__)

BUSY_SHARE = 0.02
"""Most of a processor that sampling may take: where looking is dear (processes without control groups), rounds are
left out."""


IDLE_CORES = 0.005
"""Below this a task counts as idle."""

MOST_IDLE = 80
"""Seconds between two looks at an idle task, unless its interval is longer by itself."""


@dataclass(slots=True)
class Watched:
    driver: Driver
    handle: TaskHandle
    path: Path | None = None
    """Of the samples; found with the first of them."""
    interval: int = FIRST_INTERVAL
    count: int | None = None
    """Samples in the file; None until it was looked at."""
    last: Sample | None = None
    pause: int = FIRST_INTERVAL
    """Seconds to the next look: the interval, or longer while the task is idle."""


@dataclass(slots=True)
class UsageSampler:
    """`now`: seconds since the epoch."""

    now: Callable[[], float] = time.time
    _watched: dict[TaskId, Watched] = field(default_factory=dict)
    _running: asyncio.Task[None] | None = None

    def watch(self, driver: Driver, handle: TaskHandle) -> None:
        """Sample this task until `forget`, or until it is not there any more. Again is fine."""
        self._watched.setdefault(handle.id, Watched(driver, handle))
        if self._running is None:
            self._running = asyncio.create_task(self._run(), name="usage samples")

    def forget(self, id: TaskId) -> None:
        self._watched.pop(id, None)

    async def close(self) -> None:
        if self._running is not None:
            self._running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._running

    async def _run(self) -> None:
        """Ends when there is nothing to sample; `watch` begins again."""
        rest = 0.0
        while self._watched:
            await asyncio.sleep(_until_next_round(self.now() + rest) + rest)
            began = time.process_time()
            if self._watched:
                await self.round(round(self.now() / FIRST_INTERVAL) * FIRST_INTERVAL)
            rest = (time.process_time() - began) / BUSY_SHARE - FIRST_INTERVAL
            rest = max(0.0, rest)
        self._running = None

    async def round(self, at: int) -> None:
        """One sample of every task whose turn it is at this second."""
        for watched in list(self._watched.values()):
            if at % watched.pause == 0:
                try:
                    await self._sample(watched, at)
                except TaskNotFound:
                    self.forget(watched.handle.id)
                except (DriverError, OSError) as problem:
                    log.debug("no sample", task=watched.handle.id.name, problem=str(problem))
                await asyncio.sleep(0)  # calls of other tasks come first

    async def _sample(self, watched: Watched, at: int) -> None:
        usage = await watched.driver.usage(watched.handle)
        path = watched.path = watched.path or usage_path((await watched.driver.logs(watched.handle)).stdout)
        if watched.count is None or watched.count >= MOST_SAMPLES:
            _make_room(watched, path)
        if at % watched.interval == 0:
            sample = sample_of(usage, at)
            _append(path, line(sample))
            watched.count = (watched.count or 0) + 1
            watched.pause = _next_pause(watched, sample)
            watched.last = sample


def _next_pause(watched: Watched, sample: Sample) -> int:
    """Twice as long after each look that found it idle."""
    last = watched.last
    idle = last is not None and sample.cpu_millis - last.cpu_millis < IDLE_CORES * (sample.at - last.at)
    return max(watched.interval, min(2 * watched.pause, MOST_IDLE)) if idle else watched.interval


def sample_of(usage: Usage, at: int) -> Sample:
    """`at` in seconds since the epoch."""
    return Sample(
        at * 1000,
        round(usage.cpu_seconds * 1000),
        usage.memory_bytes,
        usage.processes,
        usage.network_received,
        usage.network_sent,
        usage.disk_read,
        usage.disk_written,
    )


def _until_next_round(now: float) -> float:
    """Seconds to the next multiple of the interval, on the wall clock: ranks of one job meet on it."""
    return FIRST_INTERVAL - now % FIRST_INTERVAL


def _make_room(watched: Watched, path: Path) -> None:
    """Go on where an earlier writer was; thin out what is full."""
    samples = parse(path.read_bytes()) if path.exists() else []
    watched.interval = interval_of(samples)
    while len(samples) >= MOST_SAMPLES:
        watched.interval *= 2
        samples = [sample for sample in samples if sample.at % (watched.interval * 1000) == 0]
        _replace(path, "".join(map(line, samples)))
    watched.count = len(samples)


def _append(path: Path, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _replace(path: Path, text: str) -> None:
    """A new file, so that readers see that everything before is void."""
    draft = path.with_suffix(".new")
    draft.write_text(text)
    draft.replace(path)
