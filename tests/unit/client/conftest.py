"""Calls of the client without a network: plans carried out by a script, and clients on httpx's transport seam."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.unit.cli.fake_core import FakeCore
from ucloud_ray.client import AsyncClient, Client, Retry
from ucloud_ray.client.credentials import Credentials
from ucloud_ray.client.effects import Closed, Dial, Emit, NotReached, Receive, Reply, Send, Sleep, Steps, Transmit
from ucloud_ray.client.session import Session

URL = "http://core.invalid"
CLOSED = object()
"""In a script: the server closes the socket."""
AT_ONCE = Retry(first_pause=0.0, longest_pause=0.0)


@dataclass
class Script:
    """Carries one plan out. Requests are answered by `answers` in turn or by `serve`; each connection plays one list of
    `sockets`, and one that is used up is a server that says nothing more. When all are used up nothing answers."""

    answers: list[Reply | Exception] = field(default_factory=list)
    serve: Callable[[Send], Reply] | None = None
    sockets: list[list[Any]] = field(default_factory=list)
    sent: list[Send] = field(default_factory=list)
    transmitted: list[Any] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    emitted: list[Any] = field(default_factory=list)
    _open: Iterator[Any] = field(default_factory=lambda: iter(()))

    def run(self, plan: Generator[Any, Any, Any]) -> Any:
        """Its result; what it emits is in `emitted`."""
        steps = Steps(plan)
        while (wanted := steps.wanted) is not None:
            try:
                outcome = self._outcome(wanted)
            except Exception as error:
                steps.failed(error)
            else:
                steps.done(outcome)
        return steps.result

    def _outcome(self, wanted: Any) -> Any:
        match wanted:
            case Emit(value):
                self.emitted.append(value)
            case Sleep(seconds):
                self.slept.append(seconds)
            case Send():
                self.sent.append(wanted)
                return self._answer(wanted)
            case Dial():
                if not self.sockets:
                    raise NotReached
                self._open = iter(self.sockets.pop(0))
            case Transmit(text):
                self.transmitted.append(json.loads(text))
            case Receive(seconds):
                return self._frame(seconds)
        return None

    def _answer(self, wanted: Send) -> Reply:
        if self.serve is not None:
            return self.serve(wanted)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _frame(self, seconds: float | None) -> str:
        frame = next(self._open, None)
        if frame is CLOSED:
            raise Closed
        if frame is None:
            assert seconds is not None, "this would wait for ever"
            raise TimeoutError
        return json.dumps(frame)


def ok(body: Any = None, **headers: str) -> Reply:
    return Reply(200, "OK", headers, json.dumps(body if body is not None else {}).encode())


def no(status: int, why: str | None = None, **headers: str) -> Reply:
    content = json.dumps({"why": why}).encode() if why else b"<html>"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, "Reason", named, content)


def session(**more: Any) -> Session:
    return Session(URL, **{"credentials": Credentials("t0ken"), "retry": AT_ONCE, **more})


@pytest.fixture
def core() -> FakeCore:
    return FakeCore()


@pytest.fixture
def client(core: FakeCore) -> Iterator[Client]:
    with Client(URL, "t0ken", transport=core.transport(), retry=AT_ONCE) as client:
        yield client


def awaited(core: FakeCore, use: Callable[[AsyncClient], Any]) -> Any:
    """What comes of using an asynchronous client."""

    async def run() -> Any:
        async with AsyncClient(URL, "t0ken", transport=httpx.MockTransport(core.answer), retry=AT_ONCE) as client:
            return await use(client)

    return asyncio.run(run())
