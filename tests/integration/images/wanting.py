"""A process of a machine whose tasks want an image: `python -m … FOLDER DAEMON IMAGE TASKS`. Started by `conftest`."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from runtimes.docker.driver import DockerDriver
from runtimes.errors import DriverError
from runtimes.settings import DockerSettings
from runtimes.types import Limits, LogPaths, TaskId, TaskSpec


async def main(folder: Path, url: str, image: str, tasks: int) -> None:
    driver = DockerDriver(DockerSettings(folder / "state", base_url=url, pull_retry_seconds=0))
    await asyncio.gather(*(want(driver, folder, image, number) for number in range(tasks)))
    await driver.close()


async def want(driver: DockerDriver, folder: Path, image: str, number: int) -> None:
    task = TaskSpec(
        id=TaskId(f"j-wanting{number}-job-0", "1"),
        labels={},
        argv=(),
        environment={},
        job_folder=folder,
        logs=LogPaths(folder / "stdout", folder / "stderr"),
        limits=Limits(cpu_milli=1000, memory_bytes=64_000_000),
        hostname="wanting",
        image=image,
        run_as_root=True,
    )
    try:
        await driver.prepare(task)
    except DriverError as error:
        sys.stdout.write(f"{error}\n")
    else:
        sys.stdout.write("ready\n")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
