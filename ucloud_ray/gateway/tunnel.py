"""A connection with a port of a rank, as a socket that speaks with the application alone (D8).

Made through the relay beside the rank; whoever gets the socket hands it to a library for what is spoken there.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import orjson

from ucloud_ray.control import relay_frames as frames
from ucloud_ray.control.errors import NotReady
from ucloud_ray.control.service import PortSource

CONNECT_SECONDS = 10.0


class NotListening(NotReady):
    """The relay answers, the application does not."""


async def connect(source: PortSource) -> socket.socket:
    """Not blocking; the caller closes it. Raises `NotListening`, `NotReady`."""
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.setblocking(False)
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await _greet(connection, source)
    except (OSError, TimeoutError, EOFError):
        connection.close()
        raise NotReady("The machine of the job does not answer at the moment. Try again in a minute.") from None
    except BaseException:
        connection.close()
        raise
    return connection


async def _greet(connection: socket.socket, source: PortSource) -> None:
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, (source.address, source.port))
    with suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    await loop.sock_sendall(connection, orjson.dumps({"ticket": source.ticket, "port": True}) + b"\n")
    head = await _exactly(connection, frames.HEAD_BYTES)
    kind, size = frames.decode_head(head)
    content = await _exactly(connection, size)
    if kind != frames.OPENED:
        raise NotListening(content.decode())


async def _exactly(connection: socket.socket, size: int) -> bytes:
    """Never more: what follows is the application's. Raises `EOFError`."""
    loop = asyncio.get_running_loop()
    received = b""
    while len(received) < size:
        piece = await loop.sock_recv(connection, size - len(received))
        if not piece:
            raise EOFError
        received += piece
    return received
