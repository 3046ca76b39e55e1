"""The arithmetic of a job's times (section 7). Called by the life cycle; reads no clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ucloud_ray.domain.ids import Millis
from ucloud_ray.domain.job import Job, Lingering, Rank, Running, Suspended, TimeBook

WARNING = 24 * 3600 * 1000
"""Milliseconds before a suspended machine's time ends at which its user is told (TIME-4)."""

ACCURACY = 2_000
"""Milliseconds to which a deadline is kept (TIME-10), and to which the times that machines tell are believed."""


def enter_running(times: TimeBook, now: Millis) -> TimeBook:
    """LC-22: every RUNNING moves `last_running`, only the first one starts the allocation (TIME-3)."""
    first = now if times.first_running is None else times.first_running
    return replace(times, first_running=first, last_running=now, running_since=now)


def leave_running(times: TimeBook, now: Millis, ended: Millis | None = None) -> TimeBook:
    """The last rank is over. `ended`: since when, if that is known (TIME-11: nobody may have looked); what cannot be
    true is not believed. Unchanged if no RUNNING interval is open."""
    since = times.running_since
    if since is None:
        return times
    stopped = ended if ended is not None and since <= ended <= now else Millis(max(since, now))
    return replace(times, ran=times.ran + stopped - since, running_since=None, last_stopped=stopped)


def extend(times: TimeBook, by: int) -> TimeBook:
    """On top of what we hold, earlier extensions included (TIME-5)."""
    return times if times.allocation is None else replace(times, allocation=times.allocation + by)


def deadline(job: Job) -> Millis | None:
    """When the time is over: first RUNNING plus allocation (TIME-3), whatever was suspended in between; by the option
    after as much RUNNING as was allocated (TIME-4). None: not as far as is known now."""
    times = job.times
    if times.allocation is None or times.first_running is None:
        return None
    if job.rules.suspended_time_counts:
        return Millis(times.first_running + times.allocation)
    return None if times.running_since is None else Millis(times.running_since + times.allocation - times.ran)


def expired(job: Job, now: Millis) -> bool:
    """Whether the deadline ends the job now. Never while it is in the queue (LC-2)."""
    end = deadline(job)
    return isinstance(job.phase, Running | Lingering | Suspended) and end is not None and now >= end


def ended_in_time(job: Job, ranks: Iterable[Rank]) -> bool:
    """Whether all of them are known to have ended before the deadline, by themselves therefore."""
    end, since = deadline(job), job.times.running_since
    if end is None or since is None:
        return False
    ends = (None if rank.exit is None else rank.exit.at for rank in ranks)
    return all(at is not None and since - ACCURACY <= at < end - ACCURACY for at in ends)


def warns_at(job: Job) -> Millis | None:
    """When the user of a suspended machine is to be told that its time ends soon; None if that is done, or never."""
    end = deadline(job)
    if end is None or not isinstance(job.phase, Suspended) or job.phase.warned:
        return None
    return Millis(end - WARNING)


def wakes_at(job: Job) -> Millis | None:
    """When the next `Tick` matters, perhaps already past; None if time alone changes nothing."""
    if not isinstance(job.phase, Running | Lingering | Suspended):
        return None
    moments = (deadline(job), warns_at(job), _own_moment(job))
    return min((moment for moment in moments if moment is not None), default=None)


def _own_moment(job: Job) -> Millis | None:
    match job.phase:
        case Lingering(until=until):
            return until
        case Suspended(since=since, resume=True):
            return since
        case _:
            return None
