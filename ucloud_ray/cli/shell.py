"""`ucloud-ray jobs shell`: the terminal that the web page shows, in the terminal that one has."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from ucloud_ray.cli import complete, keyboard, options, output
from ucloud_ray.cli.connect import connect

if TYPE_CHECKING:
    from ucloud_ray.client.shells import Shell
    from ucloud_ray.wire.sessions import OpenSessionWithProvider

QUIET_SECONDS = 1.0


def shell(
    job_id: Annotated[str, typer.Argument(metavar="ID", help="Id of a job that runs.", autocompletion=complete.jobs)],
    rank: Annotated[int, typer.Option(metavar="N", min=0, help="On this node, counted from 0.")] = 0,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Open a terminal in a job that runs. Enter ~ . leaves it, as in ssh; the job goes on.

    \b
    Examples:
      ucloud-ray jobs shell 48920
      ucloud-ray jobs shell --rank 1 48920
      echo 'nvidia-smi; exit' | ucloud-ray jobs shell 48920
    """
    with connect(host, token, project, data) as client:
        opened = client.jobs.handle(job_id).open_session("SHELL", rank)
        if keyboard.is_terminal():
            output.say("Enter ~ . leaves the terminal")
        with suppress(keyboard.Left), keyboard.raw():
            asyncio.run(_talk(opened, client.url))
    if keyboard.is_terminal():
        output.say("")


async def _talk(opened: OpenSessionWithProvider, core: str) -> None:
    """Until the shell ends, or its user leaves. Raises `ClientError`, `keyboard.Left`."""
    from ucloud_ray.client.shells import shell as open_shell

    async with open_shell(opened, core, *keyboard.size()) as session:
        asyncio.get_running_loop().add_signal_handler(signal.SIGWINCH, _resize, session)
        screen = _Screen(session)
        showing = asyncio.create_task(screen.show())
        typing = asyncio.create_task(_type(session, screen))
        try:
            await asyncio.wait({showing, typing}, return_when=asyncio.FIRST_COMPLETED)
            for task in (typing, showing):
                if task.done():
                    task.result()
        finally:
            for task in (showing, typing):
                task.cancel()


_resizing: set[asyncio.Task[None]] = set()


def _resize(session: Shell) -> None:
    task = asyncio.get_running_loop().create_task(session.resize(*keyboard.size()))
    _resizing.add(task)
    task.add_done_callback(_resizing.discard)


class _Screen:
    def __init__(self, session: Shell) -> None:
        self._session = session
        self._news = asyncio.Event()

    async def show(self) -> None:
        async for text in self._session.output():
            self._news.set()
            sys.stdout.write(text)
            sys.stdout.flush()

    async def is_quiet(self) -> None:
        """Nothing was shown for a while."""
        with suppress(TimeoutError):
            while True:
                self._news.clear()
                await asyncio.wait_for(self._news.wait(), QUIET_SECONDS)


async def _type(session: Shell, screen: _Screen) -> None:
    """To the end of a pipe, and then Ctrl-D whenever all is quiet: a shell that is still at an earlier line would not
    take it for the end."""
    async for text in keyboard.typed():
        await session.type(text)
    while True:
        await screen.is_quiet()
        await session.type(keyboard.END_OF_INPUT)
