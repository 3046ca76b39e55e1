"""What replica events do to a job. Called by `lifecycle.decide` only.

Each function ignores events of another incarnation, of ranks that are over, and of phases that have no live ranks.
"""

from __future__ import annotations

from dataclasses import replace

from ucloud_ray.domain import transitions, verdicts
from ucloud_ray.domain.events import ReplicaEnded, ReplicaLost, ReplicaStarted, ReplicaStartFailed
from ucloud_ray.domain.ids import Millis
from ucloud_ray.domain.job import Ending, Job, Lingering, Rank, Running, Starting, Verdict
from ucloud_ray.domain.transitions import Decision, unchanged

ReplicaEvent = ReplicaStarted | ReplicaStartFailed | ReplicaEnded | ReplicaLost
LivePhase = Starting | Running | Lingering | Ending


def on_replica(job: Job, event: ReplicaEvent, now: Millis) -> Decision:
    phase = job.phase
    if not isinstance(phase, Starting | Running | Lingering | Ending) or event.incarnation != job.incarnation:
        return unchanged(job)
    rank = next((rank for rank in phase.ranks if rank.rank == event.rank), None)
    if rank is None or rank.over:
        return unchanged(job)
    match event:
        case ReplicaStarted():
            return unchanged(job) if rank.started else _started(job, phase, replace(rank, handle=event.handle), now)
        case ReplicaStartFailed():
            return unchanged(job) if rank.started else _start_failed(job, phase, rank, event, now)
        case ReplicaEnded():
            return _over(job, phase, replace(rank, exit=event.exit), now)
        case ReplicaLost():
            return _lost(job, phase, rank, now)


def _started(job: Job, phase: LivePhase, rank: Rank, now: Millis) -> Decision:
    ranks = _with(phase.ranks, rank)
    watching = transitions.watch(job, (rank,))
    if isinstance(phase, Ending):  # the start was under way when the stop was decided (REC-18)
        return transitions.to_phase(job, Ending(ranks, phase.verdict), *transitions.stop(job, (rank,)), *watching)
    job, effects = _begin(job, ranks, now)
    return job, (*watching, *effects)


def _start_failed(job: Job, phase: LivePhase, rank: Rank, event: ReplicaStartFailed, now: Millis) -> Decision:
    gone = replace(rank, lost=True)
    if isinstance(phase, Ending):
        return _over(job, phase, gone, now)
    verdict = _after_failed_start(job, event)
    hosts = tuple(dict.fromkeys((*job.failed_hosts, rank.host)))
    job = replace(job, failed_starts=job.failed_starts + 1, failed_hosts=hosts)
    return transitions.end(job, _with(phase.ranks, gone), verdict, now)


def _after_failed_start(job: Job, event: ReplicaStartFailed) -> Verdict:
    """SCH-11: a passing reason gives the placement back, but not for ever."""
    if event.retryable and job.failed_starts + 1 < job.rules.max_start_attempts:
        return verdicts.try_again(event.reason)
    return verdicts.not_started(event.reason)


def _lost(job: Job, phase: LivePhase, rank: Rank, now: Millis) -> Decision:
    """SCH-16, and the expected answer to a stop of a rank that never started."""
    gone = replace(rank, lost=True)
    if isinstance(phase, Ending):
        return _over(job, phase, gone, now)
    return transitions.end(job, _with(phase.ranks, gone), verdicts.MACHINE_LOST, now)


def _over(job: Job, phase: LivePhase, rank: Rank, now: Millis) -> Decision:
    """A rank has ended."""
    ranks = _with(phase.ranks, rank)
    match phase:
        case Starting():
            return _begin(job, ranks, now)
        case Running() | Lingering():
            return _after_end(job, phase, ranks, now)
        case Ending(verdict=verdict):
            if all(rank.over for rank in ranks):
                return transitions.clean(job, ranks, verdicts.after_stop(job, ranks, verdict), now)
            return transitions.to_phase(job, Ending(ranks, verdict))


def _begin(job: Job, ranks: tuple[Rank, ...], now: Millis) -> Decision:
    """RUNNING once the last rank has started (LC-5); ranks that ended meanwhile have started, too (LC-3)."""
    if not all(rank.started or rank.over for rank in ranks):
        return transitions.to_phase(job, Starting(ranks))
    job, told = transitions.run(job, ranks, now)
    if not any(rank.over for rank in ranks):
        return job, told
    job, effects = _after_end(job, Running(ranks), ranks, now)
    return job, told + effects


def _after_end(job: Job, phase: Running | Lingering, ranks: tuple[Rank, ...], now: Millis) -> Decision:
    """The first end decides for the job, but its equals may come in within the linger (LC-7)."""
    if all(rank.over for rank in ranks):
        return transitions.clean(job, ranks, verdicts.natural(job, ranks), now)
    if isinstance(phase, Lingering) or job.rules.replica_end_policy == "all":
        return transitions.to_phase(job, replace(phase, ranks=ranks))
    return transitions.to_phase(job, Lingering(ranks, until=Millis(now + job.rules.replica_linger)))


def _with(ranks: tuple[Rank, ...], changed: Rank) -> tuple[Rank, ...]:
    return tuple(changed if rank.rank == changed.rank else rank for rank in ranks)
