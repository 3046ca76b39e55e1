"""Sends what is to be paid for to the Core until it is taken (ACC-7, ACC-8, ACC-15, ACC-22).

Runs beside the publisher in the supervisor. The rows are on disk, put there with the decisions that made them; this
reads them, oldest first, and takes each off the disk once the Core has it. A charge that is sent twice counts once, by
its name, so nothing is lost or doubled whenever this process ends.

    bell ─▶ rows of the store ─▶ one request for many ─▶ whom nobody pays for ends ─▶ off the disk
                                  │ silent: all wait, back off
                                  │ refused or no judgement: halves, so that one bad charge is found in a few requests;
                                  │ that one waits for itself, and is dropped when there is no hope
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from ucloud_ray.control.ports import ChargeRow, Clock, CoreSilent, JobStore

log = structlog.get_logger(__name__)

BATCH = 500
"""Charges in one request (control-api 1)."""


class ChargeRefused(Exception):
    """The Core does not take these charges as they are; nothing follows for others."""

    def __init__(self, why: str, unknown_job: bool = False) -> None:
        super().__init__(why, unknown_job)
        self.why = why
        self.unknown_job = unknown_job
        """The Core does not know the job, perhaps not yet (REC-11)."""

    def __str__(self) -> str:
        return self.why


class ChargeUnclear(CoreSilent):
    """The Core answered without a judgement; these charges may be the reason, or not."""


class CoreAccounting(Protocol):
    """What the Core does about money. Raises `ports.CoreSilent` while it does not answer, and `ChargeUnclear`."""

    async def charge(self, rows: Sequence[ChargeRow]) -> frozenset[int]:
        """Charge or report them; the `seq` of those whose workspace has no funds. All are of one style. What was
        charged before is not charged again. Raises `ChargeRefused`: then perhaps a part was taken."""
        ...


class NobodyCharges:
    """Takes everything and wants nothing for it."""

    async def charge(self, rows: Sequence[ChargeRow]) -> frozenset[int]:
        return frozenset()


class Short(Protocol):
    """Who wants to know that a workspace has no funds."""

    async def short(self, rows: Sequence[ChargeRow]) -> None:
        """Returns when what follows is on disk."""
        ...


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Seconds."""

    gather: float = 0.5
    """From the first charge until the request, so that many share one."""
    first_pause: float = 1.0
    longest_pause: float = 60.0
    unknown_for: float = 300.0
    """How long a charge of a job that the Core does not know is kept (REC-11)."""
    unclear_for: float = 3600.0
    """For how long the Core must have taken others before one that it never judges is dropped."""
    unclear_that_mean_silent: int = 3
    """So many in a row that fail alone: it is the Core."""


@dataclass(slots=True)
class Parked:
    """A charge that waits for itself; moments of the loop's clock."""

    since: float
    until: float
    failures: int = 0


class Charger:
    def __init__(
        self, store: JobStore, core: CoreAccounting, clock: Clock, credits: Short, rhythm: Rhythm | None = None
    ) -> None:
        self._store = store
        self._core = core
        self._clock = clock
        self._credits = credits
        self._rhythm = rhythm or Rhythm()
        self._bell = asyncio.Event()
        self._parked: dict[int, Parked] = {}
        self._failures = 0
        self._failed_alone = 0
        self._last_taken = 0.0
        """When the Core took anything."""

    def ring(self) -> None:
        """There may be something to send."""
        self._bell.set()

    async def run(self) -> None:
        """For ever; begins with what an earlier life left."""
        while True:
            try:
                await self._send_all()
                self._failures = 0
            except Exception as problem:  # the store or the Core is away: what is on disk waits
                self._failures += 1
                log.warning("charges wait", problem=str(problem), failures=self._failures)
            await self._wait()

    async def _wait(self) -> None:
        if self._failures:
            pause = min(self._rhythm.longest_pause, self._rhythm.first_pause * 2 ** min(self._failures - 1, 10))
            await asyncio.sleep(pause)
            return
        try:
            async with asyncio.timeout(self._soonest_parked()):
                await self._bell.wait()
        except TimeoutError:
            return
        await asyncio.sleep(self._rhythm.gather)

    def _soonest_parked(self) -> float | None:
        """Seconds until a charge that waits for itself is due."""
        if not self._parked:
            return None
        return max(0.0, min(parked.until for parked in self._parked.values()) - _moment())

    async def _send_all(self) -> None:
        self._bell.clear()
        while rows := self._due(await self._store.charges(BATCH + len(self._parked))):
            first = rows[0].charge.style
            await self._send([row for row in rows if row.charge.style == first])

    def _due(self, rows: Sequence[ChargeRow]) -> list[ChargeRow]:
        now, waiting = _moment(), {row.seq for row in rows}
        self._parked = {seq: parked for seq, parked in self._parked.items() if seq in waiting}
        return [row for row in rows if row.seq not in self._parked or self._parked[row.seq].until <= now][:BATCH]

    async def _send(self, rows: Sequence[ChargeRow]) -> None:
        try:
            short = await self._core.charge(rows)
        except (ChargeRefused, ChargeUnclear) as problem:
            if len(rows) == 1:
                await self._failed(rows[0], problem)
                return
            middle = len(rows) // 2
            await self._send(rows[:middle])
            await self._send(rows[middle:])
            return
        self._failed_alone, self._last_taken = 0, _moment()
        # First the stop, then off the disk: whoever dies in between asks again and hears it again.
        await self._credits.short([row for row in rows if row.seq in short])
        await self._settle(rows)

    async def _failed(self, row: ChargeRow, problem: ChargeRefused | ChargeUnclear) -> None:
        """Alone at fault, as it seems (REC-10)."""
        parked = self._parked.setdefault(row.seq, Parked(_moment(), 0.0))
        if self._hopeless(row, parked, problem):
            log.error("a charge is not taken and is dropped", job=row.job_id, charge=row.charge, why=str(problem))
            await self._settle([row])
            return
        log.info("a charge is tried again later", job=row.job_id, why=str(problem))
        parked.failures += 1
        pause = self._rhythm.first_pause * 2 ** min(parked.failures - 1, 10)
        parked.until = _moment() + min(self._rhythm.longest_pause / 2, pause)
        if isinstance(problem, ChargeUnclear):
            self._failed_alone += 1
            if self._failed_alone >= self._rhythm.unclear_that_mean_silent:
                self._failed_alone = 0
                raise problem

    def _hopeless(self, row: ChargeRow, parked: Parked, problem: ChargeRefused | ChargeUnclear) -> bool:
        if isinstance(problem, ChargeUnclear):
            return self._last_taken - parked.since > self._rhythm.unclear_for
        return not problem.unknown_job or (self._clock.now() - row.at) / 1000 >= self._rhythm.unknown_for

    async def _settle(self, rows: Sequence[ChargeRow]) -> None:
        await self._store.settle_charges([row.seq for row in rows])
        for row in rows:
            self._parked.pop(row.seq, None)


def _moment() -> float:
    return asyncio.get_running_loop().time()
