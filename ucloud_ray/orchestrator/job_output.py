"""Parts of a job's output by byte offset, and what its ranks use: calls of our own beside UCloud's API.

The orchestrator checks who asks, as for `retrieve`, and the provider reads. A provider that does not know the calls
answers 404, which is passed on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ucloud_ray.db import Database
from ucloud_ray.orchestrator import access
from ucloud_ray.orchestrator.errors import BadGateway
from ucloud_ray.orchestrator.job_record import JobRecord
from ucloud_ray.orchestrator.provider_client import ProviderClient
from ucloud_ray.orchestrator.tokens import User

PART_OPTIONS = ("rank", "stream", "offset", "limit")


class JobOutput:
    def __init__(self, database: Database, provider: ProviderClient) -> None:
        self._database = database
        self._provider = provider

    async def logs(self, user: User, job_id: str, options: Mapping[str, str]) -> dict[str, Any]:
        """`{jobId, rank, stream, offset, nextOffset, total, text, state}`: text from `offset` on, where it begins and
        where to read on, both in bytes; `total` is the size at that moment. In a final `state` nothing follows it.

        `options`: `rank` (0), `stream` (`stdout`), `offset` (0; negative: from the end), `limit` in bytes. What was
        given back to the disk is passed over: then `offset` is greater than the one asked for. Raises `NotFound`,
        `ProviderRefused`, `BadGateway`.
        """
        # Before the output: a state that is final then has no output after this answer.
        record = await self._record(user, job_id)
        return {"jobId": job_id, **await self._asked("jobs/logs", record, options, user), "state": record.facts.state}

    async def usage(self, user: User, job_id: str, history: bool) -> dict[str, Any]:
        """`{jobId, ranks: [{rank, at, cores, memory, processes, ...PerSecond}]}`, with `samples` in each if wanted."""
        record = await self._record(user, job_id)
        options = {"history": "true"} if history else {}
        return {"jobId": job_id, **await self._asked("jobs/usage", record, options, user)}

    async def _asked(self, path: str, record: JobRecord, options: Mapping[str, str], user: User) -> dict[str, Any]:
        query = {"jobId": str(record.id), "createdAt": str(record.created_at), **options}
        answer = await self._provider.get(path, query, user.name)
        if not isinstance(answer, dict):
            raise BadGateway("Bad response from provider")
        return answer

    async def _record(self, user: User, job_id: str) -> JobRecord:
        reached = await self._database.read(lambda connection: access.reach(connection, user, job_id, access.READ))
        return reached.record
