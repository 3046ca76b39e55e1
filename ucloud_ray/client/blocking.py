"""Carries plans out with calls that wait: httpx.Client, and WebSockets of the `websockets` library. Behind `Client`."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx

from ucloud_ray.client import network
from ucloud_ray.client.calls import Read
from ucloud_ray.client.effects import (
    Closed,
    Dial,
    Effect,
    Emit,
    Fetch,
    NoAnswer,
    NotReached,
    Receive,
    Reply,
    Send,
    Sleep,
    Slice,
    Steps,
    Transmit,
)
from ucloud_ray.client.session import Session

if TYPE_CHECKING:
    import websockets.sync.client as websocket


class Blocking:
    def __init__(self, session: Session, http: httpx.Client) -> None:
        self.session = session
        self.http = http

    def call(self, plan: Generator[Any, Any, Any], read: Read[Any]) -> Any:
        steps = self._steps(plan)
        while True:
            try:
                next(steps)
            except StopIteration as returned:
                return read(returned.value)

    def each(self, plan: Generator[Any, Any, Any], read: Read[Any]) -> Iterator[Any]:
        for value in self._steps(plan):
            yield read(value)

    def _steps(self, plan: Generator[Any, Any, Any]) -> Generator[Any, None, Any]:
        """Yields what the plan emits, returns its result."""
        with _Line() as line:
            steps = Steps(plan)
            while (wanted := steps.wanted) is not None:
                if isinstance(wanted, Emit):
                    yield wanted.value
                    steps.done(None)
                    continue
                try:
                    outcome = self._outcome(wanted, line)
                except (NotReached, NoAnswer, Closed, TimeoutError) as error:
                    steps.failed(error)
                else:
                    steps.done(outcome)
            return steps.result

    def _outcome(self, wanted: Effect, line: _Line) -> object:
        match wanted:
            case Send():
                return self._send(wanted)
            case Fetch():
                return self._fetch(wanted)
            case Sleep(seconds):
                time.sleep(seconds)
            case Dial(url):
                line.dial(url)
            case Transmit(text):
                line.transmit(text)
            case Receive(seconds):
                return line.receive(seconds)
        return None

    def _send(self, wanted: Send) -> Reply:
        content = wanted.content
        body = network.pieces(content) if isinstance(content, Slice) else content
        with network.translated():
            answer = self.http.request(
                wanted.method, wanted.url, params=wanted.query or None, headers=wanted.headers, content=body
            )
        return network.reply(answer, answer.content)

    def _fetch(self, wanted: Fetch) -> Reply:
        with network.translated(), self.http.stream("GET", wanted.url, headers=wanted.headers) as answer:
            if answer.is_error:
                return network.reply(answer, answer.read())
            head = network.reply(answer, b"")
            wanted.begin(head)
            for piece in answer.iter_raw():  # as it comes: what is held back is lost when a connection breaks off
                wanted.sink(piece)
            return head


class Plain(Blocking):
    """The same, with what the server sent instead of models."""

    def call(self, plan: Generator[Any, Any, Any], read: Read[Any]) -> Any:
        return super().call(plan, lambda answer: answer)

    def each(self, plan: Generator[Any, Any, Any], read: Read[Any]) -> Iterator[Any]:
        return super().each(plan, lambda answer: answer)


class _Line:
    """At most one open WebSocket; closed at the end, however that comes."""

    def __init__(self) -> None:
        self._open = ExitStack()
        self._socket: websocket.ClientConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._open.close()

    def dial(self, url: str) -> None:
        import websockets.sync.client as websocket

        self._open.close()
        with network.translated_dialling():
            self._socket = self._open.enter_context(websocket.connect(url, **network.SOCKET_OPTIONS))

    def transmit(self, text: str) -> None:
        with network.translated_socket():
            self._connected().send(text)

    def receive(self, seconds: float | None) -> str:
        with network.translated_socket():
            return network.text(self._connected().recv(timeout=seconds))

    def _connected(self) -> websocket.ClientConnection:
        if self._socket is None:
            raise Closed
        return self._socket
