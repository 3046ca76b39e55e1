"""What orders from outside do to a job: stop, suspend, resume, extend, restart. Called by `lifecycle.decide` only.

An order that does not apply changes nothing here; `requests` says beforehand what the caller is told.
"""

from __future__ import annotations

from dataclasses import replace

from ucloud_ray.domain import texts, timing, transitions, verdicts
from ucloud_ray.domain.effects import Announce
from ucloud_ray.domain.events import StopCause, StopRequested, TimeExtended
from ucloud_ray.domain.ids import Millis
from ucloud_ray.domain.job import Backend, Cleaning, Ending, Final, Job, JobState, Suspended, Verdict
from ucloud_ray.domain.transitions import Decision, unchanged


def verdict_in_force(job: Job) -> Verdict | None:
    """The end that was decided, if one was: the first recorded cause wins (TIME-12)."""
    return job.phase.verdict if isinstance(job.phase, Ending | Cleaning | Final) else None


def is_ending(job: Job) -> bool:
    """Whether a final state was reached or is certain."""
    verdict = verdict_in_force(job)
    return verdict is not None and verdict.state.final


def is_suspending(job: Job) -> bool:
    """Whether the way to SUSPENDED is under way."""
    verdict = verdict_in_force(job)
    return verdict is not None and verdict.state is JobState.SUSPENDED


def is_restartable(job: Job) -> bool:
    """LC-26, LC-27."""
    return isinstance(job.phase, Final) and job.spec.restart_on_exit and bool(job.phase.verdict.allow_restart)


def on_stop(job: Job, event: StopRequested, now: Millis) -> Decision:
    cause = event.cause
    if cause is StopCause.FORGOTTEN:
        return _forget(job, now)
    if is_ending(job):
        return unchanged(job)
    kept = verdicts.of_lock(cause) if _keeps_its_disks(job) else None
    if kept is not None and (isinstance(job.phase, Suspended) or is_suspending(job)):
        return _want_resume(job, False)
    job, effects = transitions.conclude(job, kept or verdicts.of_stop(cause), now)
    if event.reason:
        effects = (Announce(status=texts.one_line(event.reason)), *effects)
    if cause is not StopCause.CANCELLED or not job.rules.canceling_state:
        return job, effects
    job, told = transitions.tell(job, JobState.CANCELING, texts.CANCELLING)
    return job, told + effects


def _keeps_its_disks(job: Job) -> bool:
    """A machine that has run, where a lock suspends machines (SUS-10)."""
    ran = job.times.first_running is not None
    return ran and job.spec.backend is Backend.VIRTUAL_MACHINE and job.rules.vm_on_lock == "suspend"


def _forget(job: Job, now: Millis) -> Decision:
    """Wins over every other cause: an update might hit another job that was given the same id (O3)."""
    verdict = verdict_in_force(job)
    if job.final or (verdict is not None and verdict.silent):
        return unchanged(job)
    return transitions.conclude(job, verdicts.of_stop(StopCause.FORGOTTEN), now)


def on_suspend(job: Job, now: Millis) -> Decision:
    """T10; in the queue, too (SUS-4)."""
    if job.spec.backend is not Backend.VIRTUAL_MACHINE or is_ending(job):
        return unchanged(job)
    if isinstance(job.phase, Suspended) or is_suspending(job):
        return _want_resume(job, False)
    return transitions.conclude(job, verdicts.SUSPENDED, now)


def on_unsuspend(job: Job, now: Millis) -> Decision:
    """T11. While the suspension is still under way it is remembered and done afterwards (W11)."""
    if is_restartable(job):
        return transitions.restart(job, now)  # SUS-8
    match job.phase:
        case Suspended() as phase:
            return transitions.resume(job, phase, now)
        case _ if is_suspending(job):
            return _want_resume(job, True)
        case _:
            return unchanged(job)


def _want_resume(job: Job, resume: bool) -> Decision:
    match job.phase:
        case Suspended() as phase if phase.resume != resume:
            return transitions.to_phase(job, replace(phase, resume=resume))
        case Ending() | Cleaning() as phase if phase.verdict.resume != resume:
            return transitions.to_phase(job, replace(phase, verdict=replace(phase.verdict, resume=resume)))
        case _:
            return unchanged(job)


def on_extend(job: Job, event: TimeExtended) -> Decision:
    """TIME-5 to TIME-8. A job without an allocation has nothing to extend."""
    if job.times.allocation is None or event.by <= 0 or is_ending(job):
        return unchanged(job)
    times = timing.extend(job.times, event.by)
    told = Announce(status=texts.extended(event.by), new_time_allocation=times.allocation)
    phase = replace(job.phase, warned=False) if isinstance(job.phase, Suspended) else job.phase
    return replace(job, times=times, phase=phase), (told,)


def on_restart(job: Job, now: Millis) -> Decision:
    return transitions.restart(job, now) if is_restartable(job) else unchanged(job)
