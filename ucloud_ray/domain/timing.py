"""The arithmetic of a job's times (section 7). Called by the life cycle; reads no clock."""

from __future__ import annotations

from dataclasses import replace

from ucloud_ray.domain.ids import Millis
from ucloud_ray.domain.job import Job, Lingering, Running, Suspended, TimeBook


def enter_running(times: TimeBook, now: Millis) -> TimeBook:
    """LC-22: every RUNNING moves `last_running`, only the first one starts the allocation (TIME-3)."""
    first = now if times.first_running is None else times.first_running
    return replace(times, first_running=first, last_running=now, running_since=now)


def leave_running(times: TimeBook, now: Millis) -> TimeBook:
    """The last rank is over. Unchanged if no RUNNING interval is open."""
    if times.running_since is None:
        return times
    return replace(times, ran=times.ran + max(0, now - times.running_since), running_since=None)


def extend(times: TimeBook, by: int) -> TimeBook:
    """On top of what we hold, earlier extensions included (TIME-5)."""
    return times if times.allocation is None else replace(times, allocation=times.allocation + by)


def expired(job: Job, now: Millis) -> bool:
    """Whether the deadline ends the job now. Never while it is in the queue (LC-2); a machine that is suspended or
    running again is held to its first RUNNING (TIME-4)."""
    deadline = job.times.deadline
    return isinstance(job.phase, Running | Lingering | Suspended) and deadline is not None and now >= deadline


def wakes_at(job: Job) -> Millis | None:
    """When the next `Tick` matters, perhaps already past; None if time alone changes nothing."""
    if not isinstance(job.phase, Running | Lingering | Suspended):
        return None
    moments = [moment for moment in (job.times.deadline, _own_moment(job)) if moment is not None]
    return min(moments, default=None)


def _own_moment(job: Job) -> Millis | None:
    match job.phase:
        case Lingering(until=until):
            return until
        case Suspended(since=since, resume=True):
            return since
        case _:
            return None
