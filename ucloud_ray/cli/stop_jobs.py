"""Ends all jobs of the local user before `down --stop-jobs`, and waits until they are over."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ucloud_ray.cli import output
from ucloud_ray.cli.connect import connect

if TYPE_CHECKING:
    from ucloud_ray.client import Client

WAIT_SECONDS = 60.0
"""Without a job that ended."""
LOOK_SECONDS = 0.3
UNFINISHED = ("IN_QUEUE", "RUNNING", "CANCELING", "SUSPENDED")
AT_ONCE = 100
"""Jobs in one request: a provider that has a thousand to stop must not be taken for dead."""


def stop_all_jobs(data: Path) -> None:
    """Raises `errors.CliError` when the orchestrator cannot be asked; says so when jobs do not end in time."""
    from ucloud_ray.client import ClientError

    with connect(None, None, None, data, admin=True) as client:
        told: set[str] = set()
        fewest, deadline = math.inf, 0.0
        while live := _live(client):
            now = time.monotonic()
            if len(live) < fewest:
                fewest, deadline = len(live), now + WAIT_SECONDS
            try:
                _tell(client, live, told)
            except ClientError:  # asking again does no harm
                if now > deadline:
                    raise
            if now > deadline:
                output.say(f"{len(live)} job(s) did not end within {WAIT_SECONDS:.0f} s: {', '.join(live[:5])}")
                return
            time.sleep(LOOK_SECONDS)


def _live(client: Client) -> list[str]:
    """Asked for by state: there may be any number that are over."""
    listed = (job for state in UNFINISHED for job in client.raw.jobs.browse(state=state))
    return list(dict.fromkeys(job["id"] for job in listed))


def _tell(client: Client, live: list[str], told: set[str]) -> None:
    untold = [job_id for job_id in live if job_id not in told]
    for start in range(0, len(untold), AT_ONCE):
        some = untold[start : start + AT_ONCE]
        client.jobs.stop(some)
        told.update(some)
