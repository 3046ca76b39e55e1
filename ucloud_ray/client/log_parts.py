"""Parts of a job's output, by byte offset or by lines from the end (docs/output.md). Behind `output` and `logs`.

The call is our orchestrator's own. UCloud/Core answers 404, also for a job that it has; what it replays to followers
has to do then, and a chosen part cannot be had.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from ucloud_ray.client.effects import Emit, Events, Json, Plan
from ucloud_ray.client.errors import NotFound, Refused
from ucloud_ray.client.following import Following, OutputSeen
from ucloud_ray.client.session import Session

FIRST_LOOK, LAST_LOOK = 64 * 1024, 4 * 1024 * 1024
"""Bytes from the end in which the last lines are looked for: first, and at most, which is what one answer holds."""
STREAMS = ("stdout", "stderr")


class NoParts(Refused):
    """This server tells no parts of logs, only all that it kept."""

    def __init__(self) -> None:
        super().__init__(404, "this server tells no parts of logs, only all that it kept")


class Parts:
    """One stream of one rank."""

    def __init__(self, session: Session, job_id: str, rank: int, stream: str, *, part: int = LAST_LOOK) -> None:
        self._session = session
        self._job_id = job_id
        self._place: dict[str, str | int] = {"rank": rank, "stream": stream}
        self._most = part

    def read(self, offset: int, tail: int | None) -> Events:
        """Emits parts until the end that the log has now. Raises `NoParts`, or `NotFound`: there is no such job."""
        part = (yield from self._part(offset)) if tail is None else (yield from self._last_lines(tail))
        yield Emit(part)
        while part["nextOffset"] < part["total"]:
            following = yield from self._part(part["nextOffset"])
            if following["nextOffset"] <= part["nextOffset"]:
                return
            part = following
            yield Emit(part)

    def _last_lines(self, lines: int) -> Plan[Json]:
        """Looks further and further back, within what one answer holds."""
        size = FIRST_LOOK
        while True:
            part = yield from self._part(-size, size)
            kept = last_lines(part["text"], lines)
            if len(kept) < len(part["text"]) or part["total"] <= size or size >= LAST_LOOK:
                return {**part, "text": kept}
            size = min(size * 8, LAST_LOOK)

    def _part(self, offset: int, limit: int | None = None) -> Plan[Json]:
        query = {**self._place, "offset": offset, "limit": limit or self._most}
        try:
            return (yield from self._session.ask("GET", f"/api/jobs/{self._job_id}/logs", query))
        except NotFound:
            # Whichever it is that is not there: asking for the job tells.
            yield from self._session.ask("GET", "/api/jobs/retrieve", {"id": self._job_id})
            raise NoParts from None


def whole_text(session: Session, job_id: str, rank: int, stream: str, tail: int | None) -> Plan[str]:
    """All that a rank wrote, or its last lines, of a server of either kind."""
    try:
        parts = yield from collected(Parts(session, job_id, rank, stream).read(0, tail))
        return "".join(part["text"] for part in parts)
    except NoParts:
        seen = yield from collected(Following(session, job_id).so_far())
    chosen = [one.text for one in seen if isinstance(one, OutputSeen) and (one.rank, one.stream) == (rank, stream)]
    return "".join(chosen) if tail is None else last_lines("".join(chosen), tail)


def collected(events: Generator[Any, Any, Any]) -> Generator[Any, Any, list[Any]]:
    """What a plan emits, as the result of another one that emits nothing."""
    found: list[Any] = []
    outcome: Any = None
    failure: Exception | None = None
    while True:
        try:
            wanted = events.send(outcome) if failure is None else events.throw(failure)
        except StopIteration:
            return found
        outcome, failure = None, None
        if isinstance(wanted, Emit):
            found.append(wanted.value)
            continue
        try:
            outcome = yield wanted
        except Exception as error:
            failure = error


def last_lines(text: str, lines: int) -> str:
    """The last so many lines, one that is not ended yet included."""
    ends = text.endswith("\n")
    start = len(text) - ends
    for _ in range(lines):
        start = text.rfind("\n", 0, start)
        if start < 0:
            return text
    return text[start + 1 :] if lines else ""
