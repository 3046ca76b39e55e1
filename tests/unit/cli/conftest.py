"""The command line as a user runs it, against a Core in memory."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partialmethod
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.unit.cli.fake_core import FakeCore, job
from tests.unit.client.conftest import CLOSED
from ucloud_ray.cli import main
from ucloud_ray.client import Client, blocking, following
from ucloud_ray.client.effects import Closed, NotReached


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


Cli = Callable[..., Outcome]


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> FakeCore:
    core = FakeCore()
    monkeypatch.setattr(Client, "__init__", partialmethod(Client.__init__, transport=core.transport()))
    return core


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Cli:
    """Runs `ucloud-ray WORDS` in an empty folder, logged in at an address where nothing real is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UCLOUD_RAY_HOST", "http://core.invalid")
    monkeypatch.setenv("UCLOUD_RAY_TOKEN", "t0ken")

    def run(*words: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["ucloud-ray", *words])
        with pytest.raises(SystemExit) as left:
            main.run()
        printed = capsys.readouterr()
        code = left.value.code
        return Outcome(code if isinstance(code, int) else 0 if code is None else 1, printed.out, printed.err)

    return run


class FakeLine:
    """In place of a WebSocket: plays one script per connection; when all are used up nothing answers."""

    scripts: ClassVar[list[list[Any]]] = []
    sent: ClassVar[list[dict[str, Any]]] = []

    def __enter__(self) -> FakeLine:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def dial(self, url: str) -> None:
        if not self.scripts:
            raise NotReached
        self._frames = iter(self.scripts.pop(0))

    def transmit(self, text: str) -> None:
        self.sent.append(json.loads(text))

    def receive(self, seconds: float | None) -> str:
        frame = next(self._frames, None)
        if frame is CLOSED:
            raise Closed
        if frame is KeyboardInterrupt:
            raise KeyboardInterrupt
        if frame is None:
            assert seconds is not None, "this would wait for ever"
            raise TimeoutError
        return json.dumps(frame)


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch, core: FakeCore) -> list[list[Any]]:
    """One script per connection."""
    core.jobs = {"7": job("7", "IN_QUEUE")}
    monkeypatch.setattr(FakeLine, "scripts", [])
    monkeypatch.setattr(FakeLine, "sent", [])
    monkeypatch.setattr(blocking, "_Line", FakeLine)
    monkeypatch.setattr(following, "RECONNECT_SECONDS", (0.0, 0.0))
    return FakeLine.scripts
