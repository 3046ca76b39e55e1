"""What a user chose for all of their jobs (end-user-api 9, G): whether and how often they are sampled.

Kept for the web page, which shows it again. Samples are taken anyway and thinned where they are shown (W15).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, delete, insert, select

from ucloud_ray.db import Database
from ucloud_ray.orchestrator.errors import BadRequest
from ucloud_ray.orchestrator.items import JobSettings
from ucloud_ray.orchestrator.tables import job_settings
from ucloud_ray.orchestrator.tokens import User

MAX_RATE_LENGTH = 64


class JobSettingsBook:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def retrieve(self, user: User) -> dict[str, Any]:
        """What was chosen last; nothing is toggled for who never chose."""

        def work(connection: Connection) -> dict[str, Any]:
            chosen = connection.execute(select(job_settings).where(job_settings.c.username == user.name)).one_or_none()
            if chosen is None:
                return {"toggled": False, "sampleRateValue": None}
            return {"toggled": chosen.toggled, "sampleRateValue": chosen.sample_rate}

        return await self._database.read(work)

    async def update(self, user: User, chosen: JobSettings) -> None:
        """Raises `BadRequest`."""
        rate = chosen.sample_rate_value
        if rate is not None and (len(rate) > MAX_RATE_LENGTH or "\0" in rate):
            raise BadRequest(f"sampleRateValue: must be a text of at most {MAX_RATE_LENGTH} characters without NUL")

        def work(connection: Connection) -> None:
            connection.execute(delete(job_settings).where(job_settings.c.username == user.name))
            values = {"username": user.name, "toggled": chosen.toggled, "sample_rate": rate}
            connection.execute(insert(job_settings).values(values))

        await self._database.write(work)
