"""The moves that a job can make, each with the effects that belong to it. The life cycle chooses among them.

Every move gives the changed job and what is to be done; the same job object back means that nothing happened.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ucloud_ray.domain import charging, texts, timing
from ucloud_ray.domain.effects import Announce, CleanUp, Effect, RequestPlacement, StopReplica, WatchReplica
from ucloud_ray.domain.ids import Millis
from ucloud_ray.domain.job import (
    Backend,
    Cleaning,
    Ending,
    Final,
    Job,
    JobState,
    Phase,
    Queued,
    Rank,
    Running,
    Suspended,
    TimeBook,
    Verdict,
)

Decision = tuple[Job, tuple[Effect, ...]]

LONGEST_PAUSE = 60_000
"""Milliseconds between two attempts to start a job (SCH-11)."""


def unchanged(job: Job) -> Decision:
    return job, ()


def to_phase(job: Job, phase: Phase, *effects: Effect) -> Decision:
    return replace(job, phase=phase), effects


def tell(
    job: Job, state: JobState, status: str, *, repeat: bool = False, allow_restart: bool | None = None
) -> Decision:
    """Announce a state. `repeat`: the text must appear even if the Core is in that state already (1.6)."""
    update = Announce(
        state=state,
        status=status,
        output_folder=folder_with(job, state),
        allow_restart=allow_restart,
        expected_different_state=not repeat,
    )
    return replace(job, told=state), (*_reason_first(job, update), update)


def folder_with(job: Job, state: JobState) -> str | None:
    """The job folder, which is told once (ENV-4): with RUNNING, or with the end of a job that never ran."""
    tells = state is JobState.RUNNING or (state.final and job.times.first_running is None)
    return job.output_folder if tells else None


def _reason_first(job: Job, update: Announce) -> tuple[Announce, ...]:
    """The page of a machine drops the text of an update with a state (W6), so that a reason goes ahead of it."""
    has_reason = update.state is not None and (update.state.final or update.state is JobState.SUSPENDED)
    is_machine = job.spec.backend is Backend.VIRTUAL_MACHINE
    return (Announce(status=update.status),) if has_reason and is_machine else ()


# ------------------------------------------------------------------------------------------------------- queue


def queue(job: Job, now: Millis, ranks: tuple[Rank, ...] = ()) -> Decision:
    """Ask for room under the next number. `ranks`: where the disks of a resumed machine are."""
    return to_phase(job, Queued(since=now, ranks=ranks), RequestPlacement(job.incarnation + 1))


def resume(job: Job, phase: Suspended, now: Millis) -> Decision:
    """T11."""
    job, told = tell(job, JobState.IN_QUEUE, texts.WAITING)
    job, asked = queue(job, now, phase.ranks)
    return job, told + asked


def restart(job: Job, now: Millis) -> Decision:
    """A new life under the same id (LC-26). The numbers of placements go on, so that the old life stays dead."""
    job = replace(job, failed_starts=0, failed_hosts=(), times=_fresh_times(job))
    job, told = tell(job, JobState.IN_QUEUE, texts.WAITING, repeat=True)
    job, asked = queue(job, now)
    return job, told + asked


def _fresh_times(job: Job) -> TimeBook:
    """What is reported or paid once for all lives goes on, and so does the time that was added: the Core shows the end
    by it (LC-23). Intervals of time begin anew."""
    times, tariff = job.times, job.spec.machine.tariff
    goes_on = job.rules.accounting_style == "reportUsage" or (tariff is not None and tariff.unit is None)
    return TimeBook(
        allocation=times.allocation,
        ran_before=times.ran_before + times.ran,
        charged=times.charged if goes_on else 0,
    )


# --------------------------------------------------------------------------------------------------------- run


def run(job: Job, ranks: tuple[Rank, ...], now: Millis) -> Decision:
    """T2. State, text and job folder travel in one update (W4)."""
    times = timing.enter_running(job.times, now)
    running = replace(job, phase=Running(ranks), failed_starts=0, failed_hosts=(), times=times)
    return tell(running, JobState.RUNNING, texts.RUNNING)


def watch(job: Job, ranks: Iterable[Rank]) -> tuple[WatchReplica, ...]:
    """Wait for every rank that runs."""
    return tuple(
        WatchReplica(job.incarnation, rank.rank, rank.host, rank.handle)
        for rank in ranks
        if rank.handle is not None and not rank.over
    )


def stop(job: Job, ranks: Iterable[Rank]) -> tuple[StopReplica, ...]:
    """Stop every rank that is not over, also one whose start is still under way (REC-18)."""
    return tuple(
        StopReplica(job.incarnation, rank.rank, rank.host, rank.handle, job.rules.stop_grace)
        for rank in ranks
        if not rank.over
    )


# --------------------------------------------------------------------------------------------------------- end


def conclude(job: Job, verdict: Verdict, now: Millis) -> Decision:
    """End the job in whatever phase it is. A verdict that is already in force is replaced; a final job stays."""
    match job.phase:
        case Final():
            return unchanged(job)
        case Queued(ranks=ranks) | Suspended(ranks=ranks):
            # A new number: a grant under way is released, and a late CleanedUp of the suspension does not count.
            return clean(replace(job, incarnation=job.incarnation + 1), ranks, verdict, now)
        case Ending() | Cleaning():
            return _revise(job, job.phase, verdict)
        case phase:
            return end(job, phase.ranks, verdict, now)


def end(job: Job, ranks: tuple[Rank, ...], verdict: Verdict, now: Millis) -> Decision:
    """Stop what runs; clean up at once if nothing does."""
    if all(rank.over for rank in ranks):
        return clean(job, ranks, verdict, now)
    return to_phase(job, Ending(ranks, verdict), *stop(job, ranks))


def clean(job: Job, ranks: tuple[Rank, ...], verdict: Verdict, now: Millis) -> Decision:
    cleaning = Cleaning(ranks, verdict)
    times = timing.leave_running(job.times, now, _last_end(ranks))
    return to_phase(replace(job, times=times), cleaning, clean_up(job, cleaning))


def _last_end(ranks: tuple[Rank, ...]) -> Millis | None:
    """When the last of them ended; None unless it is known of all."""
    ends = [rank.exit.at for rank in ranks if rank.exit is not None and rank.exit.at is not None]
    return max(ends) if ends and len(ends) == len(ranks) else None


def clean_up(job: Job, phase: Cleaning) -> CleanUp:
    hosts = tuple(rank.host for rank in phase.ranks)
    return CleanUp(job.incarnation, hosts, keep_data=_keeps_data(job, phase.verdict))


def _keeps_data(job: Job, verdict: Verdict) -> bool:
    """A machine keeps its disks until it ends for good (SUS-3)."""
    return job.spec.backend is Backend.VIRTUAL_MACHINE and not verdict.state.final


def _revise(job: Job, phase: Ending | Cleaning, verdict: Verdict) -> Decision:
    revised = replace(phase, verdict=verdict)
    if isinstance(revised, Ending) or _keeps_data(job, verdict) == _keeps_data(job, phase.verdict):
        return to_phase(job, revised)
    # The clean-up under way does something else. A new number keeps its answer from counting.
    job = replace(job, incarnation=job.incarnation + 1)
    return to_phase(job, revised, clean_up(job, revised))


def settle(job: Job, phase: Cleaning, now: Millis) -> Decision:
    """Nothing is held any more, so the Core may know (LC-19)."""
    verdict = phase.verdict
    if verdict.state is JobState.IN_QUEUE:
        return _queue_again(job, phase, now)
    job = replace(job, phase=_resting(phase, now))
    if verdict.silent:
        return unchanged(job)
    job, told = tell(job, verdict.state, verdict.status, allow_restart=verdict.allow_restart)
    if not job.final:
        return job, told
    job, charge = charging.settle(job, now)
    return job, told if charge is None else (*told, charge)


def _queue_again(job: Job, phase: Cleaning, now: Millis) -> Decision:
    """SCH-11: at its old position, after a pause that grows, so that a machine or registry in trouble is left alone."""
    pause = min(job.rules.start_pause << min(job.failed_starts - 1, 10), LONGEST_PAUSE) if job.failed_starts else 0
    ranks = phase.ranks if _keeps_data(job, phase.verdict) else ()
    queued = Queued(since=now, ranks=ranks, not_before=Millis(now + pause))
    told = Announce(status=phase.verdict.status, passing=True)
    return to_phase(job, queued, told, RequestPlacement(job.incarnation + 1))


def _resting(phase: Cleaning, now: Millis) -> Suspended | Final:
    if phase.verdict.state is JobState.SUSPENDED:
        return Suspended(since=now, ranks=phase.ranks, resume=phase.verdict.resume)
    return Final(phase.verdict, at=now, ranks=phase.ranks)
