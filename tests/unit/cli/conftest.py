"""The command line as a user runs it, against a Core in memory."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partialmethod
from pathlib import Path

import pytest

from tests.unit.cli.fake_core import FakeCore
from ucloud_ray.cli import api, main


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str


Cli = Callable[..., Outcome]


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> FakeCore:
    core = FakeCore()
    transport = core.transport()
    monkeypatch.setattr(api.Api, "__init__", partialmethod(api.Api.__init__, transport=transport))
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
