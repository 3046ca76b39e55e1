"""A Unix socket in front of another one: passes everything on, and remembers the requests."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any


class RecordingProxy:
    """An asynchronous context manager. For HTTP/1.1 with bodies of a stated length."""

    def __init__(self, path: Path, target_url: str) -> None:
        self.url = f"unix://{path}"
        self._path = path
        self._target = target_url.removeprefix("unix://")
        self._sent: list[bytearray] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> RecordingProxy:
        self._server = await asyncio.start_unix_server(self._serve, self._path)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()

    def bodies(self, path: str) -> list[Any]:
        """JSON of every request to this path, in order."""
        heads = re.compile(rb"POST \S*%b\S* HTTP/1\.1\r\n(.*?)\r\n\r\n" % re.escape(path.encode()), re.DOTALL)
        found = []
        for sent in self._sent:
            for head in heads.finditer(sent):
                length = re.search(rb"content-length: (\d+)", head[1].lower())
                assert length is not None, "a request without a length"
                found.append(json.loads(sent[head.end() : head.end() + int(length[1])]))
        return found

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target_reader, target_writer = await asyncio.open_unix_connection(self._target)
        self._writers += [writer, target_writer]
        record = bytearray()
        self._sent.append(record)
        await asyncio.gather(_pass_on(reader, target_writer, record), _pass_on(target_reader, writer, None))


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: bytearray | None) -> None:
    try:
        while data := await reader.read(1 << 16):
            if record is not None:
                record += data
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()
