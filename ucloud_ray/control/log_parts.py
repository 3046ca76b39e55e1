"""Parts of a job's output, and what its ranks used, asked from the relays of its machines.

Used by the front end; implements `service.LogReader`. One connection per question; following is `log_follow`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from ucloud_ray.control import usage_file
from ucloud_ray.control.errors import NotFound, NotReady
from ucloud_ray.control.log_range import EMPTY, LogRange
from ucloud_ray.control.service import JobService, LogSource, Place
from ucloud_ray.control.usage_file import Sample
from ucloud_ray.domain.ids import JobRef

PATIENCE_SECONDS = 4.0
"""The Core gives up after 5 s (provider-api 1.2)."""

NOT_NOW = "The machine of this job does not answer at the moment. Try again in a few seconds."


class RelayParts:
    def __init__(self, service: JobService) -> None:
        self._service = service

    async def read(self, ref: JobRef, place: Place, offset: int, limit: int) -> LogRange:
        """A job that never ran has an empty log."""
        view = await self._service.view(ref)
        rank, stream = place
        if not 0 <= rank < view.replicas:
            raise NotFound(f"The job has {view.replicas} node(s); rank {rank} does not exist.")
        if not view.hosts:
            return EMPTY
        sources = await self._service.log_sources(ref)
        source = next((source for source in sources if rank in source.ranks), None)
        if source is None:
            raise NotReady(NOT_NOW)
        answers = await _asked(source, {"range": [rank, stream, offset, limit]})
        frame, data = answers[0]
        return LogRange(frame["start"], data, frame["total"])

    async def usage(self, ref: JobRef) -> Mapping[int, Sequence[Sample]]:
        if not (await self._service.view(ref)).hosts:
            return {}
        sources = await self._service.log_sources(ref)
        found = await asyncio.gather(*(_samples(source) for source in sources))
        return {rank: samples for part in found for rank, samples in part.items()}


async def _samples(source: LogSource) -> dict[int, Sequence[Sample]]:
    try:
        answers = await _asked(source, {"samples": list(source.ranks)})
    except NotReady:
        return {}
    return {frame["rank"]: usage_file.parse(data) for frame, data in answers}


async def _asked(source: LogSource, question: dict[str, Any]) -> list[tuple[dict[str, Any], bytes]]:
    """The frames of the answer. Raises `NotReady`."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await _conversation(source, question)
    except (OSError, TimeoutError, ValueError, KeyError, asyncio.IncompleteReadError):
        raise NotReady(NOT_NOW) from None


async def _conversation(source: LogSource, question: dict[str, Any]) -> list[tuple[dict[str, Any], bytes]]:
    reader, writer = await asyncio.open_connection(source.address, source.port)
    answers = []
    try:
        writer.write(orjson.dumps({"ticket": source.ticket, **question}) + b"\n")
        while header := await reader.readline():
            frame = orjson.loads(header)
            if frame.get("end"):
                break
            answers.append((frame, await reader.readexactly(frame["size"])))
            if "range" in question:
                break
        else:
            raise ConnectionError("the relay left without an answer")
    finally:
        writer.close()
    return answers
