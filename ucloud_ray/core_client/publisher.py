"""Delivers the outbox to the Core: at least once, per job in order, for ever (D10, LC-16 to LC-21, REC-7 to REC-11).

Called by the engine with rows that are on disk; runs as one task of the supervisor.

A request carries the first update of up to 500 jobs, never two of one job: all updates of a request get the same time
(LC-20) and a browser draws them in reverse (W13). A row leaves the disk once the Core accepted it, and only then is the
job's next update sent, so that a crash or a lost answer leaves one update of a job in doubt at most. A state that is in
doubt is sent again as news only (LC-21); of a text, the Core is asked whether it has it.

| the Core answers                      | then                                                                     |
|---------------------------------------|--------------------------------------------------------------------------|
| 2xx                                   | acknowledge on disk                                                      |
| nothing, 502, 503, 504, 429, 449      | it is down: everything waits, 1 s to 60 s                                |
| our token is not accepted             | the same                                                                 |
| 500, half an answer, a timeout        | one update may be the cause: send one by one, what fails backs off alone |
| 403, 404                              | send one by one; a job that stays unknown is given up after five minutes |
| another 4xx                           | send one by one; what is refused alone is dropped                        |
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from ucloud_ray.control.ports import Clock, JobStore, OutboxRow
from ucloud_ray.core_client.acknowledger import Acknowledger, insist
from ucloud_ray.core_client.client import CoreClient
from ucloud_ray.core_client.errors import CoreAuthFailed, CoreError, CoreRefused, CoreUnavailable, CoreUnknownJob
from ucloud_ray.core_client.lanes import Lane, Lanes
from ucloud_ray.core_client.timing import Timing
from ucloud_ray.core_client.wire_format import Item, can_be_doubled, is_recorded
from ucloud_ray.domain.ids import JobId, JobUid, Millis

log = structlog.get_logger(__name__)


class Publisher:
    """`control.ports.Updates`. `on_unknown` is told the uid of a job that the Core surely does not know any more; what
    waits for it has been dropped."""

    def __init__(
        self,
        core: CoreClient,
        store: JobStore,
        clock: Clock,
        on_unknown: Callable[[JobUid], None],
        timing: Timing | None = None,
    ) -> None:
        self._core = core
        self._store = store
        self._clock = clock
        self._on_unknown = on_unknown
        self._timing = timing or Timing()
        self._lanes = Lanes()
        self._early: list[OutboxRow] = []
        self._loaded = asyncio.Event()
        self._ready = asyncio.Event()
        self._told: dict[JobUid, asyncio.Event] = {}
        self._forgotten: set[JobUid] = set()
        self._acknowledger = Acknowledger(store, self._timing.backoff, self._release)
        self._failures = 0
        self._failed_alone = 0
        self._unanswered = 0
        """Questions in a row about what may have been applied."""
        self._paused_until = 0.0
        self._next_request = 0.0

    # ------------------------------------------------------------------------------------------------- for others

    def submit(self, rows: Sequence[OutboxRow]) -> None:
        """See `control.ports.Updates`. Before `run` has read the outbox, rows wait for it: older ones go first."""
        if not self._loaded.is_set():
            self._early.extend(rows)
            return
        for row in rows:
            self._add(row)

    async def told(self, uid: JobUid) -> None:
        """Return once the Core has accepted everything of this job, or it was dropped (LOG-13)."""
        await self._loaded.wait()
        if self._lanes.waits(uid):
            await self._told.setdefault(uid, asyncio.Event()).wait()

    def waits(self, uid: JobUid) -> bool:
        """Whether something of this job is not accepted yet."""
        return self._lanes.waits(uid) or any(row.uid == uid for row in self._early)

    def waits_for(self, id: JobId) -> bool:
        return self._lanes.waits_for(id) or any(row.job_id == id for row in self._early)

    def backlog(self) -> tuple[int, Millis | None]:
        """Number of rows that wait, and when the oldest of them was decided."""
        return self._lanes.backlog()

    async def run(self) -> None:
        """Deliver until cancelled. What was not delivered stays on disk for the next start."""
        await self._load()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._send_forever(0.0))
            tasks.create_task(self._send_forever(self._timing.second_request_after))
            tasks.create_task(self._acknowledger.run())

    # ------------------------------------------------------------------------------------------------------ intake

    async def _load(self) -> None:
        pending = await insist(self._store.pending_updates, self._timing.backoff)
        # Rows that were submitted meanwhile may be among them.
        rows = {row.seq: row for row in (*pending, *self._early)}
        early = {row.seq for row in self._early}
        self._early = []
        for seq in sorted(rows):
            self._add(rows[seq], again=seq not in early)
        self._loaded.set()

    def _add(self, row: OutboxRow, again: bool = False) -> None:
        if row.uid in self._forgotten:
            self._finish([row], None)
            return
        self._finish(self._lanes.add(row, again), None)
        self._look()

    # ----------------------------------------------------------------------------------------------------- sending

    async def _send_forever(self, patience: float) -> None:
        while True:
            await self._ready.wait()
            if patience:
                await asyncio.sleep(patience)
            if (pause := self._paused_until - asyncio.get_running_loop().time()) > 0:
                await asyncio.sleep(pause)
                continue
            if (early := self._next_request - asyncio.get_running_loop().time()) > 0:
                await asyncio.sleep(early)
                continue
            self._next_request = asyncio.get_running_loop().time() + self._timing.gather
            lanes = self._lanes.take(self._timing.batch)
            self._look()
            lanes = await self._not_applied(lanes)
            if len(lanes) > 1:
                await self._send_together(lanes)
            else:
                await self._send_one_by_one(lanes)

    async def _not_applied(self, lanes: list[Lane]) -> list[Lane]:
        """Those that have something to send. What may be at the Core already and would be recorded twice is looked up:
        the newest update of its job there tells, since a job has one under way at most."""
        doubted = [lane for lane in lanes if _in_doubt(lane)]
        if not doubted:
            return lanes
        try:
            newest = await self._core.newest_updates([lane.job_id for lane in doubted])
        except CoreError as error:
            self._unanswered += 1
            if self._unanswered > self._timing.questions:  # better a text twice than never
                return lanes
            self._pause(error, lanes)
            return []
        self._unanswered = 0
        applied = [lane for lane in doubted if _is_recorded(lane, newest)]
        self._accept([(lane, lane.rows[0]) for lane in applied if lane.rows])
        return [lane for lane in lanes if lane not in applied]

    async def _send_together(self, lanes: list[Lane]) -> None:
        heads = [lane.rows[0] for lane in lanes]
        try:
            await self._core.update([_item(lane) for lane in lanes])
        except (CoreUnavailable, CoreAuthFailed) as error:
            _mark_again(lanes, heads, error)
            if _down(error):
                self._pause(error, lanes)
                return
        except CoreRefused as error:
            _mark_again(lanes, heads, error)
            log.info("The Core refused a request; its updates are sent one by one", updates=len(lanes), why=str(error))
        else:
            self._accept(list(zip(lanes, heads, strict=True)))
            return
        await self._send_one_by_one(await self._not_applied(lanes))

    async def _send_one_by_one(self, lanes: Sequence[Lane]) -> None:
        for position, lane in enumerate(lanes):
            if not lane.rows:
                self._release(lane)
                continue
            try:
                await self._send_alone(lane)
            except (CoreUnavailable, CoreAuthFailed) as error:
                rest = lanes[position:]
                if not _down(error):
                    self._failed_alone += 1
                    self._park(lane, error)
                    rest = rest[1:]
                if _down(error) or self._failed_alone >= self._timing.failures_that_mean_down:
                    self._pause(error, rest)
                    return

    async def _send_alone(self, lane: Lane) -> None:
        """Raises when the Core gave no judgement."""
        row = lane.rows[0]
        try:
            await self._core.update([_item(lane)])
        except (CoreUnavailable, CoreAuthFailed) as error:
            _mark_again([lane], [row], error)
            raise
        except CoreUnknownJob as error:
            _mark_again([lane], [row], error)
            await self._denied(lane, error)
        except CoreRefused as error:
            log.error("The Core refused an update; it is dropped", job=lane.job_id, seq=row.seq, why=str(error))
            self._accept([(lane, row)])
        else:
            self._accept([(lane, row)])

    # --------------------------------------------------------------------------------------------------- outcomes

    def _accept(self, delivered: Sequence[tuple[Lane, OutboxRow]]) -> None:
        self._failures = self._failed_alone = 0
        for lane, row in delivered:
            self._lanes.pop(lane, row)
            self._finish([row], lane)

    async def _denied(self, lane: Lane, error: CoreUnknownJob) -> None:
        """403 or 404 for one job: ask again for minutes before it is believed (REC-9, REC-11)."""
        self._failed_alone = 0
        uid = lane.uid
        if lane.refused_since is None:
            lane.refused_since = self._clock.now()
        known = await self._known(lane)
        if lane.uid != uid:
            self._release(lane)
            return
        lane.denials = lane.denials + 1 if known is False else 0
        if known:
            lane.refused_since = None
        if self._surely_unknown(lane):
            self._forget(lane)
        else:
            self._park(lane, error)

    async def _known(self, lane: Lane) -> bool | None:
        try:
            return await self._core.knows(lane.job_id)
        except CoreError:
            return None

    def _surely_unknown(self, lane: Lane) -> bool:
        since = lane.refused_since
        enough = lane.denials >= self._timing.denials
        return enough and since is not None and self._clock.now() - since >= self._timing.unknown_for

    def _forget(self, lane: Lane) -> None:
        log.warning("The Core does not know a job any more; its updates are dropped", job=lane.job_id)
        uid, rows = lane.uid, self._lanes.clear(lane)
        self._finish(rows, None)
        self._release(lane)
        if uid is not None:
            self._forgotten.add(uid)
            self._on_unknown(uid)

    def _park(self, lane: Lane, error: CoreError) -> None:
        """The lane backs off alone; nobody waits for it."""
        lane.failures += 1
        lane.alone = True
        delay = self._timing.backoff.delay(lane.failures)
        log.info("An update is tried again later", job=lane.job_id, seconds=round(delay, 1), why=str(error))
        asyncio.get_running_loop().call_later(delay, self._release, lane)

    def _pause(self, error: CoreError, lanes: Sequence[Lane]) -> None:
        """Nobody sends for a while; these lanes go back."""
        for lane in lanes:
            self._release(lane)
        self._failed_alone = 0
        now = asyncio.get_running_loop().time()
        if now >= self._paused_until:
            self._failures += 1
            # While it answers at all, some bad updates may be the whole trouble: good ones must not wait for long.
            delay = self._timing.backoff.delay(self._failures if _down(error) else min(self._failures, 3))
            self._paused_until = now + delay
            log.warning("Updates wait for UCloud/Core", seconds=round(delay, 1), why=str(error))

    def _finish(self, rows: Sequence[OutboxRow], lane: Lane | None) -> None:
        """These rows need no more sending: wake who waits for it, take them off the disk, then release the lane."""
        for row in rows:
            self._acknowledger.put(row.seq, lane)
            if row.uid is not None and not self._lanes.waits(row.uid) and (event := self._told.pop(row.uid, None)):
                event.set()

    def _release(self, lane: Lane) -> None:
        self._lanes.release(lane)
        self._look()

    def _look(self) -> None:
        if self._lanes.ready:
            self._ready.set()
        else:
            self._ready.clear()


def _in_doubt(lane: Lane) -> bool:
    return bool(lane.rows) and lane.again == lane.rows[0].seq and can_be_doubled(lane.rows[0].update)


def _is_recorded(lane: Lane, newest: Mapping[str, dict[str, Any]]) -> bool:
    """The lane may have gone to another job while we asked."""
    return _in_doubt(lane) and is_recorded(lane.rows[0].update, newest.get(lane.job_id))


def _item(lane: Lane) -> Item:
    row = lane.rows[0]
    return Item(lane.job_id, row.update, again=lane.again == row.seq)


def _mark_again(lanes: Sequence[Lane], heads: Sequence[OutboxRow], error: CoreError) -> None:
    """These updates may have been applied in spite of the error: partly before a refusal (LC-21), or unseen."""
    if isinstance(error, CoreRefused) or (isinstance(error, CoreUnavailable) and error.reached):
        for lane, row in zip(lanes, heads, strict=True):
            lane.again = row.seq


def _down(error: CoreError) -> bool:
    return not isinstance(error, CoreUnavailable) or error.down
