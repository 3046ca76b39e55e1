"""A client of `jobs.follow` as a web page has it: one socket, the document's frames, nothing else (end-user-api 7)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.support.stack import Stack

Frame = dict[str, Any]
PATIENCE = 30.0
"""Seconds without a frame until a test gives up."""


@contextmanager
def following(stack: Stack, job_id: str, token: str | None = None) -> Iterator[Iterator[Frame]]:
    """Frames as they come, up to and including the `response`."""
    with connect(f"ws{stack.url.removeprefix('http')}/api/jobs", max_size=None, proxy=None) as socket:
        request = {
            "call": "jobs.follow",
            "streamId": "0",
            "payload": {"id": job_id},
            "bearer": stack.token() if token is None else token,
            "project": None,
        }
        socket.send(json.dumps(request))
        yield _frames(socket)


def _frames(socket: ClientConnection) -> Iterator[Frame]:
    while True:
        frame = json.loads(socket.recv(timeout=PATIENCE))
        if "ping" in frame:
            continue
        yield frame
        if frame["type"] == "response":
            return


def printed(frames: list[Frame], rank: int = 0, stream: str = "stdout") -> str:
    """The whole output of one stream of one rank."""
    entries = [entry for frame in frames for entry in frame["payload"].get("log") or []]
    return "".join(entry[stream] or "" for entry in entries if entry["rank"] == rank)
