"""One TCP server per machine, beside the replicas: a valid ticket in, bytes of logs, terminals or ports out (D8, D9).

Runs in the node agent. The other ends are `relay_reader` and `log_range` in the front end. A client says one line of
JSON, which has a `ticket` and asks for one of five things:

    follow   {"ranks": [0, 1], "replay": 1048576, "from": [[0, "stdout", 300]], "usage": true}
        server: frames      {"rank": 0, "stream": "stdout", "offset": 317, "size": 17}\\n + 17 bytes, any number
        client: "finish\\n"  nothing more is being written: deliver the rest, then
        server:             {"end": true}, and close
    range    {"range": [0, "stdout", 300, 65536]}: rank, stream, offset (negative: from the end), most bytes
        server:             {"start": 300, "offset": 317, "total": 317, "size": 17}\\n + 17 bytes, and close
    usage    {"samples": [0, 1]}: what these ranks used
        server: frames      {"rank": 0, "stream": "usage", "size": 80}\\n + lines of `usage_file`, end, and close
    terminal {"terminal": [80, 24]}: columns and rows of a shell, see `relay_frames`
    port     {"port": true}: the port that the ticket names, see `port_relay`

With `"usage": true` a follow has frames of the stream `usage` too: new lines, `"reset": true` if all before are void.
Back-pressure is TCP's: a slow reader slows only its own connection (LOG-10). A closed connection ends everything of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import structlog

from ucloud_ray.control import log_range, port_relay, tickets
from ucloud_ray.control.log_tail import LogTail
from ucloud_ray.control.task_spec import log_paths
from ucloud_ray.control.terminal_relay import TerminalRelay
from ucloud_ray.control.usage_file import UsageTail, usage_path

log = structlog.get_logger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 0.25
"""Seconds between looks at quiet files; LOG-9 allows 500 ms."""

MAX_RANKS = 10_000
GREETING_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Source:
    rank: int
    stream: str
    tail: LogTail | UsageTail


class Relay:
    def __init__(self, logs_dir: Path, key: bytes, terminals: TerminalRelay) -> None:
        self._logs_dir = logs_dir
        self._terminals = terminals
        self._key = key
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self, address: str) -> int:
        """Listen on the machine's cluster address; returns the port."""
        self._server = await asyncio.start_server(self._serve, address, 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Ends the connections too; readers come again, here or to a successor."""
        if self._server is not None:
            self._server.close()
        for writer in self._open:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            greeting = orjson.loads(await asyncio.wait_for(reader.readline(), GREETING_SECONDS))
            await self._answer(greeting, reader, writer)
        except (tickets.BadTicket, ValueError, KeyError, TypeError, TimeoutError) as refused:
            log.info("a relay connection was refused", reason=str(refused))
        except ConnectionError:
            pass
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(
        self, greeting: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        ticket = str(greeting["ticket"])
        if "terminal" in greeting:
            target = tickets.check(self._key, ticket, "terminal")
            await self._terminals.serve(target, greeting["terminal"], reader, writer)
            return
        if "port" in greeting:
            await port_relay.serve(tickets.check(self._key, ticket, "port"), reader, writer)
            return
        uid = tickets.check(self._key, ticket, "log")
        if "range" in greeting:
            await self._send_range(uid, greeting["range"], writer)
        elif "samples" in greeting:
            await self._send_samples(uid, _ranks(greeting["samples"]), writer)
        else:
            await self._deliver(self._sources(uid, greeting), reader, writer)

    # --------------------------------------------------------------------------------------------- follow

    def _sources(self, uid: str, greeting: dict[str, Any]) -> list[Source]:
        ranks, replay = _ranks(greeting["ranks"]), int(greeting["replay"])
        begins = {(int(rank), str(stream)): int(offset) for rank, stream, offset in greeting.get("from") or []}
        sources = []
        for rank in ranks:
            both = log_paths(self._logs_dir, uid, rank)
            for stream, path in (("stdout", both.stdout), ("stderr", both.stderr)):
                sources.append(Source(rank, stream, LogTail(path, replay, begins.get((rank, stream)))))
            if greeting.get("usage"):
                sources.append(Source(rank, "usage", UsageTail(usage_path(both.stdout))))
        return sources

    async def _deliver(self, sources: list[Source], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        finish = asyncio.create_task(reader.readline(), name="relay finish")
        pause = FIRST_PAUSE
        try:
            while not (last_look := finish.done()) or finish.result():
                if await _pump(sources, writer):
                    pause = FIRST_PAUSE
                elif last_look:
                    await _end(writer)
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

    # ----------------------------------------------------------------------------------------------- once

    async def _send_range(self, uid: str, wanted: list[Any], writer: asyncio.StreamWriter) -> None:
        rank, stream, offset, limit = int(wanted[0]), str(wanted[1]), int(wanted[2]), int(wanted[3])
        both = log_paths(self._logs_dir, uid, rank)
        path = {"stdout": both.stdout, "stderr": both.stderr}[stream]
        found = await asyncio.to_thread(log_range.read, path, offset, limit)
        header = {"start": found.start, "offset": found.next_offset, "total": found.total}
        await _send(writer, header, found.data)

    async def _send_samples(self, uid: str, ranks: list[int], writer: asyncio.StreamWriter) -> None:
        for rank in ranks:
            tail = UsageTail(usage_path(log_paths(self._logs_dir, uid, rank).stdout))
            if data := tail.read():
                await _send(writer, {"rank": rank, "stream": "usage"}, data)
        await _end(writer)


async def _pump(sources: list[Source], writer: asyncio.StreamWriter) -> bool:
    """Send one piece of every stream that has something; whether any had."""
    any_sent = False
    for source in sources:
        data = source.tail.read()
        if data:
            await _send(writer, {"rank": source.rank, "stream": source.stream, **_place(source.tail)}, data)
            any_sent = True
    return any_sent


def _place(tail: LogTail | UsageTail) -> dict[str, Any]:
    return {"offset": tail.offset} if isinstance(tail, LogTail) else {"reset": tail.was_reset}


async def _send(writer: asyncio.StreamWriter, header: dict[str, Any], data: bytes) -> None:
    writer.write(orjson.dumps({**header, "size": len(data)}) + b"\n")
    writer.write(data)
    await writer.drain()


async def _end(writer: asyncio.StreamWriter) -> None:
    writer.write(b'{"end": true}\n')
    await writer.drain()


def _ranks(value: Any) -> list[int]:
    if not isinstance(value, list) or len(value) > MAX_RANKS:
        raise ValueError("not a greeting")
    return [int(rank) for rank in value]
