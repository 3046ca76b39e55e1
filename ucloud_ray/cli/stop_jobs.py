"""Ends all jobs of the local user before `down --stop-jobs`, and waits until they are over."""

from __future__ import annotations

import time
from pathlib import Path

from ucloud_ray.cli import output
from ucloud_ray.cli.connect import connect
from ucloud_ray.cli.follow import FINAL_STATES

WAIT_SECONDS = 60.0
MANY = 100_000


def stop_all_jobs(data: Path) -> None:
    """Raises `errors.CliError` when the orchestrator cannot be asked; says so when a job does not end in time."""
    with connect(None, None, None, data, admin=True) as api:
        deadline = time.monotonic() + WAIT_SECONDS
        told: set[str] = set()
        while live := [job["id"] for job in api.jobs({}, MANY) if job["status"]["state"] not in FINAL_STATES]:
            new = [job_id for job_id in live if job_id not in told]
            if new:
                api.act("terminate", [{"id": job_id} for job_id in new])
                told.update(new)
            if time.monotonic() > deadline:
                output.say(f"{len(live)} job(s) did not end within {WAIT_SECONDS:.0f} s: {', '.join(live[:5])}")
                return
            time.sleep(0.3)
