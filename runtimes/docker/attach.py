"""The bytes of a program that the daemon runs in a container: HTTP up to its yes, a plain stream from there on.

By hand, because the Docker library keeps what arrived together with that answer to itself, and blocks. One connection
per program. A daemon is reached like `client.DockerClient` reaches it: by a socket of this machine, or by TCP.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from runtimes.errors import RuntimeUnavailable, StartFailed, TaskNotFound

DEFAULT_SOCKET = "/var/run/docker.sock"
ANSWER_SECONDS = 30.0
READ_AHEAD = 64 * 1024
_AWAY = "The Docker daemon of this machine does not answer."
_UPGRADED, _OK, _NOT_FOUND, _CONFLICT = 101, 200, 404, 409

Pair = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def start_exec(base_url: str | None, api_version: str, id: str) -> Pair:
    """Start the program that was defined (`DockerClient.create_exec`) on a terminal; its bytes.

    Raises `TaskNotFound` when its container does not run, `StartFailed`, `RuntimeUnavailable`.
    """
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await _connect(base_url)
    except (OSError, TimeoutError) as error:
        raise RuntimeUnavailable(_AWAY) from error
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            await _upgrade(reader, writer, f"/v{api_version}/exec/{id}/start")
    except (OSError, EOFError, ValueError, TimeoutError) as error:
        writer.close()
        raise RuntimeUnavailable(_AWAY) from error
    except BaseException:
        writer.close()
        raise
    return reader, writer


async def _connect(base_url: str | None) -> Pair:
    where = urlsplit(base_url or f"unix://{DEFAULT_SOCKET}")
    if where.scheme in ("tcp", "http"):
        return await asyncio.open_connection(where.hostname, where.port or 2375, limit=READ_AHEAD)
    path = f"/{where.netloc}{where.path}" if where.netloc else where.path
    return await asyncio.open_unix_connection(path, limit=READ_AHEAD)


async def _upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str) -> None:
    body = json.dumps({"Detach": False, "Tty": True})
    headers = {
        "Host": "docker",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Connection": "Upgrade",
        "Upgrade": "tcp",
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", body]
    writer.write("\r\n".join(lines).encode())
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    status = int(head[0].split(" ")[1])
    if status not in (_UPGRADED, _OK):
        raise _refusal(status, await _message(reader, head[1:]))


async def _message(reader: asyncio.StreamReader, headers: list[str]) -> str:
    told = dict(line.lower().split(": ", 1) for line in headers if ": " in line)
    body = await reader.readexactly(int(told.get("content-length", 0)))
    with suppress(ValueError):
        answer: Mapping[str, Any] = json.loads(body)
        return str(answer.get("message"))
    return body.decode(errors="replace")


def _refusal(status: int, message: str) -> Exception:
    if status in (_NOT_FOUND, _CONFLICT):
        return TaskNotFound("The container does not run.")
    return StartFailed(f"No shell could be started: {message}")
