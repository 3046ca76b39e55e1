"""What `doctor` says of the clock (TIME-13)."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import Any

import httpx
import pytest

from ucloud_ray.cli import clock_checks


def core(monkeypatch: pytest.MonkeyPatch, ahead: float | None) -> None:
    """A Core whose clock is so many seconds ahead of ours; None: it does not say."""
    headers = {} if ahead is None else {"Date": formatdate(time.time() + ahead, usegmt=True)}
    monkeypatch.setattr(httpx, "head", lambda *_, **__: httpx.Response(404, headers=headers))


@pytest.mark.parametrize("ahead", [0, 15, -15, None])
def test_a_clock_that_is_near_enough_needs_no_word(monkeypatch: pytest.MonkeyPatch, ahead: float | None) -> None:
    core(monkeypatch, ahead)
    assert list(clock_checks.clock_of_core("http://core")) == []


@pytest.mark.parametrize(("ahead", "word"), [(-3600, "ahead of"), (3600, "behind")])
def test_a_clock_that_is_an_hour_off_is_told(monkeypatch: pytest.MonkeyPatch, ahead: float, word: str) -> None:
    core(monkeypatch, ahead)
    [check] = clock_checks.clock_of_core("http://core")
    assert (check.ok, word in check.detail) == (False, True)
    assert check.remedy


def test_a_core_that_does_not_answer_says_nothing_of_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> httpx.Response:
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(httpx, "head", refuse)
    assert list(clock_checks.clock_of_core("http://core")) == []


def test_a_clock_that_was_never_set_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    [check] = clock_checks.clock()
    assert check.ok is False
