"""Follows a job over the WebSocket `jobs.follow` until it is final (end-user-api 7). Behind `follow` of a job.

Neither era's server can be trusted to end the stream: one ends it with a `response` frame, the other closes the socket
or leaves it open. So the state is watched here, and a lost connection is made again. A server that tells byte offsets,
as our orchestrator does, goes on from the last one; what another one replays and was told before is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ucloud_ray.client.effects import Closed, Dial, Emit, Events, NotReached, Receive, Sleep, Transmit
from ucloud_ray.client.errors import ClientError, StrangeAnswer, Unavailable, refused
from ucloud_ray.client.session import Session

FINAL_STATES = frozenset({"SUCCESS", "FAILURE", "EXPIRED"})
RECONNECT_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0)
"""Pauses between attempts that bring nothing new; after the last one we give up. A restart of the server takes less."""
AFTER_FINAL_SECONDS = 5.0
"""How long a final job may keep the stream open before we leave."""
PASSING = frozenset({401, 429, 500, 502, 503, 504})
"""Refusals of a stream that another attempt may not meet; a token that expired is renewed with it."""
DETAILS = {"includeUpdates": True, "includeApplication": True, "includeProduct": True}


@dataclass(frozen=True, slots=True)
class StateSeen:
    """The job's state changed, or something was told about it."""

    state: str
    status: str
    """The provider's words, may be empty."""
    timestamp: int | None = None
    """Milliseconds since the epoch, by the server's clock."""

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES


@dataclass(frozen=True, slots=True)
class OutputSeen:
    """A piece of what a rank wrote; not always whole lines."""

    rank: int
    stream: str
    """`stdout` or `stderr`."""
    text: str


Seen = StateSeen | OutputSeen
Place = tuple[int, str]
"""Rank and stream."""


class Following:
    """One job. `state` is the last one that was seen."""

    def __init__(self, session: Session, job_id: str, begin: Mapping[Place, int] | None = None) -> None:
        """`begin`: byte offsets of streams whose past is not wanted."""
        self._session = session
        self._job_id = job_id
        self._offsets: dict[Place, int] = dict(begin or {})
        self._told: dict[Place, int] = {}
        """Characters, of servers without offsets."""
        self._told_updates: set[tuple[Any, ...]] = set()
        self._last: list[Seen] = []
        """What was said of the end, kept until the output is over: whoever reads of the end has read everything."""
        self.state = ""

    @property
    def final(self) -> bool:
        return self.state in FINAL_STATES

    def until_final(self) -> Events:
        """Emits everything until the job is final, its end last.

        Raises `Unavailable` when the server stays away, `Refused`.
        """
        failures = 0
        while True:
            came = yield from self._connection()
            if self.final:
                yield from map(Emit, self._last)
                return
            failures = 0 if came else failures
            if failures == len(RECONNECT_SECONDS):
                raise Unavailable(f"the connection to {self._session.url} was lost; job {self._job_id} goes on")
            yield Sleep(RECONNECT_SECONDS[failures])
            failures += 1

    def so_far(self, quiet_seconds: float = 1.0) -> Events:
        """What is there now: ends when nothing came for `quiet_seconds`, or at the end of the stream."""
        yield from self._stream(quiet_seconds)
        yield from map(Emit, self._last)

    def _connection(self) -> Any:
        """One, from the job as it is to its loss. Whether anything came."""
        came = False
        for part in (self._catch_up(), self._stream(None)):
            try:
                came |= yield from part
            except (Unavailable, NotReached):
                return came
        return came

    def _catch_up(self) -> Any:
        """States told before the socket was open, from the job itself; a fast job may be over by now."""
        job = yield from self._session.ask("GET", "/api/jobs/retrieve", {"id": self._job_id, **DETAILS})
        seen = [*self._new_updates(job.get("updates") or []), *self._new_state(job["status"]["state"])]
        yield from map(Emit, self._but_the_end(seen))
        return bool(seen)

    def _stream(self, quiet_seconds: float | None) -> Any:
        """To the `response` frame, the end of the socket, or silence."""
        replayed: dict[Place, int] = {}
        came = False
        yield Dial(f"ws{self._session.url.removeprefix('http')}/api/jobs")
        try:
            yield Transmit(json.dumps((yield from self._request())))
            while True:
                frame = _parsed((yield Receive(AFTER_FINAL_SECONDS if self.final else quiet_seconds)))
                if frame.get("type") == "response":
                    _refuse(frame)
                    return came
                seen = self._news(frame.get("payload") or {}, replayed) if frame.get("type") == "message" else []
                yield from map(Emit, self._but_the_end(seen))
                came |= bool(seen)
        except (Closed, TimeoutError):
            return came

    def _request(self) -> Any:
        headers = yield from self._session.headers()
        resume = [{"rank": rank, "stream": stream, "offset": at} for (rank, stream), at in self._offsets.items()]
        return {
            "call": "jobs.follow",
            "streamId": "0",
            "payload": {"id": self._job_id, "resume": resume},  # a server that does not know `resume` ignores it
            "bearer": headers["Authorization"].removeprefix("Bearer "),
            "project": self._session.project,
        }

    # -- what is new

    def _news(self, payload: dict[str, Any], replayed: dict[Place, int]) -> list[Seen]:
        texts = [seen for entry in payload.get("log") or [] for seen in self._new_output(entry, replayed)]
        return [*self._new_states(payload), *texts]

    def _but_the_end(self, seen: list[Seen]) -> list[Seen]:
        end = [one for one in seen if isinstance(one, StateSeen) and one.is_final]
        self._last += end
        return [one for one in seen if one not in end]

    def _new_states(self, payload: dict[str, Any]) -> Iterator[Seen]:
        initial = payload.get("initialJob") or {}
        yield from self._new_updates(initial.get("updates") or [])
        yield from self._new_updates(payload.get("updates") or [])
        status = payload.get("newStatus") or initial.get("status")
        if status:
            yield from self._new_state(status["state"])

    def _new_updates(self, updates: list[dict[str, Any]]) -> Iterator[Seen]:
        """Servers differ in which updates a first message repeats, so each is told once by what it says."""
        for update in updates:
            told = (update.get("timestamp"), update.get("state"), update.get("status"))
            if told in self._told_updates:
                continue
            self._told_updates.add(told)
            state, status = update.get("state") or self.state, update.get("status") or ""
            if state != self.state or status:
                self.state = state
                yield StateSeen(state, status, update.get("timestamp"))

    def _new_state(self, state: str) -> Iterator[Seen]:
        if state != self.state:
            self.state = state
            yield StateSeen(state, "")

    def _new_output(self, entry: dict[str, Any], replayed: dict[Place, int]) -> Iterator[Seen]:
        if entry.get("channel"):
            return
        rank = int(entry.get("rank") or 0)
        for stream in ("stdout", "stderr"):
            text, key = entry.get(stream) or "", (rank, stream)
            if text and "offset" in entry:
                self._offsets[key] = int(entry["offset"])
                yield OutputSeen(rank, stream, text)
                continue
            told = self._told.get(key, 0)
            skip = max(0, min(len(text), told - replayed.get(key, 0)))
            replayed[key] = replayed.get(key, 0) + len(text)
            self._told[key] = max(told, replayed[key])
            if text[skip:]:
                yield OutputSeen(rank, stream, text[skip:])


def _parsed(text: str) -> dict[str, Any]:
    try:
        frame = json.loads(text)
    except ValueError as error:
        raise StrangeAnswer("what came on the WebSocket is not of UCloud/Core") from error
    return frame if isinstance(frame, dict) else {}


def _refuse(frame: dict[str, Any]) -> None:
    status = int(frame.get("status") or 200)
    if status >= 400:
        problem: ClientError = refused(status, frame.get("payload"), "when asked to follow the job")
        raise Unavailable(str(problem)) if status in PASSING else problem
