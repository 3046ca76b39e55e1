"""A proxy between the provider and the real orchestrator that breaks calls on purpose, and counts what it broke.

    with misbehaving_core(stack) as core:      # the provider talks through it from then on
        core.choose = lambda call: Way.LOST if call.operation == "update" else None
        ...
    core.broken[Way.LOST, "update"]

What a way applies and what it does not is real: a call that is not to be applied never reaches the orchestrator, and a
call whose answer is lost was answered by it. Users talk to the orchestrator directly. The notification socket is not
passed on: late versions of UCloud/Core have none.
"""

from __future__ import annotations

import json
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import yaml

from tests.faults.victims import Victims
from tests.support.stack import Stack
from tests.support.wait import wait_until
from ucloud_ray.cli.embedded import EFFECTIVE_FILE

PATIENCE_SECONDS = 2.0
"""How long the provider waits for an answer."""
SLOW_SECONDS = 1.0
TOO_SLOW_SECONDS = 3.0


class Way(Enum):
    """How a call is broken."""

    SLOW = "answered slowly"
    TOO_SLOW = "applied, and answered when nobody waits any more"
    ERROR = "answered 500"
    LATER = "answered 449"
    HALF = "applied, and half of the answer sent"
    LOST = "applied, and the answer lost"
    UNAUTHORIZED = "answered 401 until the token is renewed"
    UNKNOWN = "answered 404"
    TORN = "broken off in the middle of a listing"
    EMPTY = "a listing without anything"


_INSTEAD = {Way.ERROR: 500, Way.LATER: 449, Way.UNAUTHORIZED: 401, Way.UNKNOWN: 404}


@dataclass(frozen=True)
class Call:
    """One of the provider's."""

    method: str
    path: str
    """With its query."""
    body: bytes
    token: str

    @property
    def operation(self) -> str:
        """`update`, `chargeCredits`, `checkCredits`, `browse`, `refresh`."""
        return urlsplit(self.path).path.rpartition("/")[2]

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}

    @cached_property
    def items(self) -> list[Any]:
        return list(json.loads(self.body)["items"]) if self.body else []

    @property
    def jobs(self) -> set[str]:
        """Ids that it is about."""
        return {str(item["id"]) for item in self.items if "id" in item}


Choose = Callable[[Call], Way | None]


def nothing(call: Call) -> Way | None:
    """Everything goes through."""
    return None


class MisbehavingCore:
    """`choose` is asked about each call, in threads; it may be replaced at any time."""

    def __init__(self, target: str) -> None:
        self.choose: Choose = nothing
        self.broken: Counter[tuple[Way, str]] = Counter()
        """Calls that were broken, by way and operation."""
        self.passed: list[Call] = []
        """Calls that were answered as they should be, in the order of their answers."""
        self.applied: list[Call] = []
        """Calls that the orchestrator answered 200, whether the provider heard of it or not."""
        self._target = httpx.Client(base_url=target, timeout=30.0)
        self._over = threading.Event()
        self._server: _Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def come_up(self) -> None:
        """At the same address as before."""
        self._server = _Server(("127.0.0.1", self._port), _handler(self))
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="core", daemon=True).start()

    def go_down(self) -> None:
        """Connections are refused, and those that are open are cut."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.cut()
            self._server = None

    def close(self) -> None:
        self._over.set()
        self.go_down()
        self._target.close()

    def count(self, way: Way) -> int:
        return sum(number for (broken, _), number in self.broken.items() if broken is way)

    def words(self, way: Way) -> str:
        """`12 calls (update 9, chargeCredits 3)`"""
        each = sorted(((number, name) for (broken, name), number in self.broken.items() if broken is way), reverse=True)
        told = ", ".join(f"{name} {number}" for number, name in each)
        return f"{self.count(way)} calls ({told})"

    # ------------------------------------------------------------------------------------------------- one call

    def answer(self, call: Call, handler: _Handler) -> None:
        way = self.choose(call)
        if way is not None:
            self.broken[way, call.operation] += 1
        if way in _INSTEAD:
            handler.reply(_INSTEAD[way], b'{"why":"It misbehaves on purpose."}')
            return
        if way is Way.EMPTY:
            handler.reply(200, b'{"itemsPerPage":250,"items":[],"next":null}')
            return
        if way is Way.TORN:
            handler.reply_half(*self._forward(call))
            return
        self._answer_applied(way, call, handler)

    def _answer_applied(self, way: Way | None, call: Call, handler: _Handler) -> None:
        status, content = self._forward(call)
        if way is Way.LOST:
            handler.cut()
        elif way is Way.HALF:
            handler.reply_half(status, content)
        else:
            if way is Way.SLOW or way is Way.TOO_SLOW:
                self._over.wait(SLOW_SECONDS if way is Way.SLOW else TOO_SLOW_SECONDS)
            handler.reply(status, content)
            if way is None:
                self.passed.append(call)

    def _forward(self, call: Call) -> tuple[int, bytes]:
        headers = {"Authorization": call.token} if call.token else {}
        answer = self._target.request(
            call.method, call.path, content=call.body, headers=headers | {"Content-Type": "application/json"}
        )
        if answer.status_code == 200:
            self.applied.append(call)
        return answer.status_code, answer.content


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._open: set[socket.socket] = set()
        super().__init__(address, handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A provider that was killed, or does not wait any more: nothing to tell."""

    def cut(self) -> None:
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    core: MisbehavingCore

    def do_POST(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        if "upgrade" in self.headers:
            self.reply(404, b"{}")
        else:
            self._serve()

    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        self.core.answer(Call(self.command, self.path, body, self.headers.get("authorization") or ""), self)

    def reply(self, status: int, content: bytes) -> None:
        self._begin(status, content)
        self.wfile.write(content)

    def reply_half(self, status: int, content: bytes) -> None:
        self._begin(status, content)
        self.wfile.write(content[: len(content) // 2])
        self.wfile.flush()
        self.cut()

    def cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def _begin(self, status: int, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()


def _handler(core: MisbehavingCore) -> type[_Handler]:
    return type("Handler", (_Handler,), {"core": core})


@contextmanager
def misbehaving_core(stack: Stack) -> Iterator[MisbehavingCore]:
    """The provider of a stack that runs is started again with this proxy as its Core. The orchestrator must not be
    started again meanwhile: it reads the same settings."""
    core = MisbehavingCore(stack.url)
    core.come_up()
    before = _point_to(stack, core.url, PATIENCE_SECONDS)
    try:
        yield core
    finally:
        core.choose = nothing
        _point_to(stack, *before)
        core.close()


def _point_to(stack: Stack, url: str, patience: float) -> tuple[str, float]:
    """What was there before."""
    file = stack.data / EFFECTIVE_FILE
    settings = yaml.safe_load(file.read_text())
    core = settings.setdefault("core", {})
    before = core["url"], core.get("timeoutSeconds", 10.0)
    core |= {"url": url, "timeoutSeconds": patience}
    file.write_text(yaml.safe_dump(settings))
    _start_provider_again(stack)
    return before


def _start_provider_again(stack: Stack) -> None:
    """Its front end, which finds that the supervisor has other settings and makes another one."""
    victims = Victims(stack)
    old, replaced = stack.pid("provider"), victims.supervisor()
    victims.kill([old])
    stack.wait_restarted("provider", old)
    wait_until(lambda: set(victims.supervisor()) - set(replaced), "a supervisor with other settings", 90.0)
    stack.wait_answering()
