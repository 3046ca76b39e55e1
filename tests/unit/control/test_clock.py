"""What jobs' times are counted from, and that nobody who sets a clock moves it (TIME-11, TIME-13)."""

from __future__ import annotations

import time

import pytest

from tests.unit.control.rig import Rig
from ucloud_ray.control import requests
from ucloud_ray.control.clock import Anchor, SystemClock
from ucloud_ray.domain.ids import Millis

HOUR = 3_600_000


def set_wall_clock(monkeypatch: pytest.MonkeyPatch, by: int) -> None:
    """As an administrator would, by so many milliseconds."""
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + by * 1_000_000)
    monkeypatch.setattr(time, "time", lambda: (real() + by * 1_000_000) / 1e9)


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_setting_the_machines_clock_does_not_move_ours(monkeypatch: pytest.MonkeyPatch, by: int) -> None:
    clock = SystemClock()
    before = clock.now()
    assert abs(before - time.time_ns() // 1_000_000) < 1_000
    set_wall_clock(monkeypatch, by)
    assert before <= clock.now() < before + HOUR


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_who_counts_from_an_anchor_goes_on_where_its_predecessor_was(monkeypatch: pytest.MonkeyPatch, by: int) -> None:
    anchor = Anchor.now()
    before = SystemClock(anchor).now()
    set_wall_clock(monkeypatch, by)
    assert before <= SystemClock(anchor).now() < before + HOUR
    assert abs(SystemClock().now() - before) >= HOUR - 1_000


def test_an_anchor_is_never_before_what_was_seen() -> None:
    anchor = Anchor("boot", 5, 1_000_000_000)
    assert anchor.not_before(Millis(1_000)) == anchor
    assert anchor.not_before(Millis(1_001)) == Anchor("boot", 5, 1_001_000_000)


@pytest.mark.parametrize(("by", "word"), [(HOUR, "1 hour behind"), (-HOUR, "1 hour ahead of")])
async def test_the_operator_is_told_when_the_machines_clock_was_set(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, by: int, word: str
) -> None:
    life = await rig.start()
    assert (await life.requests.status())["problems"] == []
    monkeypatch.setattr(requests, "wall_clock", lambda: Millis(rig.clock.now() + by))
    [problem] = (await life.requests.status())["problems"]
    assert word in problem
