"""Which shell sessions are promised (IS-3, IS-12, W3)."""

from __future__ import annotations

import re

import pytest

from ucloud_ray.control.terminal_sessions import MOST_PER_JOB, UNUSED_SECONDS, TerminalSessions
from ucloud_ray.domain.ids import JobUid

JOB, OTHER = JobUid("job"), JobUid("other")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> TerminalSessions:
    return TerminalSessions(clock)


def test_a_session_is_spent_once(sessions: TerminalSessions) -> None:
    """IS-12: one connection per token."""
    session = sessions.promise(JOB, 3, 1)
    spent = sessions.spend(session)
    assert spent is not None
    assert (spent.uid, spent.incarnation, spent.rank) == (JOB, 3, 1)
    assert sessions.spend(session) is None


def test_a_session_nobody_promised_is_none(sessions: TerminalSessions) -> None:
    sessions.promise(JOB, 1, 0)
    assert sessions.spend("") is None
    assert sessions.spend("x" * 43) is None


def test_an_id_has_256_bits_and_can_stand_in_a_url(sessions: TerminalSessions) -> None:
    """IS-3, W10."""
    ids = {sessions.promise(JOB, 1, 0) for _ in range(10)}
    assert len(ids) == 10
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", session) for session in ids)


def test_a_session_is_void_after_ten_minutes(sessions: TerminalSessions, clock: Clock) -> None:
    """IS-12."""
    early, late = sessions.promise(JOB, 1, 0), None
    clock.now += UNUSED_SECONDS - 1
    late = sessions.promise(JOB, 1, 0)
    clock.now += 1
    assert sessions.spend(early) is None
    assert sessions.spend(late) is not None


def test_a_page_that_asks_for_ever_only_loses_its_own_oldest_sessions(sessions: TerminalSessions) -> None:
    """W3."""
    others = sessions.promise(OTHER, 1, 0)
    first, *rest = [sessions.promise(JOB, 1, 0) for _ in range(MOST_PER_JOB + 1)]
    assert sessions.spend(first) is None
    assert all(sessions.spend(session) for session in [others, *rest])
