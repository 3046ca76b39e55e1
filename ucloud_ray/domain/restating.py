"""Saying a job's present state once more, because somebody outside may believe another one.

Called by `lifecycle.decide` for a job that lives, and by the service for one that is over. It changes no job.
"""

from __future__ import annotations

from ucloud_ray.domain import texts
from ucloud_ray.domain.effects import Announce
from ucloud_ray.domain.events import Doubted
from ucloud_ray.domain.job import Final, Job, JobState
from ucloud_ray.domain.on_order import verdict_in_force
from ucloud_ray.domain.transitions import Decision, folder_with, unchanged

_STATUS: dict[JobState, str] = {
    JobState.IN_QUEUE: texts.WAITING,
    JobState.RUNNING: texts.RUNNING,
    JobState.CANCELING: texts.CANCELLING,
    JobState.SUSPENDED: texts.POWERED_OFF,
}


def on_doubt(job: Job, event: Doubted) -> Decision:
    """The state again, in order with everything else that is told. Nothing for a job that is over (decision 0004)."""
    update = None if job.final else restate(job, even_if_same=event.even_if_same)
    return unchanged(job) if update is None else (job, (update,))


def restate(job: Job, *, even_if_same: bool = False) -> Announce | None:
    """The job's present state once more: for a Core that believes another one (11.4, REC-13), or, with
    `even_if_same`, for a page that believes another one after a refusal (W12). None for a job that the Core forgot.
    """
    verdict = verdict_in_force(job)
    if verdict is not None and verdict.silent:
        return None
    return Announce(
        state=job.told,
        status=_present_status(job),
        output_folder=folder_with(job, job.told),
        allow_restart=verdict.allow_restart if verdict is not None and job.final else None,
        expected_different_state=not even_if_same,
    )


def _present_status(job: Job) -> str:
    return job.phase.verdict.status if isinstance(job.phase, Final) else _STATUS[job.told]
