"""One TCP server per machine, beside the replicas: a valid ticket in, bytes of log files out (D8, D9).

Runs in the node agent. The other end is `log_follow` in the front end. The conversation:

    client: one line of JSON  {"ticket": "...", "ranks": [0, 1], "replay": 1048576, "from": [[0, "stdout", 300]]}
    server: frames            {"rank": 0, "stream": "stdout", "offset": 317, "size": 17}\\n + 17 bytes, any number
    client: "finish\\n"        nothing more is being written: deliver the rest, then
    server:                   {"end": true}, and close

Back-pressure is TCP's: a slow reader slows only its own connection (LOG-10). A closed connection ends everything of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from ucloud_ray.control import tickets
from ucloud_ray.control.log_tail import LogTail
from ucloud_ray.control.task_spec import log_paths

log = structlog.get_logger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.25
"""Seconds between looks at quiet files; LOG-9 allows 500 ms."""

MAX_RANKS = 10_000
GREETING_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Source:
    rank: int
    stream: str
    tail: LogTail


class LogRelay:
    def __init__(self, logs_dir: Path, key: bytes) -> None:
        self._logs_dir = logs_dir
        self._key = key
        self._server: asyncio.Server | None = None

    async def start(self, address: str) -> int:
        """Listen on the machine's cluster address; returns the port."""
        self._server = await asyncio.start_server(self._serve, address, 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await asyncio.wait_for(reader.readline(), GREETING_SECONDS)
            sources = self._sources(json.loads(line))
            await self._deliver(sources, reader, writer)
        except (tickets.BadTicket, ValueError, KeyError, TypeError, TimeoutError) as refused:
            log.info("a relay connection was refused", reason=str(refused))
        except ConnectionError:
            pass
        finally:
            writer.close()

    def _sources(self, greeting: dict[str, object]) -> list[Source]:
        uid = tickets.check(self._key, str(greeting["ticket"]), "log")
        ranks, replay = greeting["ranks"], greeting["replay"]
        if not isinstance(ranks, list) or not isinstance(replay, int) or len(ranks) > MAX_RANKS:
            raise ValueError("not a greeting")
        begins = {(int(rank), str(stream)): int(offset) for rank, stream, offset in _list(greeting.get("from"))}
        paths = [(int(rank), log_paths(self._logs_dir, uid, int(rank))) for rank in ranks]
        return [
            Source(rank, stream, LogTail(path, replay, begins.get((rank, stream))))
            for rank, both in paths
            for stream, path in (("stdout", both.stdout), ("stderr", both.stderr))
        ]

    async def _deliver(self, sources: list[Source], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        finish = asyncio.create_task(reader.readline(), name="relay finish")
        pause = FIRST_PAUSE
        try:
            while True:
                last_look = finish.done()
                if await self._pump(sources, writer):
                    pause = FIRST_PAUSE
                elif last_look:
                    writer.write(b'{"end": true}\n')
                    await writer.drain()
                    return
                else:
                    await asyncio.wait([finish], timeout=pause)
                    pause = min(pause * 1.5, LONGEST_PAUSE)
        finally:
            finish.cancel()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError, ValueError):
                await finish
            for source in sources:
                source.tail.close()

    async def _pump(self, sources: list[Source], writer: asyncio.StreamWriter) -> bool:
        """Send one piece of every stream that has something; whether any had."""
        any_sent = False
        for source in sources:
            data = source.tail.read()
            if data:
                header = {"rank": source.rank, "stream": source.stream, "offset": source.tail.offset, "size": len(data)}
                writer.write(json.dumps(header).encode() + b"\n" + data)
                await writer.drain()
                any_sent = True
        return any_sent


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
