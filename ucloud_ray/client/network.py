"""What both ways of carrying plans out have in common: the errors and the types of httpx and `websockets`, and ours."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from ucloud_ray.client.effects import Closed, NoAnswer, NotReached, Reply, Slice

PIECE = 1024 * 1024
"""Bytes that are read or written at once."""
LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=3.0)
"""Connections are given up before servers do, which is after five seconds with uvicorn: a request on one that the
server closes at that moment would get no answer, and `create` must not be sent twice."""
SOCKET_OPTIONS: dict[str, Any] = {
    "max_size": None,
    "compression": None,
    "open_timeout": 10,
    "close_timeout": 1,
    "proxy": None,
}


@contextmanager
def translated() -> Iterator[None]:
    """Errors of httpx become `NotReached` or `NoAnswer`."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
        raise NotReached from error
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        raise NotReached from error
    except (httpx.TransportError, httpx.StreamError, httpx.DecodingError) as error:
        raise NoAnswer from error


@contextmanager
def translated_dialling() -> Iterator[None]:
    """Errors of opening a WebSocket become `NotReached`."""
    from websockets.exceptions import WebSocketException

    try:
        yield
    except (OSError, TimeoutError, WebSocketException) as error:
        raise NotReached from error


@contextmanager
def translated_socket() -> Iterator[None]:
    """Errors of an open one become `Closed`; `TimeoutError` stays."""
    from websockets.exceptions import WebSocketException

    try:
        yield
    except TimeoutError:
        raise
    except (OSError, WebSocketException) as error:
        raise Closed from error


def reply(answer: httpx.Response, content: bytes) -> Reply:
    headers: Mapping[str, str] = {name.lower(): value for name, value in answer.headers.items()}
    return Reply(answer.status_code, answer.reason_phrase, headers, content)


def pieces(content: Slice) -> Iterator[bytes]:
    content.file.seek(content.offset)
    left = content.length
    while left and (piece := content.file.read(min(PIECE, left))):
        yield piece
        left -= len(piece)


def text(received: str | bytes) -> str:
    return received if isinstance(received, str) else received.decode(errors="replace")
