"""Private logs stay small once their user deleted his (LOG-16)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ucloud_ray.control.log_janitor import LogJanitor
from ucloud_ray.control.log_tail import LogTail

LIMIT = 64 * 1024
LINES = b"".join(b"%07d\n" % number for number in range(32 * 1024))


class Clock:
    def __init__(self) -> None:
        self.time = 1_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def janitor(tmp_path: Path, clock: Clock) -> LogJanitor:
    return LogJanitor(tmp_path / "logs", LIMIT, clock)


@pytest.fixture
def log(tmp_path: Path, clock: Clock) -> Path:
    """Of 256 KiB, and its user has a name for it."""
    (tmp_path / "logs" / "uid").mkdir(parents=True)
    (tmp_path / "job").mkdir()
    log = tmp_path / "logs" / "uid" / "stdout-0.log"
    log.write_bytes(LINES)
    os.utime(log, (clock.time, clock.time))
    (tmp_path / "job" / "stdout-0.log").hardlink_to(log)
    return log


def taken(log: Path) -> int:
    return log.stat().st_blocks * 512


def what_is_left(log: Path, begin: int = 0) -> bytes:
    tail = LogTail(log, 0, begin=begin)
    try:
        return b"".join(iter(tail.read, b""))
    finally:
        tail.close()


def test_a_log_that_its_user_sees_stays_whole(janitor: LogJanitor, log: Path) -> None:
    before = taken(log)
    janitor.round()
    assert (taken(log), log.read_bytes()) == (before, LINES)


def test_once_he_deletes_it_the_oldest_part_is_given_back(janitor: LogJanitor, log: Path, tmp_path: Path) -> None:
    """And the newest half of the limit, at its old offsets, is there to be followed."""
    (tmp_path / "job" / "stdout-0.log").unlink()
    janitor.round()
    assert LIMIT // 2 <= taken(log) <= LIMIT // 2 + log.stat().st_blksize
    assert log.stat().st_size == len(LINES)
    assert what_is_left(log) == LINES[-len(what_is_left(log)) :]
    assert len(what_is_left(log)) >= LIMIT // 2
    assert what_is_left(log, len(LINES) - 16) == LINES[-16:]


def test_what_was_shortened_is_appended_to_and_shortened_again(
    janitor: LogJanitor, log: Path, tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / "job" / "stdout-0.log").unlink()
    janitor.round()
    with log.open("ab") as file:
        file.write(LINES)
    clock.time += 10
    janitor.round()
    assert taken(log) <= LIMIT
    assert what_is_left(log, 2 * len(LINES) - 16) == LINES[-16:]


def test_a_small_log_without_another_name_stays_whole(janitor: LogJanitor, log: Path, tmp_path: Path) -> None:
    (tmp_path / "job" / "stdout-0.log").unlink()
    log.write_bytes(LINES[:LIMIT])
    janitor.round()
    assert log.read_bytes() == LINES[:LIMIT]


def test_what_is_quiet_is_looked_at_less_often_and_not_forgotten(
    janitor: LogJanitor, log: Path, tmp_path: Path, clock: Clock
) -> None:
    clock.time += 3600
    janitor.round()
    (tmp_path / "job" / "stdout-0.log").unlink()
    clock.time += 300
    janitor.round()
    assert taken(log) > LIMIT
    clock.time += 100
    janitor.round()
    assert taken(log) < LIMIT


def test_folders_that_come_and_go_and_files_that_are_no_logs_do_no_harm(
    janitor: LogJanitor, log: Path, tmp_path: Path, clock: Clock
) -> None:
    (tmp_path / "logs" / "stray").write_text("no folder")
    (log.parent / "link.log").symlink_to(tmp_path / "job" / "stdout-0.log")
    janitor.round()
    log.parent.rename(tmp_path / "elsewhere")
    clock.time += 10
    janitor.round()
    assert janitor._known == set()
    assert (tmp_path / "job" / "stdout-0.log").read_bytes() == LINES


def test_a_machine_on_which_nothing_has_run_has_nothing_to_look_at(janitor: LogJanitor) -> None:
    janitor.round()
