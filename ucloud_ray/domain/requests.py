"""What the service checks before it hands an order to the life cycle. Pure; called by the service only.

A refusal is a text for users; None means that the order may go on (or that there is nothing to do and 200 is right).
`decide` tolerates everything refused here, because the job may change between the check and the order.
"""

from __future__ import annotations

import re
from dataclasses import replace

from ucloud_ray.domain import texts
from ucloud_ray.domain.ids import JobId, Millis
from ucloud_ray.domain.job import Backend, Job, JobSpec, Machine, Queued, Starting
from ucloud_ray.domain.on_order import is_ending, is_restartable, verdict_in_force

__all__ = [
    "is_ending",
    "is_forgotten",
    "is_possible_id",
    "is_restartable",
    "refuse_allocation",
    "refuse_extension",
    "refuse_suspension",
    "refuse_unsuspension",
    "same_job",
]

MAX_ALLOCATION = 100 * 365 * 24 * 3600 * 1000
"""Milliseconds, a hundred years: no deadline may leave the range of the numbers on the wire and in the store."""


_JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")


def is_possible_id(id: JobId | str) -> bool:
    """Whether UCloud could have given it: its ids are decimal numbers, and become names of folders and containers."""
    return _JOB_ID.fullmatch(id) is not None


def is_forgotten(job: Job) -> bool:
    """Whether the Core denied it or gave its id away, so that nothing is said of it any more (REC-9, O3)."""
    verdict = verdict_in_force(job)
    return verdict is not None and verdict.silent


def refuse_allocation(spec: JobSpec, longest: int | None) -> str | None:
    """TIME-9. `longest` in milliseconds, None: as long as anybody wants. Machines come without a time (TIME-2)."""
    if longest is None or spec.backend is Backend.VIRTUAL_MACHINE:
        return None
    if spec.time_allocation is None:
        return f"Jobs on this machine type need a time, of at most {texts.duration(longest)}."
    if spec.time_allocation > longest:
        return f"Jobs on this machine type may have at most {texts.duration(longest)}. Ask for less time."
    return None


def refuse_extension(job: Job, by: int, longest: int | None = None) -> str | None:
    """TIME-7, TIME-9. Milliseconds; `longest` with all extensions, None: as long as anybody wants."""
    if by <= 0:
        return "The time to add must be positive."
    if is_ending(job):
        return _over(job, "extended")
    if job.times.allocation is None:
        return None
    if longest is not None and job.times.allocation + by > longest:
        return f"Jobs on this machine type may have at most {texts.duration(longest)}. Ask for less time."
    too_far = job.times.allocation + by > MAX_ALLOCATION
    return "The job cannot be extended that far. Ask for less time." if too_far else None


def refuse_suspension(job: Job) -> str | None:
    """SUS-2, SUS-4."""
    if job.spec.backend is not Backend.VIRTUAL_MACHINE:
        return "Only virtual machines can be suspended. Stop the job instead."
    return _over(job, "suspended") if is_ending(job) else None


def refuse_unsuspension(job: Job) -> str | None:
    """SUS-6, SUS-8, W11."""
    if is_restartable(job):
        return None
    if is_ending(job):
        return _over(job, "resumed")
    if job.spec.backend is not Backend.VIRTUAL_MACHINE:
        return "Only virtual machines can be resumed."
    if isinstance(job.phase, Queued | Starting):
        return "The machine is starting already."
    return None


def _over(job: Job, done: str) -> str:
    return f"The job {'has ended' if job.final else 'is about to end'} and cannot be {done}."


def same_job(job: Job, created_at: Millis, spec: JobSpec) -> bool:
    """Whether a repeated `create` means this job (O3).

    What our own configuration adds (the size of the product, titles) is not compared: a change of it must not turn a
    running job into another one.
    """
    return job.created_at == created_at and _asked(job.spec) == _asked(spec)


def _asked(spec: JobSpec) -> JobSpec:
    return replace(spec, machine=Machine(spec.machine.product, 0, 0), application_title="")
