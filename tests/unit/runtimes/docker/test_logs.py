"""The copy of a container's output is whole, whatever interrupts it."""

from __future__ import annotations

import asyncio
import errno
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from runtimes.docker import logs, sink
from runtimes.docker.logs import LogCopy, LogTarget
from runtimes.errors import RuntimeUnavailable, TaskNotFound
from runtimes.types import LogPaths

CONTAINER = "c" * 64


def frames(*outputs: tuple[int, bytes]) -> list[bytes]:
    messages = [(kind, b"2026-01-02T15:04:05.000000000Z " + output) for kind, output in outputs]
    return [struct.pack(">BxxxL", kind, len(message)) + message for kind, message in messages]


class Pieces:
    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = pieces
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces

    def close(self) -> None:
        self.closed = True


class Daemon:
    """Each reading of the log gets the next of `readings`: what it says before it ends, and the state then."""

    def __init__(self, *readings: tuple[str, list[bytes]] | Exception) -> None:
        self.readings = list(readings)
        self.followed: list[bool] = []

    def inspect(self, container: str) -> dict[str, Any]:
        assert container == CONTAINER
        reading = self.readings[0]
        if isinstance(reading, Exception):
            self.readings.pop(0)
            raise reading
        times = {"StartedAt": "2026-11-24T20:22:44Z", "FinishedAt": "2026-11-24T20:22:45Z"}
        return {"State": {"Status": reading[0], "ExitCode": 0, "OOMKilled": False, **times}}

    def log_pieces(self, container: str, *, follow: bool) -> Pieces:
        self.followed.append(follow)
        reading = self.readings.pop(0)
        assert not isinstance(reading, Exception)
        return Pieces(reading[1])


@pytest.fixture
def target(tmp_path: Path) -> LogTarget:
    (tmp_path / "job").mkdir()
    (tmp_path / "logs").mkdir()
    return LogTarget(CONTAINER, LogPaths(tmp_path / "logs/out", tmp_path / "logs/err"), tmp_path / "job")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_RETRY_SECONDS", 0)
    monkeypatch.setattr(logs, "_LOCK_RETRY_SECONDS", 0)


async def copy(daemon: Daemon, target: LogTarget) -> None:
    await LogCopy(daemon, target, target.job_folder.parent / "state").finished()


WHOLE = frames((1, b"one\n"), (2, b"oops\n"), (1, b"two\n"))


async def test_both_streams_go_to_their_own_file(target: LogTarget) -> None:
    daemon = Daemon(("exited", WHOLE))
    await copy(daemon, target)
    assert target.paths.stdout.read_bytes() == b"one\ntwo\n"
    assert target.paths.stderr.read_bytes() == b"oops\n"
    assert daemon.followed == [False]


async def test_a_running_container_is_followed_and_read_once_more_after_its_end(target: LogTarget) -> None:
    """A followed log also ends when the daemon goes away, so that its end proves nothing."""
    daemon = Daemon(("running", WHOLE[:1]), ("exited", WHOLE))
    await copy(daemon, target)
    assert target.paths.stdout.read_bytes() == b"one\ntwo\n"
    assert daemon.followed == [True, False]


async def test_another_copy_adds_nothing_to_a_whole_one(target: LogTarget) -> None:
    await copy(Daemon(("exited", WHOLE)), target)
    await copy(Daemon(("exited", WHOLE)), target)
    assert target.paths.stdout.read_bytes() == b"one\ntwo\n"
    assert target.paths.stderr.read_bytes() == b"oops\n"


async def test_a_copy_cut_inside_a_frame_goes_on_at_the_next_byte(target: LogTarget) -> None:
    daemon = Daemon(("running", [*WHOLE[:2], WHOLE[2][:-2]]), ("exited", WHOLE))
    await copy(daemon, target)
    assert target.paths.stdout.read_bytes() == b"one\ntwo\n"


async def test_a_daemon_that_is_away_is_waited_for(target: LogTarget) -> None:
    daemon = Daemon(("running", WHOLE[:1]), RuntimeUnavailable("away"), RuntimeUnavailable("away"), ("exited", WHOLE))
    await copy(daemon, target)
    assert target.paths.stdout.read_bytes() == b"one\ntwo\n"


async def test_a_container_that_is_gone_has_nothing_more_to_copy(target: LogTarget) -> None:
    daemon = Daemon(("running", WHOLE[:1]), TaskNotFound("gone"))
    await copy(daemon, target)
    assert target.paths.stdout.read_bytes() == b"one\n"


async def test_the_user_sees_the_files_in_the_job_folder(target: LogTarget) -> None:
    """LOG-15."""
    await copy(Daemon(("exited", WHOLE)), target)
    assert (target.job_folder / "out").read_bytes() == b"one\ntwo\n"
    assert (target.job_folder / "err").read_bytes() == b"oops\n"


async def test_a_link_planted_in_the_job_folder_is_not_followed(target: LogTarget) -> None:
    """LOG-18."""
    victim = target.job_folder.parent / "victim"
    (target.job_folder / "out").symlink_to(victim)
    await copy(Daemon(("exited", WHOLE)), target)
    assert not victim.exists()
    assert target.paths.stdout.read_bytes() == b"one\ntwo\n"


async def test_a_full_disk_loses_nothing_once_there_is_room(target: LogTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    """LOG-17."""
    refusals = [1, 1, 1]

    def write(file: int, output: bytes) -> int:
        if refusals:
            refusals.pop()
            raise OSError(errno.ENOSPC, "No space left on device")
        return os.pwrite(file, output[:2], 0)

    monkeypatch.setattr(sink.os, "write", write)
    await copy(Daemon(("exited", WHOLE)), target)
    assert refusals == []
    assert target.paths.stdout.read_bytes() == b"one\ntwo\n"


async def test_a_disk_that_stays_full_does_not_keep_the_end_from_being_told(
    target: LogTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """LOG-17."""

    def write(file: int, output: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sink.os, "write", write)
    monkeypatch.setattr(logs, "_GIVE_UP_SECONDS", -1)
    await copy(Daemon(("exited", WHOLE)), target)
    assert target.paths.stdout.read_bytes() == b""


async def test_two_copies_at_once_write_everything_once(target: LogTarget) -> None:
    """As when a process that was thought dead is not."""
    await asyncio.gather(*(copy(Daemon(("exited", WHOLE * 50)), target) for _ in range(4)))
    assert target.paths.stdout.read_bytes() == b"one\ntwo\n" * 50


async def test_whoever_waits_for_a_copy_that_is_closed_is_told(target: LogTarget) -> None:
    away = Daemon(*[RuntimeUnavailable("away")] * 100_000)
    closing = LogCopy(away, target, target.job_folder.parent / "state")
    waiting = asyncio.create_task(closing.finished())
    await asyncio.sleep(0)
    closing.close()
    with pytest.raises(RuntimeUnavailable):
        await waiting
