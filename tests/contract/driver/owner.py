"""A process that opens a terminal and waits to be killed: `python -m tests.contract.driver.owner FILE`.

FILE holds what it needs, pickled by the test. It says `deaf` when its shell no longer cares about a hang-up.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from pathlib import Path

from runtimes import registry
from runtimes.abilities import OpensTerminals
from runtimes.settings import RuntimeSettings
from runtimes.terminals import TerminalSize
from runtimes.types import TaskId
from tests.contract.driver.typist import Typist


async def own(name: str, settings: RuntimeSettings, task: TaskId) -> None:
    driver = registry.create(name, settings)
    assert isinstance(driver, OpensTerminals)
    typist = Typist(await driver.open_terminal(task, TerminalSize()))
    await typist.types("trap '' HUP TERM; echo deaf-$((1+1))\n")
    await typist.sees("deaf-2")
    sys.stdout.write("deaf\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(own(*pickle.loads(Path(sys.argv[1]).read_bytes())))
