"""Which of our jobs the Core believes active (control-api 5.2). `control.ports.CoreJobs`, for the reconciliation.

One state is asked for at a time: that is what both eras take. A listing that is torn is no listing: whatever is missing
of it would look like a job that the Core deleted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from pydantic import ValidationError

from ucloud_ray.control.ports import Believed, CoreSilent
from ucloud_ray.core_client.client import CoreClient, Flag
from ucloud_ray.core_client.errors import CoreError
from ucloud_ray.domain.ids import JobId, JobRef, Millis
from ucloud_ray.domain.job import JobState
from ucloud_ray.wire.jobs import JobKeyAndState

ACTIVE = (JobState.SUSPENDED, JobState.IN_QUEUE, JobState.RUNNING, JobState.CANCELING)
"""In the order in which a job goes through them, so that one that moves on meanwhile is listed at least once."""

_STATES = {state.value: state for state in JobState}


class ListedJobs:
    def __init__(self, core: CoreClient) -> None:
        self._core = core

    async def active(self) -> list[Believed]:
        """See the port. A job that moved on while we listed is there once, with its later state."""
        found: dict[JobRef, Believed] = {}
        for state in ACTIVE:
            async for job in self._listed(filterState=state.value):
                found[job.ref] = job
        return list(found.values())

    async def find(self, ref: JobRef) -> Believed | None:
        async for job in self._listed(filterIds=ref.id):
            if job.ref == ref:
                return job
        return None

    async def _listed(self, **filters: Flag) -> AsyncIterator[Believed]:
        """Raises `CoreSilent`."""
        try:
            async for job in self._core.browse(**filters):
                yield _believed(job)
        except CoreError as problem:
            raise CoreSilent(str(problem)) from problem
        except ValidationError as problem:
            raise CoreSilent("UCloud/Core listed a job of an unknown shape") from problem


def _believed(document: dict[str, Any]) -> Believed:
    """Raises `CoreSilent` for a job without a time of creation: which one it is cannot be told (O3)."""
    job = JobKeyAndState.model_validate(document)
    if job.created_at is None:
        raise CoreSilent("UCloud/Core listed a job without its time of creation")
    return Believed(JobRef(JobId(job.id), Millis(job.created_at)), _STATES.get(job.status.state))
