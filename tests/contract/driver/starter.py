"""A process that starts a task and is then killed by the test: `python -m tests.contract.driver.starter FILE`.

FILE holds what it needs, pickled by the test. It says `started` and then stays, as a replica actor would.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from pathlib import Path

from runtimes import registry
from runtimes.settings import RuntimeSettings
from runtimes.types import TaskSpec


async def start(name: str, settings: RuntimeSettings, spec: TaskSpec) -> None:
    driver = registry.create(name, settings)
    handle = await driver.start(spec)
    sys.stdout.write("started\n")
    sys.stdout.flush()
    await driver.wait(handle)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(start(*pickle.loads(Path(sys.argv[1]).read_bytes())))
