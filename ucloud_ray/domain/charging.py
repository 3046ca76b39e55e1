"""What a job owes for the time that it ran (section 9). Pure; called by the life cycle and by whoever asks what is due.

Time in RUNNING only, from the first rank's life to the last one's end (ACC-1). Two ways to count:

    documented, legacyCore   whole units of time; each charge covers one interval and is named by its beginning, so that
                             it can be sent again and counts once (ACC-6, ACC-7). The rest is carried to the next
                             charge, at the end rounded.
    reportUsage              all usage since the job began, under one scope: the newest report replaces the older ones
                             (ACC-13). Rounded down, because a Core does not forgive what was too much (O6).

UCloud may give the id of a job that it gave up to another one (O3). Two jobs never share a charge then, because their
times differ. They do share a scope; but what UCloud gave up it has never let run.
"""

from __future__ import annotations

from dataclasses import replace

from ucloud_ray.domain.effects import Charge
from ucloud_ray.domain.ids import Millis
from ucloud_ray.domain.job import Job, Tariff, TimeBook

Owing = tuple[Job, Charge | None]


def due(job: Job, now: Millis) -> bool:
    """Whether `charge` would give a charge."""
    return charge(job, now)[1] is not None


def charge(job: Job, now: Millis) -> Owing:
    """Of a job that goes on: what has become due since the last charge. The same job and None: nothing has."""
    tariff = job.spec.machine.tariff
    if tariff is None or job.rules.accounting_style == "none" or job.times.first_running is None:
        return job, None
    if job.rules.accounting_style == "reportUsage":
        return _report(job, tariff, now)
    if tariff.unit is None:
        return _once(job)
    return _units(job, tariff.unit, _owed(job.times, now) // tariff.unit)


def settle(job: Job, now: Millis) -> Owing:
    """Of a job that is over for good: the rest, a begun unit counting as a whole one (ACC-6)."""
    tariff = job.spec.machine.tariff
    if tariff is None or tariff.unit is None or job.rules.accounting_style in ("reportUsage", "none"):
        return charge(job, now)
    if job.times.first_running is None:
        return job, None
    # What ran took time. Whether a short job costs something must not depend on whether its end was noticed after its
    # start or together with it.
    owed = max(_owed(job.times, now), 0 if job.times.charged else 1)
    whole, rest = divmod(owed, tariff.unit)
    begun = rest > 0 and rest >= job.rules.min_final_unit_fraction * tariff.unit
    return _units(job, tariff.unit, whole + begun)


def running_time(times: TimeBook, now: Millis) -> int:
    """Milliseconds in RUNNING so far."""
    open_since = times.running_since
    return times.ran + (max(0, now - open_since) if open_since is not None else 0)


def _owed(times: TimeBook, now: Millis) -> int:
    return max(0, running_time(times, now) - times.charged)


def _units(job: Job, unit: int, count: int) -> Owing:
    if count <= 0:
        return job, None
    paid = replace(job, times=replace(job.times, charged=job.times.charged + count * unit))
    return paid, _charge(job, _charged_until(job.times), count)


def _charged_until(times: TimeBook) -> Millis:
    """Where the next interval begins: later with every charge, also over suspensions, so that no two share a name."""
    last = times.running_since if times.running_since is not None else times.last_stopped
    assert last is not None, "a job that ran has begun to run"
    return Millis(last - times.ran + times.charged)


def _once(job: Job) -> Owing:
    """ACC-4: one unit, whenever and however long it runs."""
    if job.times.charged or job.times.first_running is None:
        return job, None
    return replace(job, times=replace(job.times, charged=1)), _charge(job, job.times.first_running, 1)


def _charge(job: Job, start: Millis, units: int) -> Charge:
    name = f"{job.id}-charge-{start}"
    if job.rules.accounting_style == "legacyCore":
        return Charge(name, "legacyCore", units=1, periods=units)  # ACC-11
    return Charge(name, "documented", units=units, periods=job.spec.replicas)


def _report(job: Job, tariff: Tariff, now: Millis) -> Owing:
    usage = job.spec.replicas * tariff.amount_milli // 1000
    if tariff.unit is not None:
        ran = job.times.ran_before + running_time(job.times, now)
        usage = job.spec.replicas * tariff.amount_milli * ran // (1000 * tariff.unit)
    if usage <= job.times.charged:
        return job, None
    reported = replace(job, times=replace(job.times, charged=usage))
    return reported, Charge(scope_of(job), "reportUsage", units=usage, periods=1)


def scope_of(job: Job) -> str:
    """Of its usage reports; stays the same for ever (ACC-13)."""
    return f"job-{job.id}"
