"""The relay's side of a connection with a port of a rank (D8): a web page, a desktop. Called by `relay`.

After OPENED the connection is the port's own, byte for byte, both ways and each way to its end; back-pressure is TCP's.
"""

from __future__ import annotations

import asyncio
import contextlib

import orjson
import structlog

from ucloud_ray.control import relay_frames as frames

log = structlog.get_logger(__name__)

CONNECT_SECONDS = 5.0
BUFFER = 64 * 1024
NOT_LISTENING = b"The application does not listen yet."


def target(address: str, port: int) -> str:
    """For a ticket: what may be connected with."""
    return orjson.dumps([address, port]).decode()


async def serve(what: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until both sides are done. `what`: of the ticket."""
    address, port = orjson.loads(what)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            from_job, to_job = await asyncio.open_connection(address, port, limit=BUFFER)
    except (OSError, TimeoutError):
        writer.write(frames.encode(frames.REFUSED, NOT_LISTENING))
        await writer.drain()
        return
    try:
        writer.write(frames.encode(frames.OPENED))
        await _join(reader, to_job, from_job, writer)
    finally:
        to_job.transport.abort()


async def _join(
    reader: asyncio.StreamReader,
    to_job: asyncio.StreamWriter,
    from_job: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
) -> None:
    """A side that says nothing more may still listen."""
    ways = [asyncio.create_task(_copy(reader, to_job)), asyncio.create_task(_copy(from_job, writer))]
    try:
        await asyncio.gather(*ways)
    finally:
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Raises `ConnectionError` when either side is gone, which ends the other way, too."""
    while data := await reader.read(BUFFER):
        writer.write(data)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
