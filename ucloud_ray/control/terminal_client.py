"""The front end's side of an open terminal: a `runtimes.terminals.Terminal` whose shell is on another machine."""

from __future__ import annotations

import asyncio

import orjson

from runtimes.terminals import Terminal, TerminalSize
from ucloud_ray.control import relay_frames as frames
from ucloud_ray.control.errors import BadRequest, NotReady
from ucloud_ray.control.service import TerminalSource

CONNECT_SECONDS = 10.0
OPEN_SECONDS = 60.0
"""A machine under load starts a shell in a container in seconds."""

_AWAY = "The machine of the job does not answer at the moment. Try again in a minute."


async def open_terminal(source: TerminalSource, size: TerminalSize) -> Terminal:
    """Raises `BadRequest` with the reason when there can be no shell, `NotReady` when the machine does not answer."""
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            reader, writer = await asyncio.open_connection(source.address, source.port, limit=frames.MOST_BYTES)
    except (OSError, TimeoutError):
        raise NotReady(_AWAY) from None
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            await _greet(source, size, reader, writer)
    except (OSError, TimeoutError):
        writer.close()
        raise NotReady(_AWAY) from None
    except BaseException:
        writer.close()
        raise
    return RelayedTerminal(reader, writer)


async def _greet(
    source: TerminalSource, size: TerminalSize, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    writer.write(orjson.dumps({"ticket": source.ticket, "terminal": [size.columns, size.rows]}) + b"\n")
    answer = await frames.read(reader)
    if answer is None:
        raise ConnectionError("the relay closed the connection")
    if answer.kind == frames.REFUSED:
        raise BadRequest(answer.content.decode())


class RelayedTerminal:
    """Implements `Terminal`. A connection that breaks is the end of the shell: the relay ends it then (IS-15)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        try:
            while (frame := await frames.read(self._reader)) is not None and frame.kind != frames.END:
                if frame.content:
                    return frame.content
        except ConnectionError:
            pass
        return b""

    async def write(self, data: bytes) -> None:
        for frame in frames.encode_data(data):
            await self._send(frame)

    async def resize(self, size: TerminalSize) -> None:
        await self._send(frames.encode(frames.SIZE, orjson.dumps([size.columns, size.rows])))

    async def close(self) -> None:
        self._writer.close()

    async def _send(self, frame: bytes) -> None:
        try:
            self._writer.write(frame)
            await self._writer.drain()
        except ConnectionError:
            pass  # whoever reads is told
