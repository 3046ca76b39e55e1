"""Makes jobs older than they are, for rules that spare young ones (REC-9)."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import sqlalchemy

from tests.faults.books import store_url
from tests.faults.victims import Victims
from tests.support.stack import Stack
from ucloud_ray.db.urls import parse_url
from ucloud_ray.domain.ids import Millis
from ucloud_ray.store.rows import job_of, job_values

_LIVE = sqlalchemy.text("SELECT uid, record, updated_at FROM jobs WHERE NOT final")
_SET = sqlalchemy.text("UPDATE jobs SET record = :record, accepted_at = :accepted_at WHERE uid = :uid")


def new_supervisor(stack: Stack, older_by: int = 0) -> int:
    """The supervisor is killed and comes back, for which every job that lives was accepted `older_by` milliseconds
    earlier. How many there are."""
    victims = Victims(stack)
    killed = victims.supervisor()
    for pid in killed:
        os.kill(pid, signal.SIGSTOP)  # nothing is written between our change and its end
    aged = _age(stack, older_by)
    victims.kill(killed)
    victims.wait_supervised(killed)
    return aged


def _age(stack: Stack, millis: int) -> int:
    engine = sqlalchemy.create_engine(parse_url(store_url(stack)))
    try:
        with engine.begin() as connection:
            rows = connection.execute(_LIVE).all()
            for _, record, updated_at in rows:
                job = job_of(record)
                assert job.accepted_at is not None
                older = replace(job, accepted_at=Millis(job.accepted_at - millis))
                values = job_values(older, updated_at)
                connection.execute(_SET, {name: values[name] for name in ("record", "accepted_at", "uid")})
            return len(rows)
    finally:
        engine.dispose()
