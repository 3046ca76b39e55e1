"""What the current Core asks of providers besides the documented calls: attach and detach resources of a job that
exists, and parameters of the provider's own (end-user-api 9). Called by `routes_jobs`.

The provider decides; what changed comes back as an update with the new `resourceList`.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from ucloud_ray.db import Database
from ucloud_ray.orchestrator import access
from ucloud_ray.orchestrator.catalogue import Catalogue
from ucloud_ray.orchestrator.errors import BadGateway, ProviderRefused
from ucloud_ray.orchestrator.items import AttachRequest
from ucloud_ray.orchestrator.job_rules import INJECTED, check_resource
from ucloud_ray.orchestrator.provider_client import ProviderClient
from ucloud_ray.orchestrator.tokens import User
from ucloud_ray.orchestrator.view import JobView
from ucloud_ray.wire.common import NameAndVersion, to_wire


class Attaching:
    def __init__(self, database: Database, catalogue: Catalogue, provider: ProviderClient, view: JobView) -> None:
        self._database = database
        self._catalogue = catalogue
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

    async def parameters(self, user: User, application: NameAndVersion) -> dict[str, list[Any]]:
        """Provider to the parameters that it adds to the form of an application; their names begin with `_injected_`,
        so that `create` takes values for them. Raises `NotFound` for an unknown application."""
        entry = self._catalogue.get(application.name, application.version)
        content = {"owner": {"createdBy": user.name, "project": None}, "application": entry.json}
        try:
            answer = await self._provider.post("jobs/requestDynamicParameters", content, user.name)
        except ProviderRefused as error:
            if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            answer = {"parameters": []}  # it has none (provider-api 3)
        return {self._provider.id: [_injected(parameter) for parameter in _listed(answer)]}


def _listed(answer: Any) -> list[dict[str, Any]]:
    found = answer.get("parameters") if isinstance(answer, dict) else None
    if not isinstance(found, list) or not all(_is_parameter(one) for one in found):
        raise BadGateway("Bad response from provider")
    return found


def _is_parameter(given: Any) -> bool:
    return isinstance(given, dict) and isinstance(given.get("name"), str)


def _injected(parameter: dict[str, Any]) -> dict[str, Any]:
    return {**parameter, "name": INJECTED + parameter["name"].removeprefix(INJECTED)}
