"""Ends the shell of a terminal as losing the line does, and for good if it does not care (IS-15)."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress

from runtimes.native import processes
from runtimes.native.processes import ProcessId
from runtimes.terminals import HANG_UP_SECONDS


async def hang_up(shell: ProcessId) -> None:
    """Needs the rights of root for a shell of somebody else. One that is gone is no error."""
    if await _ends(shell, signal.SIGHUP):
        return
    await _ends(shell, signal.SIGKILL)


async def _ends(shell: ProcessId, number: signal.Signals) -> bool:
    if not processes.is_alive(shell):
        return True
    processes.send([shell.pid], number)
    with suppress(TimeoutError):
        async with asyncio.timeout(HANG_UP_SECONDS):
            await processes.wait_until_gone(shell)
            return True
    return False
