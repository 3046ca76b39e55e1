"""One serial state machine per job (REC-20): take what happened, decide, commit, then act.

Called by the service (requests), the scheduler (placements), the performer (what became of effects) and the timers.
It makes no decision itself: those are in `domain.lifecycle`.

    post(event) ─▶ inbox of the job ─▶ decide … decide ─▶ commit (state + outbox, one transaction) ─▶ outbox, effects
                                                            │ store down: keep the events, try again

Events that gather while a commit is under way are decided together and share the next commit. A job has a task of its
own only while its inbox is not empty, so a job that waits costs nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

import structlog

from ucloud_ray.control.ports import Change, Clock, JobStore, OutboxRow, Updates
from ucloud_ray.domain import lifecycle
from ucloud_ray.domain.effects import Announce, Charge, Effect
from ucloud_ray.domain.events import Event
from ucloud_ray.domain.ids import JobId, JobUid
from ucloud_ray.domain.job import Job

log = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0
"""Between attempts to commit while the store is down; the events stay in memory meanwhile."""

CLOSE_SECONDS = 2.0
"""For what is being written when this process leaves."""


class Performing(Protocol):
    """What the engine asks of the performer."""

    def perform(self, job: Job, effect: Effect) -> None:
        """Begin the effect; its result comes back as an event. Repeating one that is under way changes nothing."""
        ...

    def forget(self, uid: JobUid) -> None:
        """The job is final: nothing of it is under way any more."""
        ...


@dataclass(slots=True)
class Live:
    """A job that is not final, in memory."""

    job: Job
    inbox: deque[tuple[Event, asyncio.Future[Job] | None]] = field(default_factory=deque)
    """What happened and was not decided yet, with who waits for the decision."""
    busy: bool = False
    deciding: int = 0
    """How many of them, from the front, are being decided and written right now."""

    def waiting(self) -> Iterator[tuple[Event, asyncio.Future[Job] | None]]:
        return islice(self.inbox, self.deciding, None)


class Engine:
    def __init__(self, store: JobStore, updates: Updates, clock: Clock) -> None:
        self._store = store
        self._updates = updates
        self._clock = clock
        self._live: dict[JobUid, Live] = {}
        self._by_id: dict[JobId, JobUid] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._listeners: list[Callable[[Job], None]] = []
        self._performer: Performing | None = None
        self._closed = False

    def connect(self, performer: Performing, listeners: Iterable[Callable[[Job], None]] = ()) -> None:
        """The performer needs the engine and the engine the performer: joined here, once. Listeners hear of every
        committed change."""
        self._performer = performer
        self._listeners.extend(listeners)

    # ------------------------------------------------------------------------------------------------- reading

    def live(self, uid: JobUid) -> Job | None:
        """The job if it is not final."""
        found = self._live.get(uid)
        return found.job if found else None

    def newest(self, id: JobId) -> Job | None:
        """The newest live job of this id (O3)."""
        uid = self._by_id.get(id)
        return self.live(uid) if uid else None

    def jobs(self) -> list[Job]:
        return [live.job for live in self._live.values()]

    @property
    def live_jobs(self) -> int:
        """How many there are."""
        return len(self._live)

    def backlog(self, uid: JobUid) -> int:
        """Events of the job that wait for their decision, because the store is slow or away."""
        live = self._live.get(uid)
        return 0 if live is None else len(live.inbox) - live.deciding

    # ------------------------------------------------------------------------------------------------- writing

    async def accept(self, accepted: Sequence[tuple[Job, tuple[Effect, ...], Mapping[str, Any]]]) -> None:
        """Store new jobs, all or none, and begin their first effects. Raises what the store raises: then nothing is."""
        changes = [Change(job, _announcements(effects), document) for job, effects, document in accepted]
        rows = await self._store.commit(changes)
        for job, effects, _ in accepted:
            self._adopt(job)
            self._act(job, effects)
        self._updates.submit(rows)

    def resume(self, job: Job) -> None:
        """Take over a job that was loaded from the store and do again whatever may be outstanding (REC-5)."""
        self._adopt(job)
        self._act(job, lifecycle.outstanding(job))

    def load(self, job: Job) -> None:
        """Take over a job without acting yet; `resume` follows once every job is known."""
        self._adopt(job)

    async def close(self) -> None:
        """Finish what is being written and take no more. A store that is down is not waited for: what was not decided
        is found out again after the next start."""
        self._closed = True
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def post(self, uid: JobUid, event: Event) -> None:
        """Never blocks. A job that is final or unknown ignores everything (LC-1)."""
        live = self._live.get(uid)
        if live is None:
            log.info("something happened to a job that is over", uid=uid, happened=type(event).__name__)
        else:
            self._receive(live, event, None)

    async def settle(self, uid: JobUid, event: Event) -> Job | None:
        """Post and wait until the decision is on disk; the job after it, or None if it is not live."""
        live = self._live.get(uid)
        if live is None:
            return None
        decided: asyncio.Future[Job] = asyncio.get_running_loop().create_future()
        self._receive(live, event, decided)
        return await decided

    def _receive(self, live: Live, event: Event, decided: asyncio.Future[Job] | None) -> None:
        if self._closed:
            if decided is not None:
                decided.cancel()
            return
        if decided is None and any(waiting == event for waiting, _ in live.waiting()):
            return  # it has happened already and is not decided yet; while the store is away, such things gather
        live.inbox.append((event, decided))
        if not live.busy:
            live.busy = True
            self._spawn(self._drain(live), name=f"job {live.job.id}")

    async def _drain(self, live: Live) -> None:
        try:
            while live.inbox:
                batch = list(live.inbox)
                live.deciding = len(batch)
                await self._turn(live, [event for event, _ in batch])
                live.deciding = 0
                for _, decided in batch:
                    live.inbox.popleft()
                    if decided is not None and not decided.done():
                        decided.set_result(live.job)
        finally:
            live.busy, live.deciding = False, 0
            for _, decided in live.inbox:  # only if we were cancelled
                if decided is not None:
                    decided.cancel()

    async def _turn(self, live: Live, events: Sequence[Event]) -> None:
        job, effects = self._decide(live.job, events)
        if job is live.job and not effects:
            return
        rows = await self._commit(job, effects)
        live.job = job
        self._publish(job, effects, rows)

    def _decide(self, job: Job, events: Iterable[Event]) -> tuple[Job, tuple[Effect, ...]]:
        now = self._clock.now()
        collected: list[Effect] = []
        for event in events:
            try:
                job, effects = lifecycle.decide(job, event, now)
            except Exception:  # a fault of ours must not keep the job from everything that happens to it later
                log.exception("an event could not be decided", job=job.id, happened=type(event).__name__)
            else:
                collected.extend(effects)
        return job, tuple(effect for effect in collected if lifecycle.due(job, effect))

    async def _commit(self, job: Job, effects: tuple[Effect, ...]) -> list[OutboxRow]:
        """Until it works: what happened must not be lost, and nothing is done before it is on disk."""
        charges = tuple(effect for effect in effects if isinstance(effect, Charge))
        change = Change(job, _announcements(effects), charges=charges)
        while True:
            try:
                return await self._store.commit([change])
            except Exception as problem:
                log.error("the store does not take a change; trying again", job=job.id, problem=str(problem))
                await asyncio.sleep(RETRY_SECONDS)

    def _publish(self, job: Job, effects: tuple[Effect, ...], rows: list[OutboxRow]) -> None:
        if job.final:
            self._drop(job)
        self._updates.submit(rows)
        self._act(job, effects)

    def _act(self, job: Job, effects: Iterable[Effect]) -> None:
        assert self._performer is not None, "connect first"
        for listener in self._listeners:
            listener(job)
        for effect in effects:
            if not isinstance(effect, Announce | Charge):
                self._performer.perform(job, effect)
        if job.final:
            self._performer.forget(job.uid)

    def _adopt(self, job: Job) -> None:
        if job.uid not in self._live:
            self._live[job.uid] = Live(job)
            self._by_id[job.id] = job.uid

    def _drop(self, job: Job) -> None:
        self._live.pop(job.uid, None)
        if self._by_id.get(job.id) == job.uid:
            del self._by_id[job.id]

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            log.error("a job's worker ended unexpectedly", task=task.get_name(), problem=repr(problem))


def _announcements(effects: Iterable[Effect]) -> tuple[Announce, ...]:
    return tuple(effect for effect in effects if isinstance(effect, Announce))
