"""A container's output: from its pipes into the task's log files, by a small process that stands beside it.

Called by `driver`, and through it by `launch`. That process is made and watched over by a launcher, as the waiters of
native tasks are (`runtimes.native.launcher`): it outlives this driver, and whoever kills it kills nothing of the
output. It costs nothing while the container is silent. See docs/decisions/0012-output-through-named-pipes.md.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

from runtimes.docker import files
from runtimes.errors import StartFailed
from runtimes.native.beside import DRAINED
from runtimes.native.launcher_client import LauncherClient, LauncherDied
from runtimes.output import fifos
from runtimes.output.logs import Opened, open_again, open_folder
from runtimes.types import LogPaths

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)

_ATTEMPTS = 5
"""How often a launcher may die under one request."""
_SOONEST_SECONDS, _LATEST_SECONDS = 0.002, 0.05


@dataclass(frozen=True, slots=True)
class LogTarget:
    """Which container's output goes where. `container`: its id, empty before it has one."""

    container: str
    paths: LogPaths
    job_folder: Path
    owner: tuple[int, int] | None = None
    job_root: Path | None = None
    """The folder that the job folder may not leave."""


class Output:
    """The outputs of this driver's containers. Used on one event loop."""

    def __init__(self, state_dir: Path, threads: Executor) -> None:
        self._state_dir = state_dir
        self._threads = threads
        self._launcher = LauncherClient(state_dir / ".launcher.log", threads)
        self._warming: asyncio.Task[None] | None = None

    def warm_up(self) -> None:
        """A container will be started soon: have a launcher then."""
        if self._warming is None:
            self._warming = asyncio.create_task(self._wake(), name="start the launcher")

    async def _wake(self) -> None:
        with suppress(OSError, LauncherDied):
            await self._launcher.request()

    async def carry(self, name: str, target: LogTarget) -> None:
        """Have it carried, unless it is. Before the container starts: what nobody has open is lost at its end.

        Raises `errors.StartFailed`, `OSError`.
        """
        folder = files.task_folder(self._state_dir, name)
        for _ in range(_ATTEMPTS):
            if await self._run(_is_carried, folder):
                return
            with suppress(LauncherDied):
                await self._ask(folder, target)
                return
        raise StartFailed("The process that writes the log files of containers keeps dying on this machine.")

    async def carry_on(self, name: str, target: LogTarget) -> None:
        """As `carry`, for a task that runs: it goes on without logs where they cannot be written."""
        try:
            await self.carry(name, target)
        except (OSError, StartFailed) as error:
            logger.warning("the output of %s is not written: %s", name, error)

    async def finished(self, name: str, target: LogTarget) -> None:
        """Return when everything that the container wrote is in the files. Call once the container has ended."""
        folder = files.task_folder(self._state_dir, name)
        pause = _SOONEST_SECONDS
        with suppress(FileNotFoundError):  # the task is destroyed
            while not (folder / DRAINED).exists():
                if not fifos.tell_end(str(folder)):
                    await self.carry_on(name, target)
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LATEST_SECONDS)

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        call = functools.partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def close(self) -> None:
        if self._warming is not None:
            await self._warming
        await self._launcher.close()

    async def _ask(self, folder: Path, target: LogTarget) -> None:
        with ExitStack() as opened:
            order = await self._run(_open, folder, target, opened)
            answer = await self._launcher.request(order.files, order.copies, "beside")
        if answer["outcome"] != "started":
            raise StartFailed(f"The process that writes the log files cannot be started: {answer['error']}.")


def _is_carried(folder: Path) -> bool:
    return (folder / DRAINED).exists() or fifos.is_watched(str(folder))


def _open(folder: Path, target: LogTarget, files: ExitStack) -> Opened:
    opened = open_again(target.paths, target.job_root, target.job_folder, target.owner, files)
    opened.files.insert(0, open_folder(folder, files))
    return opened
