"""Effects to calls on the cluster, and what became of them to events.

Called by the engine after a decision is on disk. Every effect runs in a task of its own under a key, so that repeating
one that is under way changes nothing. "Unknown" (a machine that does not answer, a daemon that is down) is never
turned into an end: the call is repeated until there is an answer, or until the machine was away for longer than the
grace (D4, SCH-16).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from runtimes import errors as driver_errors
from runtimes.types import ExitResult, TaskHandle, TaskId
from ucloud_ray.control import handles
from ucloud_ray.control.absences import Absences
from ucloud_ray.control.addresses import Given as Address
from ucloud_ray.control.drives import JobFolder
from ucloud_ray.control.errors import Refused
from ucloud_ray.control.fabric_keeper import FabricKeeper
from ucloud_ray.control.job_folder import clear_mount_points, make_job_folder, write_parameters
from ucloud_ray.control.ports import Cluster, ClusterUnavailable, HostGone, Started
from ucloud_ray.control.scheduler import Scheduler
from ucloud_ray.control.start_notes import Rhythm, StartNotes
from ucloud_ray.control.task_spec import TaskFactory, mount_points, task_id
from ucloud_ray.domain import effects, events, lifecycle, texts
from ucloud_ray.domain.ids import JobId, JobUid, Millis
from ucloud_ray.domain.job import Exit, Job, JobSpec

log = structlog.get_logger(__name__)

Result = TypeVar("Result")
Key = tuple[str, int, int]
"""Kind of effect, incarnation, rank."""

UNKNOWN = (ClusterUnavailable, driver_errors.RuntimeUnavailable)


class Given(Exception):
    """The machine was away for longer than the grace: what it ran is given up (SCH-16)."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long unknown stays unknown, in seconds."""

    retry: float = 0.5
    retry_most: float = 5.0
    host_grace: float = 60.0
    """`nodeLossGraceSeconds`."""
    start: float = 120.0
    """How long a start is repeated while the runtime on a machine that answers does not."""
    notes: Rhythm = field(default_factory=Rhythm)


class Performer:
    def __init__(
        self,
        cluster: Cluster,
        scheduler: Scheduler,
        tasks: TaskFactory,
        fabric: FabricKeeper,
        post: Callable[[JobUid, events.Event], None],
        live: Callable[[JobUid], Job | None],
        document: Callable[[JobUid], Awaitable[Mapping[str, Any] | None]],
        patience: Patience,
        covered: Callable[[JobId, JobSpec], Awaitable[bool]],
        moment: Callable[[float], Millis],
    ) -> None:
        """`covered`: whether somebody pays for a job. `moment`: seconds of a machine's clock to time of ours."""
        self._cluster = cluster
        self._scheduler = scheduler
        self._tasks = tasks
        self._fabric = fabric
        self._post = post
        self._live = live
        self._document = document
        self._patience = patience
        self._covered = covered
        self._moment = moment
        self._notes = StartNotes(cluster, post, patience.notes)
        self._absences = Absences(stale_after=2 * patience.retry_most)
        self._closed = False
        self._running: dict[JobUid, dict[Key, asyncio.Task[None]]] = {}
        self._collecting: set[asyncio.Task[None]] = set()

    def perform(self, job: Job, effect: effects.Effect) -> None:
        match effect:
            case effects.RequestPlacement():
                self._scheduler.request(job, effect.incarnation)
            case effects.StartReplica():
                self._begin(job, effect, ("start", effect.incarnation, effect.rank), self._start(job, effect))
            case effects.WatchReplica():
                self._begin(job, effect, ("watch", effect.incarnation, effect.rank), self._watch(job, effect))
            case effects.StopReplica():
                self._begin(job, effect, ("stop", effect.incarnation, effect.rank), self._stop(job, effect))
            case effects.CleanUp():
                self._begin(job, effect, ("clean", effect.incarnation, 0), self._clean(job, effect))
            case effects.Announce() | effects.Charge():
                raise AssertionError("announcements and charges are committed, not performed")

    def forget(self, uid: JobUid) -> None:
        """Cancel what is still under way for a job that is over; workloads are gone by then."""
        for task in self._running.pop(uid, {}).values():
            task.cancel()

    def close(self) -> None:
        """Begin nothing more and let go of what is under way; workloads go on."""
        self._closed = True
        for uid in list(self._running):
            self.forget(uid)
        for work in self._collecting:
            work.cancel()

    # ------------------------------------------------------------------------------------------------- effects

    async def _start(self, job: Job, effect: effects.StartReplica) -> None:
        if not await self._covered(job.id, job.spec):  # it may have waited for days since it was accepted (ACC-9)
            self._post(job.uid, events.StopRequested(events.StopCause.NO_CREDITS))
            return
        try:
            started = await self._start_task(job, effect)
        except (driver_errors.DriverError, ClusterUnavailable, Refused) as problem:
            self._post(job.uid, events.ReplicaStartFailed(effect.incarnation, effect.rank, *_reason(problem)))
        except Given:
            self._post(job.uid, events.ReplicaLost(effect.incarnation, effect.rank))
        else:
            self._post(job.uid, events.ReplicaStarted(effect.incarnation, effect.rank, handles.to_json(started.handle)))
            if started.exit is not None:
                self._post(job.uid, events.ReplicaEnded(effect.incarnation, effect.rank, self._exit(started.exit)))

    async def _start_task(self, job: Job, effect: effects.StartReplica) -> Started:
        folder = self._tasks.folder(job)
        if await _make_folder(folder) and effect.rank == 0:
            await self._write_parameters(job, folder)
        if job.output_folder != folder.ucloud_path:
            self._post(job.uid, events.FolderReady(folder.ucloud_path))
        if effect.rank == 0:
            self._tell_missing(job)
        await self._connect(job, effect)
        spec = self._tasks.build(job, effect.rank, self._fabric.names(job, effect.rank))
        with self._notes.about(job, effect, spec.id):
            return await self._insist(
                effect.host,
                lambda: self._cluster.prepare_and_start(effect.host, job.spec.backend, spec),
                unknown=(*UNKNOWN, driver_errors.NameTaken),
                at_most=self._patience.start,
            )

    def _tell_missing(self, job: Job) -> None:
        """What was asked for and the job starts without (ENV-49, RES-24)."""
        told = [texts.peer_missing(peer.hostname, peer.job_id) for peer in self._fabric.missing(job)]
        if job.spec.launch.unseen_file is not None:
            told.append(texts.file_unseen(job.spec.launch.unseen_file))
        for text in told:
            self._post(job.uid, events.Noted(text, job.incarnation))

    async def _connect(self, job: Job, effect: effects.StartReplica) -> None:
        """Whoever it may talk to must be reachable when it starts (D14)."""
        await self._insist(effect.host, lambda: self._fabric.ready(job, effect.host), at_most=self._patience.start)

    async def _watch(self, job: Job, effect: effects.WatchReplica) -> None:
        handle = handles.from_json(effect.handle)
        try:
            ended = await self._end_of(job, effect.host, handle)
        except Given:
            self._post(job.uid, events.ReplicaLost(effect.incarnation, effect.rank))
        else:
            self._post(job.uid, events.ReplicaEnded(effect.incarnation, effect.rank, self._exit(ended)))

    async def _end_of(self, job: Job, host: str, handle: TaskHandle) -> ExitResult:
        """Wait for the end. A task that its runtime does not know is looked for again during the grace (REC-4)."""
        loop = asyncio.get_running_loop()
        deadline: float | None = None
        while True:
            try:
                return await self._insist(host, lambda: self._cluster.wait(host, job.spec.backend, handle))
            except driver_errors.TaskNotFound as gone:
                deadline = deadline or loop.time() + self._patience.host_grace
                if loop.time() >= deadline:
                    raise Given from gone
                await asyncio.sleep(self._patience.retry_most)

    async def _stop(self, job: Job, effect: effects.StopReplica) -> None:
        if effect.handle is None:
            await self._prevent(job, effect)
            return
        handle = handles.from_json(effect.handle)
        try:
            await self._insist(
                effect.host,
                lambda: self._cluster.stop(effect.host, job.spec.backend, handle, effect.grace / 1000),
            )
            ended = await self._insist(effect.host, lambda: self._cluster.wait(effect.host, job.spec.backend, handle))
        except (driver_errors.TaskNotFound, Given):
            self._post(job.uid, events.ReplicaLost(effect.incarnation, effect.rank))
        else:
            self._post(job.uid, events.ReplicaEnded(effect.incarnation, effect.rank, self._exit(ended)))

    async def _prevent(self, job: Job, effect: effects.StopReplica) -> None:
        """A replica whose start is not known to have happened: make sure that it never does (REC-18)."""
        self._cancel(job.uid, ("start", effect.incarnation, effect.rank))
        await self._destroy(job, effect.host, task_id(job, effect.rank, effect.incarnation))
        self._post(job.uid, events.ReplicaLost(effect.incarnation, effect.rank))

    async def _clean(self, job: Job, effect: effects.CleanUp) -> None:
        self._scheduler.withdraw(job.uid)
        tasks = [(host, task_id(job, rank, effect.incarnation)) for rank, host in enumerate(effect.hosts)]
        _, *gone = await asyncio.gather(self._fabric.revoke(job), *(self._destroy(job, *task) for task in tasks))
        if left := [task for task, is_gone in zip(tasks, gone, strict=True) if not is_gone]:
            self._collect_later(job, left)
        await self._clear_mount_points(job)
        await self._release(job, effect.incarnation)
        self._post(job.uid, events.CleanedUp(effect.incarnation))

    async def _write_parameters(self, job: Job, folder: JobFolder) -> None:
        """A courtesy to the user (ENV-5): without it the job runs all the same."""
        document = await self._document(job.uid)
        try:
            await asyncio.to_thread(write_parameters, folder, document)
        except OSError as problem:
            log.warning("the parameters of a job are not in its folder", job=job.id, problem=str(problem))

    async def _clear_mount_points(self, job: Job) -> None:
        """ENV-6. What cannot be tidied up holds up nothing."""
        names = mount_points(job)
        if not names:
            return
        try:
            await asyncio.to_thread(clear_mount_points, self._tasks.drives.job_folder(job), names)
        except (OSError, Refused) as problem:
            log.warning("a job's folder cannot be tidied up", job=job.id, problem=str(problem))

    async def _release(self, job: Job, incarnation: int) -> None:
        while True:
            try:
                await self._cluster.release(job.uid, incarnation)
            except ClusterUnavailable as problem:
                log.warning("a placement is not given back yet", job=job.id, problem=str(problem))
                await asyncio.sleep(self._patience.retry_most)
            else:
                self._scheduler.released(job.uid)
                return

    async def _destroy(self, job: Job, host: str, id: TaskId) -> bool:
        """Whether it is gone for sure."""
        try:
            await self._insist(host, lambda: self._cluster.destroy(host, job.spec.backend, id))
        except Given:
            log.warning("a machine is gone; its leftovers are collected when it returns", host=host, task=id.name)
            return False
        return True

    def _collect_later(self, job: Job, tasks: list[tuple[str, TaskId]]) -> None:
        """On machines that were given up something may live on: its addresses stay taken until it is gone."""
        given = self._scheduler.addresses.give_back(job.uid, keep=frozenset(host for host, _ in tasks))
        work = asyncio.create_task(self._collect(job, tasks, given), name=f"leftovers of {job.id}")
        self._collecting.add(work)
        work.add_done_callback(self._collecting.discard)

    async def _collect(self, job: Job, tasks: list[tuple[str, TaskId]], given: list[Address]) -> None:
        while tasks:
            await asyncio.sleep(self._patience.retry_most)
            gone = await asyncio.gather(*(self._destroy(job, *task) for task in tasks))
            tasks = [task for task, is_gone in zip(tasks, gone, strict=True) if not is_gone]
        self._scheduler.addresses.free(given)

    def _exit(self, result: ExitResult) -> Exit:
        at = None if result.finished_at is None else self._moment(result.finished_at)
        return Exit(result.code, result.signal, result.out_of_memory, at)

    # ---------------------------------------------------------------------------------------------- persistence

    async def _insist(
        self,
        host: str,
        call: Callable[[], Awaitable[Result]],
        unknown: tuple[type[Exception], ...] = UNKNOWN,
        at_most: float | None = None,
    ) -> Result:
        """Repeat while the answer is unknown (D4).

        Raises `Given` once the machine was gone for the grace, and the last problem after `at_most` seconds.
        """
        loop = asyncio.get_running_loop()
        begun, pause = loop.time(), self._patience.retry
        while True:
            try:
                return await self._ask(host, call)
            except unknown as problem:
                if not isinstance(problem, HostGone) and at_most is not None and loop.time() - begun >= at_most:
                    raise
                log.info("no answer yet", host=host, problem=str(problem))
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._patience.retry_most)

    async def _ask(self, host: str, call: Callable[[], Awaitable[Result]]) -> Result:
        """Once. Any answer but `HostGone` ends the absence of the machine."""
        try:
            answer = await call()
        except HostGone as problem:
            if self._absences.gone(host) >= self._patience.host_grace:
                raise Given(host) from problem
            raise
        except Exception:
            self._absences.back(host)
            raise
        self._absences.back(host)
        return answer

    # ---------------------------------------------------------------------------------------------------- tasks

    def _begin(self, job: Job, effect: effects.Effect, key: Key, work: Coroutine[Any, Any, None]) -> None:
        if self._closed or key in self._running.get(job.uid, {}):
            work.close()
            return
        task = asyncio.create_task(work, name=f"{key[0]} {job.id} {key[1]}.{key[2]}")
        self._running.setdefault(job.uid, {})[key] = task
        task.add_done_callback(lambda ended: self._finished(job, effect, key, ended))

    def _finished(self, job: Job, effect: effects.Effect, key: Key, task: asyncio.Task[None]) -> None:
        running = self._running.get(job.uid, {})
        mine = running.get(key) is task
        if mine:
            del running[key]
        if not running:
            self._running.pop(job.uid, None)
        if task.cancelled() or task.exception() is None:
            return
        log.error("an effect failed in an unforeseen way", task=task.get_name(), exc_info=task.exception())
        if mine:
            asyncio.get_running_loop().call_later(self._patience.retry_most, self._again, job, effect)

    def _again(self, job: Job, effect: effects.Effect) -> None:
        """A job must not hang because of a fault of ours; but it may have gone on meanwhile."""
        now = self._live(job.uid)
        if now is not None and effect in lifecycle.outstanding(now):
            self.perform(now, effect)

    def _cancel(self, uid: JobUid, key: Key) -> None:
        task = self._running.get(uid, {}).get(key)
        if task is not None:
            task.cancel()


async def _make_folder(folder: JobFolder) -> bool:
    """Whether it has no parameters yet."""
    try:
        return await asyncio.to_thread(make_job_folder, folder)
    except OSError as problem:
        raise driver_errors.StartFailed(f"its folder cannot be made ({problem.strerror})", retryable=True) from problem


def _reason(problem: Exception) -> tuple[str, bool]:
    """What to tell the user, and whether another attempt may help."""
    if isinstance(problem, Refused):
        return problem.why, False
    if isinstance(problem, driver_errors.DriverError):
        return problem.message, problem.retryable or isinstance(problem, driver_errors.NameTaken)
    return "the machine does not answer", True
