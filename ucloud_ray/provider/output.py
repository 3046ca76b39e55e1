"""Parts of a job's output by byte offset, and what its ranks use: two calls of our own, not of UCloud's API.

`GET jobs/logs` and `GET jobs/usage`, for a Core that knows them, as our orchestrator does. Like every call they need
the Core's token; whether the user may see the job is the Core's to check.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.datastructures import QueryParams

from ucloud_ray.control.errors import BadRequest
from ucloud_ray.control.log_text import LogText
from ucloud_ray.control.service import LogReader
from ucloud_ray.control.usage_file import Sample
from ucloud_ray.control.usage_rates import rates
from ucloud_ray.domain.ids import JobId, JobRef, Millis
from ucloud_ray.provider.endpoint import Call, Endpoint

DEFAULT_LIMIT = 256 * 1024
LEAST_LIMIT = 16
"""Bytes: at least one whole character."""

_PART = dict[str, Any]


class OutputCalls:
    def __init__(self, reader: LogReader) -> None:
        self._reader = reader

    def endpoints(self) -> list[Endpoint[Any]]:
        errors = (400, 404, 503)
        return [
            Endpoint("GET", "jobs/logs", self.logs, "A part of a job's output", None, _PART, errors=errors),
            Endpoint("GET", "jobs/usage", self.usage, "What a job's ranks use", None, _PART, errors=errors),
        ]

    async def logs(self, call: Call[None]) -> dict[str, Any]:
        """Text from `offset` on; a character of which only a part is there yet is left for the next call (LOG-3)."""
        query = call.query
        rank, stream = _number(query, "rank", 0), query.get("stream", "stdout")
        if stream not in ("stdout", "stderr"):
            raise BadRequest("stream must be stdout or stderr")
        limit = max(LEAST_LIMIT, _number(query, "limit", DEFAULT_LIMIT))
        part = await self._reader.read(_ref(query), (rank, stream), _number(query, "offset", 0), limit)
        text = LogText(rank, stream)
        said = [chunk.stdout or chunk.stderr or "" for chunk in text.chunks(part.data, part.start)]
        return {
            "rank": rank,
            "stream": stream,
            "offset": part.start,
            "nextOffset": text.offset if part.data else part.start,
            "total": part.total,
            "text": "".join(said),
        }

    async def usage(self, call: Call[None]) -> dict[str, Any]:
        """Per rank: the newest figures, and with `history=true` every sample that is kept."""
        found = await self._reader.usage(_ref(call.query))
        with_history = call.query.get("history") == "true"
        return {"ranks": [_usage(rank, samples, with_history) for rank, samples in sorted(found.items()) if samples]}


def _usage(rank: int, samples: Sequence[Sample], with_history: bool) -> dict[str, Any]:
    newest = samples[-1]
    told: dict[str, Any] = {"rank": rank, "at": newest.at, "memory": newest.memory, "processes": newest.processes}
    if len(samples) > 1 and newest.at > samples[-2].at:
        per_second = rates(samples[-2], newest)
        told |= {
            "cores": round(per_second.cores, 3),
            "networkReceivedPerSecond": per_second.network_received,
            "networkSentPerSecond": per_second.network_sent,
            "diskReadPerSecond": per_second.disk_read,
            "diskWrittenPerSecond": per_second.disk_written,
        }
    if with_history:
        told["samples"] = [_sample(sample) for sample in samples]
    return told


def _sample(sample: Sample) -> dict[str, Any]:
    return {
        "at": sample.at,
        "cpuMillis": sample.cpu_millis,
        "memory": sample.memory,
        "processes": sample.processes,
        "networkReceived": sample.network_received,
        "networkSent": sample.network_sent,
        "diskRead": sample.disk_read,
        "diskWritten": sample.disk_written,
    }


def _ref(query: QueryParams) -> JobRef:
    job_id = query.get("jobId")
    if not job_id:
        raise BadRequest("jobId is missing")
    created_at = query.get("createdAt")
    return JobRef(JobId(job_id), None if created_at is None else Millis(_number(query, "createdAt", 0)))


def _number(query: QueryParams, name: str, default: int) -> int:
    text = query.get(name, "")
    if not text:
        return default
    try:
        number = int(text)
    except ValueError:
        raise BadRequest(f"{name} must be a whole number") from None
    if abs(number) > 2**62:
        raise BadRequest(f"{name} is too large")
    return number
