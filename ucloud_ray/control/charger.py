"""Sends what is to be paid for to the Core until it is taken (ACC-7, ACC-8, ACC-15, ACC-22).

Runs beside the publisher in the supervisor. The rows are on disk, put there with the decisions that made them; this
reads them, oldest first, and takes each off the disk once the Core has it. A charge that is sent twice counts once, by
its name, so nothing is lost or doubled whenever this process ends.

    bell ─▶ rows of the store ─▶ one request for many ─▶ off the disk; without funds: told to `credits`
                                  │ silent: all wait, back off
                                  │ refused: one by one; an unknown job is asked about for minutes, then dropped
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from ucloud_ray.control.ports import ChargeRow, Clock, JobStore

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


class CoreAccounting(Protocol):
    """What the Core does about money. Raises `ports.CoreSilent` while it does not answer."""

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

    def short(self, row: ChargeRow) -> None: ...


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Seconds."""

    gather: float = 0.5
    """From the first charge until the request, so that many share one."""
    first_pause: float = 1.0
    longest_pause: float = 60.0
    unknown_for: float = 300.0
    """How long a charge of a job that the Core does not know is kept (REC-11)."""


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
        self._parked: dict[int, float] = {}
        """Charge to the moment of the loop's clock at which it is tried again."""
        self._failures = 0

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
            async with asyncio.timeout(self._rhythm.longest_pause if self._parked else None):
                await self._bell.wait()
        except TimeoutError:
            return
        await asyncio.sleep(self._rhythm.gather)

    async def _send_all(self) -> None:
        self._bell.clear()
        while rows := self._due(await self._store.charges(BATCH + len(self._parked))):
            first = rows[0].charge.style
            await self._send([row for row in rows if row.charge.style == first])

    def _due(self, rows: Sequence[ChargeRow]) -> list[ChargeRow]:
        now = asyncio.get_running_loop().time()
        self._parked = {seq: at for seq, at in self._parked.items() if any(row.seq == seq for row in rows)}
        return [row for row in rows if self._parked.get(row.seq, 0.0) <= now][:BATCH]

    async def _send(self, rows: Sequence[ChargeRow]) -> None:
        try:
            short = await self._core.charge(rows)
        except ChargeRefused as refused:
            if len(rows) > 1:
                for row in rows:
                    await self._send([row])
            else:
                await self._refused(rows[0], refused)
            return
        await self._store.settle_charges([row.seq for row in rows])
        for row in rows:
            self._parked.pop(row.seq, None)
            if row.seq in short:
                self._credits.short(row)

    async def _refused(self, row: ChargeRow, refused: ChargeRefused) -> None:
        """Alone at fault: it waits for itself, and is dropped when there is no hope (REC-10)."""
        age = (self._clock.now() - row.at) / 1000
        if refused.unknown_job and age < self._rhythm.unknown_for:
            log.info("a charge is tried again later", job=row.job_id, why=refused.why)
            self._parked[row.seq] = asyncio.get_running_loop().time() + self._rhythm.longest_pause / 2
            return
        log.error("the Core refused a charge; it is dropped", job=row.job_id, charge=row.charge, why=refused.why)
        self._parked.pop(row.seq, None)
        await self._store.settle_charges([row.seq])
