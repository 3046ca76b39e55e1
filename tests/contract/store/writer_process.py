"""A process that writes to a store until it is killed. Run as `python writer_process.py URL [STATEMENTS]`.

Every commit raises the job's incarnation and announces its number. With STATEMENTS the process kills itself after that
many statements of the second commit, in the middle of its transaction.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import replace

from sqlalchemy import Engine, event

from tests.contract.store.jobs import a_job
from ucloud_ray.control.ports import Change
from ucloud_ray.domain.effects import Announce
from ucloud_ray.domain.job import JobState
from ucloud_ray.store import open_store


async def main(url: str, statements: int | None) -> None:
    store = await open_store(url)
    job = replace(a_job(), incarnation=0)
    while True:
        job = replace(job, incarnation=job.incarnation + 1)
        if statements is not None and job.incarnation == 2:
            kill_after(statements)
        await store.commit([Change(job, (Announce(state=JobState.RUNNING, status=str(job.incarnation)),))])
        sys.stdout.write(f"{job.incarnation}\n")
        sys.stdout.flush()


def kill_after(statements: int) -> None:
    left = statements

    def count(*_arguments: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "after_cursor_execute", count)
    event.listen(Engine, "commit", count)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None))
