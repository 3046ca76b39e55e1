"""The turn to fetch an image, between processes (ENV-54). Two objects stand for two processes: locks on files belong to
what was opened, not to who opened it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runtimes.docker.turns import Turn
from runtimes.errors import ImageUnavailable
from runtimes.types import Progress


def opened(folder: Path, what: str = "daemon a:1") -> Turn:
    turn = Turn(folder, what)
    turn.open()
    return turn


def test_one_has_the_turn_and_the_next_gets_it_after(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path)
    assert first.take()
    assert not second.take()
    first.close()
    assert not second.take()  # what it held was removed: it begins anew
    assert second.take()
    second.close()
    assert list(tmp_path.iterdir()) == []


def test_different_images_and_daemons_do_not_wait_for_each_other(tmp_path: Path) -> None:
    turns = [opened(tmp_path, what) for what in ("daemon a:1", "daemon a:2", "other a:1")]
    assert all(turn.take() for turn in turns)
    for turn in turns:
        turn.close()


def test_who_waits_is_seen_until_it_leaves(tmp_path: Path) -> None:
    first = opened(tmp_path)
    assert first.take()
    assert not first.wanted_by_others()
    second = opened(tmp_path)
    assert first.wanted_by_others()
    second.close()
    assert not first.wanted_by_others()
    first.close()


def test_nothing_is_told_before_it_is_opened_and_after_it_was_closed(tmp_path: Path) -> None:
    """Somebody may ask at any moment."""
    turn = Turn(tmp_path, "daemon a:1")
    assert turn.told() is None
    turn.open()
    turn.close()
    turn.close()
    assert turn.told() is None


def test_who_waits_hears_how_far_it_is_and_why_it_failed(tmp_path: Path) -> None:
    first, second = opened(tmp_path), opened(tmp_path)
    assert first.take()
    assert second.told() is None
    first.tell(Progress("Fetching the image a:1", "a long text about it"))
    first.tell(Progress("Fetching the image a:1", "45 %"))
    assert second.told() == Progress("Fetching the image a:1", "45 %")
    first.fail(ImageUnavailable("no such image", retryable=True))
    first.close()
    with pytest.raises(ImageUnavailable, match="no such image") as caught:
        second.take()
    assert caught.value.retryable
    second.close()
    assert list(tmp_path.iterdir()) == []


def test_a_failure_is_not_for_those_who_come_later(tmp_path: Path) -> None:
    first = opened(tmp_path)
    assert first.take()
    first.fail(ImageUnavailable("no such image"))
    later = opened(tmp_path)
    first.close()
    assert later.take()
    later.close()


def test_who_gives_up_before_its_turn_leaves_the_files_to_the_others(tmp_path: Path) -> None:
    first, second, third = opened(tmp_path), opened(tmp_path), opened(tmp_path)
    assert first.take()
    second.close()
    assert not third.take()
    first.close()
    third.close()
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_was_killed_leaves_nothing_locked(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, sys; from runtimes.docker.turns import Turn;"
        "turn = Turn(pathlib.Path(sys.argv[1]), 'daemon a:1'); turn.open(); turn.take() and os.kill(os.getpid(), 9)"
    )
    assert subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False).returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    turn = opened(tmp_path)
    assert turn.take()
    turn.close()
    assert list(tmp_path.iterdir()) == []
