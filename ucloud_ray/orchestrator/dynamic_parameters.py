"""Parameters that the provider adds to the form of an application (end-user-api 9). Called by `routes_jobs`."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from ucloud_ray.orchestrator.catalogue import Catalogue
from ucloud_ray.orchestrator.errors import BadGateway, ProviderRefused
from ucloud_ray.orchestrator.job_rules import INJECTED
from ucloud_ray.orchestrator.provider_client import ProviderClient
from ucloud_ray.orchestrator.tokens import User
from ucloud_ray.wire.common import NameAndVersion


class DynamicParameters:
    def __init__(self, catalogue: Catalogue, provider: ProviderClient) -> None:
        self._catalogue = catalogue
        self._provider = provider

    async def of(self, user: User, application: NameAndVersion) -> dict[str, list[Any]]:
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
