"""The life cycle of a job, whole (job-semantics section 1; the diagram is in `job`).

`accept` begins it, `decide` turns each event into the next job and what needs doing, `outstanding` tells what a job
that was loaded from disk still needs, and `wakes_at` when to send it a `Tick`. The engine calls nothing else. No
clock, no input, no output: the same arguments always give the same answer.

Promises, each of them held by a property test:

- Nothing leaves a final state except a restart that the Core orders (LC-1, LC-26).
- An event that does not apply (repeated, late, of another incarnation) gives back the same job object and `()`.
- At most one state is announced per decision (LC-8, LC-20), and a final one only when nothing is held (LC-19).
- Every job that is not at rest has an outstanding effect, a moment to wake up, or a running workload to wait for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import assert_never

from ucloud_ray.domain import charging, texts, timing, transitions, verdicts
from ucloud_ray.domain.effects import Announce, Effect, RequestPlacement, StartReplica, WatchReplica
from ucloud_ray.domain.events import (
    ChargeDue,
    CleanedUp,
    Doubted,
    Event,
    FolderReady,
    NoRoom,
    Noted,
    PlacementGranted,
    PlacementImpossible,
    ReplicaEnded,
    ReplicaLost,
    ReplicaStarted,
    ReplicaStartFailed,
    Restarted,
    StopRequested,
    SuspendRequested,
    Tick,
    TimeExtended,
    UnsuspendRequested,
)
from ucloud_ray.domain.ids import JobId, JobUid, Millis
from ucloud_ray.domain.job import (
    Cleaning,
    Ending,
    Final,
    Job,
    JobSpec,
    JobState,
    Lingering,
    Queued,
    Rank,
    Rules,
    Running,
    Starting,
    Suspended,
    TimeBook,
)
from ucloud_ray.domain.on_order import (
    is_ending,
    on_extend,
    on_restart,
    on_stop,
    on_suspend,
    on_unsuspend,
    verdict_in_force,
)
from ucloud_ray.domain.on_replica import on_replica
from ucloud_ray.domain.restating import on_doubt
from ucloud_ray.domain.timing import wakes_at
from ucloud_ray.domain.transitions import Decision, unchanged

__all__ = ["Decision", "accept", "decide", "due", "outstanding", "wakes_at"]


def accept(*, uid: JobUid, id: JobId, created_at: Millis, spec: JobSpec, rules: Rules, now: Millis) -> Decision:
    """T1. The announcement is owed although the Core begins in IN_QUEUE by itself (1.6)."""
    times = TimeBook(allocation=spec.time_allocation)
    job = Job(uid, id, created_at, spec, Queued(since=now), rules, times=times, accepted_at=now)
    job, told = transitions.tell(job, JobState.IN_QUEUE, texts.WAITING, repeat=True)
    return job, (*told, *outstanding(job))


def decide(job: Job, event: Event, now: Millis) -> Decision:
    """What the event makes of the job. Effects are to be done after the job is on disk, `Announce` together with it.

    Raises `ValueError` for a grant that does not name a machine for every rank.
    """
    match event:
        case PlacementGranted() | PlacementImpossible() | NoRoom():
            return _on_placement(job, event, now)
        case ReplicaStarted() | ReplicaStartFailed() | ReplicaEnded() | ReplicaLost():
            return on_replica(job, event, now)
        case FolderReady(output_folder=folder):
            return _on_folder(job, folder)
        case Noted():
            return _on_note(job, event)
        case CleanedUp(incarnation=incarnation):
            return _on_cleaned_up(job, incarnation, now)
        case Doubted():
            return on_doubt(job, event)
        case Tick():
            return _on_tick(job, now)
        case ChargeDue():
            return _on_charge_due(job, now)
        case _:
            return _on_order(job, event, now)


def _on_order(
    job: Job,
    event: StopRequested | SuspendRequested | UnsuspendRequested | TimeExtended | Restarted,
    now: Millis,
) -> Decision:
    match event:
        case StopRequested():
            return on_stop(job, event, now)
        case SuspendRequested():
            return on_suspend(job, now)
        case UnsuspendRequested():
            return on_unsuspend(job, now)
        case TimeExtended():
            return on_extend(job, event)
        case Restarted():
            return on_restart(job, now)
    assert_never(event)


def due(job: Job, effect: Effect) -> bool:
    """Whether an effect of an earlier decision still needs doing after later ones: nobody waits for a rank that is
    over."""
    if not isinstance(effect, WatchReplica) or effect.incarnation != job.incarnation:
        return True
    return not any(rank.rank == effect.rank and rank.over for rank in job.ranks)


def outstanding(job: Job) -> tuple[Effect, ...]:
    """What has to be done, again perhaps, for a job that was loaded from disk. Never an `Announce`: those are on disk,
    too."""
    match job.phase:
        case Queued():
            return (RequestPlacement(job.incarnation + 1),)
        case Starting(ranks=ranks):
            return (*_start(job, ranks), *transitions.watch(job, ranks))
        case Running(ranks=ranks) | Lingering(ranks=ranks):
            return transitions.watch(job, ranks)
        case Ending(ranks=ranks):
            return (*transitions.stop(job, ranks), *transitions.watch(job, ranks))
        case Cleaning() as phase:
            return (transitions.clean_up(job, phase),)
        case Suspended() | Final():
            return ()


def _start(job: Job, ranks: tuple[Rank, ...]) -> tuple[StartReplica, ...]:
    """A rank that ended without a handle has started, too."""
    waiting = (rank for rank in ranks if not rank.started and not rank.over)
    return tuple(StartReplica(job.incarnation, rank.rank, rank.host) for rank in waiting)


def _on_placement(job: Job, event: PlacementGranted | PlacementImpossible | NoRoom, now: Millis) -> Decision:
    phase = job.phase
    if not isinstance(phase, Queued):
        return unchanged(job)  # a grant for a job that left the queue is released by its CleanUp
    match event:
        case PlacementGranted(incarnation=incarnation):
            granted = incarnation == job.incarnation + 1
            return _place(job, event) if granted else unchanged(job)
        case PlacementImpossible(reason=reason):
            return transitions.conclude(job, verdicts.not_started(reason), now)
        case NoRoom():
            if phase.told_waiting:
                return unchanged(job)
            return transitions.to_phase(job, replace(phase, told_waiting=True), Announce(status=texts.NO_MACHINE))


def _on_note(job: Job, event: Noted) -> Decision:
    """A text of passing interest; a job that has moved on meanwhile does not get it."""
    if job.final or event.incarnation not in (None, job.incarnation):
        return unchanged(job)
    return job, (Announce(status=texts.one_line(event.status), passing=True),)


def _place(job: Job, grant: PlacementGranted) -> Decision:
    hosts = grant.hosts
    if len(hosts) != job.spec.replicas:
        raise ValueError(f"job {job.id} has {job.spec.replicas} replicas but was granted {len(hosts)} machines")
    addresses = grant.addresses or (None,) * len(hosts)
    gpus = grant.gpus or ((),) * len(hosts)
    ranks = tuple(Rank(rank, host, addresses[rank], gpus=gpus[rank]) for rank, host in enumerate(hosts))
    job = replace(job, incarnation=job.incarnation + 1)
    told = Announce(status=texts.scheduled(hosts), passing=True)
    return transitions.to_phase(job, Starting(ranks), told, *_start(job, ranks))


def _on_folder(job: Job, folder: str) -> Decision:
    """Told with RUNNING, or with the end of what never ran; alone only if RUNNING went out before (W5: with a text)."""
    if job.output_folder == folder or job.final:
        return unchanged(job)
    job = replace(job, output_folder=folder)
    if job.told is not JobState.RUNNING or is_ending(job):
        return job, ()
    return job, (Announce(status=texts.FOLDER_READY, output_folder=folder),)


def _on_cleaned_up(job: Job, incarnation: int, now: Millis) -> Decision:
    if isinstance(job.phase, Cleaning) and incarnation == job.incarnation:
        return transitions.settle(job, job.phase, now)
    return unchanged(job)


def _on_charge_due(job: Job, now: Millis) -> Decision:
    """A silent end is of a job that the Core does not know: it would be charged to nobody, or to another job (O3)."""
    verdict = verdict_in_force(job)
    if job.final or (verdict is not None and verdict.silent):
        return unchanged(job)
    job, charge = charging.charge(job, now)
    return job, () if charge is None else (charge,)


def _on_tick(job: Job, now: Millis) -> Decision:
    if timing.expired(job, now):
        return transitions.conclude(job, verdicts.at_deadline(job, job.ranks), now)
    match job.phase:
        case Lingering(ranks=ranks, until=until) if now >= until:
            return transitions.end(job, ranks, verdicts.natural(job, ranks), now)
        case Suspended(resume=True) as phase:
            return transitions.resume(job, phase, now)
        case Suspended() as phase:
            return _warn(job, phase, now)
        case _:
            return unchanged(job)


def _warn(job: Job, phase: Suspended, now: Millis) -> Decision:
    """TIME-4: its data goes with it."""
    end, moment = timing.deadline(job), timing.warns_at(job)
    if end is None or moment is None or now < moment:
        return unchanged(job)
    return transitions.to_phase(job, replace(phase, warned=True), Announce(status=texts.expires_soon(end - now)))
