"""Deleting the record of a job, for administrators. UCloud's Core deletes jobs, too, and its providers must cope
(REC-9).

The provider is not told: it finds out when its next update is answered with 404, or when it compares its jobs with
ours, and then stops the job. What was charged stays charged, and the id is never given to another job."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from ucloud_ray.db import Database
from ucloud_ray.orchestrator import job_rows
from ucloud_ray.orchestrator.errors import job_not_found
from ucloud_ray.orchestrator.hub import Hub
from ucloud_ray.orchestrator.job_record import parse_id


class JobRemoval:
    def __init__(self, database: Database, hub: Hub) -> None:
        self._database = database
        self._hub = hub

    async def remove(self, job_ids: Sequence[str]) -> None:
        """All or none. Raises `NotFound`. Whoever follows one of the jobs is told the same."""

        def work(connection: Connection) -> list[int]:
            numbers = [_existing(connection, job_id) for job_id in job_ids]
            for number in numbers:
                job_rows.remove(connection, number)
            return numbers

        for number in await self._database.write(work):
            self._hub.publish_gone(number)


def _existing(connection: Connection, job_id: str) -> int:
    number = parse_id(job_id)
    if number is None or job_rows.find(connection, number) is None:
        raise job_not_found(job_id)
    return number
