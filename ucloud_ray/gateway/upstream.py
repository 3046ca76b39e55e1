"""HTTP with the application of one rank: a pool of connections through its relay. The only file that knows httpcore.

httpcore rather than httpx: it hands on headers and bytes as they are, and takes connections that we make.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import httpcore

MOST_CONNECTIONS = 64
IDLE_SECONDS = 5.0

Connect = Callable[[], Awaitable[socket.socket]]
Headers = Sequence[tuple[bytes, bytes]]


class Upstream:
    def __init__(self, connect: Connect) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=MOST_CONNECTIONS,
            keepalive_expiry=IDLE_SECONDS,
            network_backend=_Backend(connect),
        )

    def answer(
        self, method: str, target: bytes, headers: Headers, body: AsyncIterator[bytes] | None
    ) -> AbstractAsyncContextManager[httpcore.Response]:
        """The answer as it comes. Raises `NotListening`, `Refused`, `BrokenAnswer`."""
        url = httpcore.URL(scheme=b"http", host=b"application", port=80, target=target)
        return self._pool.stream(method, url, headers=list(headers), content=body)

    async def close(self) -> None:
        await self._pool.aclose()


BROKEN = (httpcore.ProtocolError, httpcore.NetworkError, httpcore.TimeoutException)
"""What an application that breaks off, or does not speak HTTP, leads to."""


class _Backend(httpcore.AsyncNetworkBackend):
    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(await self._connect())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    """A socket. Without timeouts: a page may be silent for hours."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return await asyncio.get_running_loop().sock_recv(self._connection, max_bytes)
        except OSError as error:
            raise httpcore.ReadError(str(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            await asyncio.get_running_loop().sock_sendall(self._connection, buffer)
        except OSError as error:
            raise httpcore.WriteError(str(error)) from error

    async def aclose(self) -> None:
        self._connection.close()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.AsyncNetworkStream:
        raise httpcore.UnsupportedProtocol("applications are spoken with in the clear, inside of the cluster")

    def get_extra_info(self, info: str) -> Any:
        """`is_readable`: whether a connection that lies idle was closed by the other side."""
        if info == "is_readable":
            return _is_readable(self._connection)
        return self._connection if info == "socket" else None


def _is_readable(connection: socket.socket) -> bool:
    if connection.fileno() < 0:
        return True
    try:
        return connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) is not None
    except BlockingIOError:
        return False
    except OSError:
        return True
