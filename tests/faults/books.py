"""What the installation itself knows: its databases by a reader of its own, and what the API tells. Reads only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy
import yaml

from tests.support.stack import Stack
from ucloud_ray.cli.embedded import EFFECTIVE_FILE
from ucloud_ray.db.urls import parse_url

Json = dict[str, Any]
PART_BYTES = 4 * 1024 * 1024


def store_url(stack: Stack) -> str:
    """Of the provider's database."""
    effective = yaml.safe_load((stack.data / EFFECTIVE_FILE).read_text())
    return str(effective.get("store") or f"sqlite:///{stack.data / 'jobs.db'}")


@contextmanager
def provider_database(stack: Stack) -> Iterator[sqlalchemy.Connection]:
    engine = sqlalchemy.create_engine(parse_url(store_url(stack)))
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def under_way(stack: Stack, but_for: Sequence[str] = ()) -> dict[str, list[Any]]:
    """What the provider still owes somebody, but for these jobs: jobs that are not final, updates and charges that were
    not delivered."""
    owed = {
        "jobs at the provider": "SELECT job_id, phase FROM jobs WHERE NOT final",
        "updates on their way": "SELECT job_id FROM outbox",
        "charges on their way": "SELECT job_id, charge_id FROM charges",
    }
    with provider_database(stack) as connection:
        tables = sqlalchemy.inspect(connection).get_table_names()
        return {
            what: [tuple(row) for row in connection.execute(sqlalchemy.text(query)) if row[0] not in but_for]
            for what, query in owed.items()
            if query.split(" FROM ")[1].split()[0] in tables
        }


def jobs_of_user(stack: Stack) -> list[Json]:
    """Every job that UCloud shows to the user."""
    found, following = [], None
    while True:
        query = {"itemsPerPage": 250, "includeUpdates": "true"} | ({"next": following} if following else {})
        page = stack.get("/api/jobs/browse", **query)
        found += page["items"]
        following = page.get("next")
        if not following:
            return found


def log(stack: Stack, job_id: str, rank: int, stream: str) -> list[str]:
    """Lines, read part by part."""
    text, offset = "", 0
    while True:
        part = stack.get(f"/api/jobs/{job_id}/logs", rank=rank, stream=stream, offset=offset, limit=PART_BYTES)
        text += part["text"]
        if part["nextOffset"] <= offset:
            return text.splitlines()
        offset = part["nextOffset"]
