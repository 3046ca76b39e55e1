"""From how the ranks ended to how the job ends (LC-6, LC-7, LC-10 to LC-12, LC-14).

Called by the life cycle only. Decides nothing about when a job ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ucloud_ray.domain import texts, timing
from ucloud_ray.domain.events import StopCause
from ucloud_ray.domain.job import Backend, Exit, Job, JobState, Rank, Verdict

EXPIRED = Verdict(JobState.EXPIRED, texts.EXPIRED, allow_restart=False)
MACHINE_LOST = Verdict(JobState.FAILURE, texts.MACHINE_LOST)
SUSPENDED = Verdict(JobState.SUSPENDED, texts.POWERED_OFF)

_STOPPED = {
    StopCause.CANCELLED: Verdict(JobState.SUCCESS, texts.CANCELLED, allow_restart=False),
    StopCause.NO_CREDITS: Verdict(JobState.SUCCESS, texts.NO_CREDITS, allow_restart=False),
    StopCause.LOST_PERMISSIONS: Verdict(JobState.SUCCESS, texts.LOST_PERMISSIONS, allow_restart=False),
    StopCause.FORGOTTEN: Verdict(JobState.FAILURE, texts.UNKNOWN_JOB, silent=True),
}

_KEPT = {
    StopCause.NO_CREDITS: Verdict(JobState.SUSPENDED, texts.SUSPENDED_NO_CREDITS),
    StopCause.LOST_PERMISSIONS: Verdict(JobState.SUSPENDED, texts.SUSPENDED_LOST_PERMISSIONS),
}

_BADNESS = (JobState.SUSPENDED, JobState.SUCCESS, JobState.EXPIRED, JobState.FAILURE)
"""LC-6, best first; ranks that have not ended have no part in it."""


def of_stop(cause: StopCause) -> Verdict:
    return _STOPPED[cause]


def of_lock(cause: StopCause) -> Verdict | None:
    """Of a machine whose data is kept in spite of the cause (SUS-10); None: the cause ends machines, too."""
    return _KEPT.get(cause)


def not_started(reason: str) -> Verdict:
    return Verdict(JobState.FAILURE, texts.not_started(reason))


def try_again(reason: str) -> Verdict:
    """The placement is given back and asked for again (SCH-11)."""
    return Verdict(JobState.IN_QUEUE, texts.try_again(reason))


def natural(job: Job, ranks: Sequence[Rank]) -> Verdict:
    """The worst over the ranks that ended by themselves; at least one of them has."""
    return _worst(_of_ranks(job, ranks))


def at_deadline(job: Job, ranks: Sequence[Rank]) -> Verdict:
    """What still runs expires; what ended by itself before keeps its own verdict (TIME-10)."""
    return _worst((*_of_ranks(job, ranks), EXPIRED))


def after_stop(job: Job, ranks: Sequence[Rank], verdict: Verdict) -> Verdict:
    """An end that we caused does not change the verdict. What was over before its deadline has not expired, although
    nobody looked until after it: we caused nothing (TIME-10, TIME-11)."""
    if verdict.state is JobState.EXPIRED and timing.ended_in_time(job, ranks):
        return natural(job, ranks)
    return verdict


def _of_ranks(job: Job, ranks: Iterable[Rank]) -> tuple[Verdict, ...]:
    """Strange ends first, so that of two equal states the more telling text is kept."""
    ends = sorted((rank.exit for rank in ranks if rank.exit is not None), key=_clean)
    return tuple(_of_exit(job, end) for end in ends)


def _of_exit(job: Job, exit: Exit) -> Verdict:
    if job.spec.backend is Backend.VIRTUAL_MACHINE:
        return SUSPENDED  # a guest that powers itself off keeps its disk (SUS-5)
    failed = job.rules.exit_code_policy == "strict" and not _clean(exit)
    return Verdict(JobState.FAILURE if failed else JobState.SUCCESS, _text(exit), allow_restart=True)


def _clean(exit: Exit) -> bool:
    """Exit status 0. It also outweighs a note that memory ran short: then only a child was killed for it."""
    return exit.code == 0


def _text(exit: Exit) -> str:
    if _clean(exit):
        return texts.FINISHED
    if exit.out_of_memory:
        return texts.OUT_OF_MEMORY
    if exit.signal is not None:
        return f"{texts.FINISHED} (signal {exit.signal})"
    return f"{texts.FINISHED} (exit code {'unknown' if exit.code is None else exit.code})"


def _worst(verdicts: Sequence[Verdict]) -> Verdict:
    """The first of the worst."""
    return max(verdicts, key=lambda verdict: _BADNESS.index(verdict.state))
