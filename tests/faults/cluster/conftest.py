"""One installation on three hosts that is broken again and again, with its store in a PostgreSQL that all reach."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.cluster import jobs, machines
from tests.support import hosts, images, postgres
from tests.support.ray_hosts import RayHosts, ray_hosts
from tests.support.wait import wait_until


@pytest.fixture(scope="session")
def cluster() -> Iterator[RayHosts]:
    """Has run a job of each kind on each host: what the first one makes for all is there."""
    if reason := hosts.missing() or images.missing_programs() or postgres.missing_programs():
        pytest.skip(reason)
    with ray_hosts(jobs.CONFIG, postgres=True) as made:
        made.stack.add_shells()
        wait_until(lambda: jobs.all_supported(made.stack), "every host to sell what it has")
        first = [made.stack.create(**job) for job in jobs.first_ones()]
        for job_id in first:
            made.stack.wait_state(job_id, "SUCCESS", timeout=90.0)
        wait_until(lambda: not machines.snapshot(made)["containers"], "the first jobs to be cleared up")
        yield made
