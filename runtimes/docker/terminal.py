"""A shell in a running container (IS-13): a further program of the container, on a terminal of the daemon's.

The daemon starts it as the container's user, in its working directory, with the container's own variables. It does not
end it when we leave: we do, by its process id, which needs the rights of root. Shells whose owner was killed are found
by the mark in their variables (`runtimes.abandoned`).
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from runtimes.abandoned import Mark
from runtimes.docker.attach import start_exec
from runtimes.docker.client import Conflict, DockerClient
from runtimes.errors import DriverError, RuntimeUnavailable, StartFailed, TaskNotFound
from runtimes.hang_up import hang_up
from runtimes.native import processes
from runtimes.native.processes import ProcessId
from runtimes.terminals import TERM, TerminalSize

SHELLS = ("/bin/bash", "/bin/sh")
PIECE = 64 * 1024
NEVER_TYPED = ",".join(["ctrl-^", "ctrl-@"] * 8)
"""The daemon leaves a program when its reader types this; its own choice, Ctrl-P, is a key of every shell."""
_LOOK_SECONDS, _LOOKS = 0.02, 500


class DockerTerminal:
    """Implements `terminals.Terminal`."""

    def __init__(
        self,
        client: DockerClient,
        id: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        shell: ProcessId,
    ) -> None:
        self._client = client
        self._id = id
        self._reader = reader
        self._writer = writer
        self._shell = shell
        self._is_open = True

    async def read(self) -> bytes:
        try:
            return await self._reader.read(PIECE)
        except OSError:  # the daemon is gone, and took the terminal along
            return b""

    async def write(self, data: bytes) -> None:
        with suppress(OSError):
            self._writer.write(data)
            await self._writer.drain()

    async def resize(self, size: TerminalSize) -> None:
        with suppress(DriverError):
            await self._client.run(self._client.resize_exec, self._id, size.columns, size.rows)

    async def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        await hang_up(self._shell)
        self._writer.close()


async def open_terminal(client: DockerClient, container: str, size: TerminalSize) -> DockerTerminal:
    """The first shell that the image has. Raises as `abilities.OpensTerminals.open_terminal`."""
    for shell in SHELLS:
        terminal = await _open(client, container, shell, size)
        if terminal is not None:
            return terminal
    raise StartFailed("The image has no shell: neither /bin/bash nor /bin/sh can be run in it.")


async def _open(client: DockerClient, container: str, shell: str, size: TerminalSize) -> DockerTerminal | None:
    """None: there is no such shell."""
    try:
        program = await client.run(client.create_exec, container, _definition(shell))
    except Conflict as ended:
        raise TaskNotFound("The container does not run.") from ended
    version = await client.run(lambda: client.api_version)
    try:
        reader, writer = await start_exec(client.base_url, version, program)
    except StartFailed:
        return None
    try:
        running = await _launched(client, program)
        if running is None:
            writer.close()
            return None
    except BaseException:
        writer.close()
        raise
    terminal = DockerTerminal(client, program, reader, writer, running)
    await terminal.resize(size)
    return terminal


def _definition(shell: str) -> dict[str, Any]:
    return {
        "AttachStdin": True,
        "AttachStdout": True,
        "AttachStderr": True,
        "Tty": True,
        "DetachKeys": NEVER_TYPED,
        "Cmd": [shell],
        "Env": [f"TERM={TERM}", Mark.fresh("docker").variable],
    }


async def _launched(client: DockerClient, id: str) -> ProcessId | None:
    """Wait until the daemon says that it runs; None if it never did, because the image has no such program."""
    for _ in range(_LOOKS):
        seen = await client.run(client.inspect_exec, id)
        if seen["Running"] and seen["Pid"]:
            return ProcessId(seen["Pid"], processes.start_of(seen["Pid"]) or 0)
        if seen["ExitCode"] is not None:
            return None
        await asyncio.sleep(_LOOK_SECONDS)
    raise RuntimeUnavailable("The Docker daemon does not get a shell started.")
