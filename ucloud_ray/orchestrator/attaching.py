"""Resources of a job that exists already (end-user-api 9). Called by `routes_jobs`.

The provider decides; what changed comes back as an update with the new `resourceList`.
"""

from __future__ import annotations

from ucloud_ray.db import Database
from ucloud_ray.orchestrator import access
from ucloud_ray.orchestrator.items import AttachRequest
from ucloud_ray.orchestrator.job_rules import check_resource
from ucloud_ray.orchestrator.provider_client import ProviderClient
from ucloud_ray.orchestrator.tokens import User
from ucloud_ray.orchestrator.view import JobView
from ucloud_ray.wire.common import to_wire


class Attaching:
    def __init__(self, database: Database, provider: ProviderClient, view: JobView) -> None:
        self._database = database
        self._provider = provider
        self._view = view

    async def change(self, user: User, call: str, wanted: AttachRequest) -> None:
        """`call`: `attachResource` or `detachResource`. Raises `NotFound` without the right to EDIT the job,
        `BadRequest` for what is no resource, and what the provider refuses it with (provider-api 6.13)."""
        check_resource(wanted.resource, "resource")
        (job,) = await self._database.read(
            lambda connection: access.reach_all(connection, user, [wanted.job_id], access.EDIT)
        )
        shown = self._view.for_provider(job.record, job.myself, job.grants)
        await self._provider.post(f"jobs/{call}", {"job": shown, "resource": to_wire(wanted.resource)}, user.name)
