"""Follows a job over the WebSocket `jobs.follow` until it is final (end-user-api 7). Called by `run` and `jobs logs`.

Neither era's server can be trusted to end the stream: one ends it with a `response` frame, the other closes the socket
or leaves it open. So the state is watched here, and a lost connection is made again. A server that tells byte offsets,
as our orchestrator does, goes on from the last one; what another one replays and was shown before is left out.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import websockets.sync.client as websocket
from websockets.exceptions import ConnectionClosed, WebSocketException

from ucloud_ray.cli.api import Api, unreachable
from ucloud_ray.cli.errors import Refused, Unreachable

FINAL_STATES = frozenset({"SUCCESS", "FAILURE", "EXPIRED"})
RECONNECT_SECONDS = (0.2, 0.5, 1, 2, 5, 5, 5)
"""Pauses between attempts; after the last one the command gives up. A restart of the server takes less."""
AFTER_FINAL_SECONDS = 5.0
"""How long a final job may keep the stream open before we leave."""


@dataclass(frozen=True, slots=True)
class StateSeen:
    state: str
    status: str
    """The provider's words, may be empty."""
    timestamp: int | None = None


@dataclass(frozen=True, slots=True)
class OutputSeen:
    rank: int
    stream: str
    """`stdout` or `stderr`."""
    text: str


Seen = StateSeen | OutputSeen
Place = tuple[int, str]
"""Rank and stream."""


class Follower:
    """One job. `state` is the last one that was seen."""

    def __init__(self, api: Api, job_id: str, begin: Mapping[Place, int] | None = None) -> None:
        """`begin`: byte offsets of streams whose past is not wanted."""
        self._api = api
        self._job_id = job_id
        self._offsets: dict[Place, int] = dict(begin or {})
        self._shown: dict[Place, int] = {}
        self._shown_updates: set[tuple[Any, ...]] = set()
        self.state = ""

    @property
    def final(self) -> bool:
        return self.state in FINAL_STATES

    def until_final(self) -> Iterator[Seen]:
        """Everything until the job is final. Raises `Unreachable` when the server stays away, `Refused`."""
        failures = 0
        while True:
            try:
                for seen in self._once():
                    failures = 0
                    yield seen
            except Unreachable:
                pass
            if self.final:
                return
            if failures == len(RECONNECT_SECONDS):
                raise self._lost()
            time.sleep(RECONNECT_SECONDS[failures])
            failures += 1

    def _once(self) -> Iterator[Seen]:
        yield from self._catch_up()
        yield from self._stream(quiet_seconds=None)

    def _lost(self) -> Unreachable:
        return Unreachable(
            f"the connection to {self._api.connection.host} was lost; job {self._job_id} goes on",
            f"follow it again with `ucloud-ray jobs logs -f {self._job_id}`",
        )

    def so_far(self, quiet_seconds: float = 1.0) -> Iterator[Seen]:
        """What is there now: ends when nothing came for `quiet_seconds`, or at the end of the stream."""
        yield from self._stream(quiet_seconds)

    def _catch_up(self) -> Iterator[Seen]:
        """States told before the socket was open, from the job itself; a fast job may be over by now."""
        job = self._api.job(self._job_id)
        yield from self._new_updates(job.get("updates") or [])
        yield from self._new_state(job["status"]["state"])

    def _stream(self, quiet_seconds: float | None) -> Iterator[Seen]:
        replayed: dict[Place, int] = {}
        for payload in self._frames(quiet_seconds):
            states, texts = self._new_states(payload), self._new_texts(payload, replayed)
            # Within one message, RUNNING comes before what the job says, and the end after it.
            yield from [*texts, *states] if _is_end(payload) else [*states, *texts]

    def _new_states(self, payload: dict[str, Any]) -> list[Seen]:
        seen = [
            *self._new_updates((payload.get("initialJob") or {}).get("updates") or []),
            *self._new_updates(payload.get("updates") or []),
        ]
        status = payload.get("newStatus") or (payload.get("initialJob") or {}).get("status")
        return [*seen, *self._new_state(status["state"])] if status else seen

    def _new_texts(self, payload: dict[str, Any], replayed: dict[Place, int]) -> list[Seen]:
        return [seen for entry in payload.get("log") or [] for seen in self._new_output(entry, replayed)]

    # -- what is new

    def _new_updates(self, updates: list[dict[str, Any]]) -> Iterator[Seen]:
        """Servers differ in which updates a first message repeats, so each is shown once by what it says."""
        for update in updates:
            told = (update.get("timestamp"), update.get("state"), update.get("status"))
            if told in self._shown_updates:
                continue
            self._shown_updates.add(told)
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
            shown = self._shown.get(key, 0)
            skip = max(0, min(len(text), shown - replayed.get(key, 0)))
            replayed[key] = replayed.get(key, 0) + len(text)
            self._shown[key] = max(shown, replayed[key])
            if text[skip:]:
                yield OutputSeen(rank, stream, text[skip:])

    # -- socket

    def _frames(self, quiet_seconds: float | None) -> Iterator[dict[str, Any]]:
        """Payloads of one connection. Ends at its `response` frame, when it closes, or when it is quiet."""
        with self._connect() as socket:
            socket.send(json.dumps(self._request()))
            while True:
                try:
                    text = socket.recv(timeout=AFTER_FINAL_SECONDS if self.final else quiet_seconds)
                except (TimeoutError, ConnectionClosed):
                    return
                frame = json.loads(text)
                if frame.get("type") == "response":
                    _refuse_error(frame)
                    return
                if frame.get("type") == "message":
                    yield frame.get("payload") or {}

    def _connect(self) -> websocket.ClientConnection:
        host = self._api.connection.host
        url = f"ws{host.removeprefix('http')}/api/jobs"
        try:
            return websocket.connect(url, max_size=None, compression=None, open_timeout=10, close_timeout=1, proxy=None)
        except (OSError, WebSocketException) as error:
            raise unreachable(host) from error

    def _request(self) -> dict[str, Any]:
        connection = self._api.connection
        return {
            "call": "jobs.follow",
            "streamId": "0",
            "payload": {"id": self._job_id, "resume": self._resume()},
            "bearer": connection.token,
            "project": connection.project,
        }

    def _resume(self) -> list[dict[str, Any]]:
        """A server that does not know this ignores it."""
        return [{"rank": rank, "stream": stream, "offset": at} for (rank, stream), at in self._offsets.items()]


def _is_end(payload: dict[str, Any]) -> bool:
    told = [*(payload.get("updates") or []), payload.get("newStatus") or {}]
    return any(entry.get("state") in FINAL_STATES for entry in told)


def _refuse_error(frame: dict[str, Any]) -> None:
    status = int(frame.get("status") or 200)
    if status >= 400:
        why = (frame.get("payload") or {}).get("why")
        raise Refused(str(why or f"the server answered {status} when asked to follow the job"), status=status)
