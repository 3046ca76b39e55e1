"""Parts of a job's output, by byte offset or by lines from the end. Called by `jobs logs`.

These calls are our orchestrator's own; UCloud/Core answers 404, also for a job that it has. Then `Unknown` is raised,
and following has to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import tenacity

from ucloud_ray.cli.api import Api
from ucloud_ray.cli.errors import Refused
from ucloud_ray.cli.follow import OutputSeen, Place

FIRST_LOOK, LAST_LOOK = 64 * 1024, 4 * 1024 * 1024
"""Bytes from the end in which the last lines are looked for: first, and at most, which is what one answer holds."""

STREAMS = ("stdout", "stderr")

RETRY_SECONDS, PATIENCE_SECONDS = 0.5, 20.0


class Unknown(Exception):
    """This server has no such calls."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What of the output is wanted."""

    rank: int | None = None
    """None: every one."""
    stream: str | None = None
    tail: int | None = None
    """So many of the last lines of each stream."""
    since_offset: int | None = None

    def wants(self, seen: OutputSeen) -> bool:
        return self.rank in (None, seen.rank) and self.stream in (None, seen.stream)

    @property
    def is_all(self) -> bool:
        return self.tail is None and self.since_offset is None

    def places(self, job: Mapping[str, Any]) -> Sequence[Place]:
        ranks = range(int(job["specification"].get("replicas") or 1)) if self.rank is None else (self.rank,)
        return [(rank, stream) for rank in ranks for stream in STREAMS if self.stream in (None, stream)]


class Parts:
    def __init__(self, api: Api, job_id: str, chosen: Chosen) -> None:
        self._api = api
        self._job_id = job_id
        self._chosen = chosen

    def read(self, place: Place) -> Iterator[dict[str, Any]]:
        """Until the end that the log has now. Raises `Unknown`, `Refused`."""
        part = self._first(place)
        yield part
        while part["nextOffset"] < part["total"]:
            following = self._part(place, part["nextOffset"])
            if following["nextOffset"] <= part["nextOffset"]:
                return
            part = following
            yield part

    def _first(self, place: Place) -> dict[str, Any]:
        if self._chosen.tail is not None:
            return self._last_lines(place, self._chosen.tail)
        return self._part(place, self._chosen.since_offset or 0)

    def _last_lines(self, place: Place, lines: int) -> dict[str, Any]:
        """Looks further and further back, within what one answer holds."""
        size = FIRST_LOOK
        while True:
            part = self._part(place, -size, size)
            kept = last_lines(part["text"], lines)
            if len(kept) < len(part["text"]) or part["total"] <= size or size >= LAST_LOOK:
                return {**part, "text": kept}
            size = min(size * 8, LAST_LOOK)

    def _part(self, place: Place, offset: int, limit: int = LAST_LOOK) -> dict[str, Any]:
        rank, stream = place
        query = {"rank": str(rank), "stream": stream, "offset": str(offset), "limit": str(limit)}
        try:
            return self._patiently(query)
        except Refused as refused:
            if refused.status == 404:
                raise Unknown from refused
            raise

    def _patiently(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Something of ours may be starting again on the job's machine."""
        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_passing),
            wait=tenacity.wait_fixed(RETRY_SECONDS),
            stop=tenacity.stop_after_delay(PATIENCE_SECONDS),
            reraise=True,
        )
        part: dict[str, Any] = attempts(self._api.get, f"/api/jobs/{self._job_id}/logs", query)
        return part


def is_passing(problem: BaseException) -> bool:
    return isinstance(problem, Refused) and problem.status == HTTPStatus.SERVICE_UNAVAILABLE


def last_lines(text: str, lines: int) -> str:
    """The last so many lines, one that is not ended yet included."""
    ends = text.endswith("\n")
    start = len(text) - ends
    for _ in range(lines):
        start = text.rfind("\n", 0, start)
        if start < 0:
            return text
    return text[start + 1 :] if lines else ""
