"""A machine's raylet, played by tiny processes: kept running while its head listens, and no longer."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.wait import wait_until
from ucloud_ray.cli import membership
from ucloud_ray.cli.membership import Membership
from ucloud_ray.cli.parts import Part, PartSpec, session_members
from ucloud_ray.cli.ports import Answer


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(membership, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(membership, "FIRST_PAUSE_SECONDS", 0.01)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


class Machine:
    def __init__(self, folder: Path, script: str = "exec sleep 60") -> None:
        self.head = Answer.LISTENS
        self.said: list[str] = []
        self.raylet = Part(PartSpec("raylet", ["/bin/sh", "-c", script], dict(os.environ), lambda: True, 5.0), folder)
        self.pids: list[int] = []
        self.membership = Membership(self.raylet, lambda: self.head, self.said.append)

    def look(self, until: int) -> bool:
        """Whether that many raylets were started by now."""
        pid = self.raylet.pid
        if pid is not None and pid not in self.pids:
            self.pids.append(pid)
        return len(self.pids) >= until


def run(machine: Machine, story: threading.Thread) -> None:
    """The membership belongs to the main thread, because of its signals; the story happens beside it."""
    story.start()
    try:
        machine.membership.run()
    finally:
        machine.membership.leave.set()
        story.join()
    assert [pid for pid in machine.pids if session_members(pid)] == []


def test_a_raylet_that_ends_is_started_again_and_this_is_said(tmp_path: Path) -> None:
    machine = Machine(tmp_path)

    def story() -> None:
        wait_until(lambda: machine.look(1), "the raylet")
        os.kill(machine.pids[0], signal.SIGKILL)
        wait_until(lambda: machine.look(2), "another raylet")
        os.kill(os.getpid(), signal.SIGTERM)

    run(machine, threading.Thread(target=story))
    assert len(machine.said) == 1
    assert machine.said[0].startswith("the raylet ended with -9; joining again in 0.01 s")


def test_a_head_that_is_gone_ends_the_raylet_until_it_is_back(tmp_path: Path) -> None:
    """Otherwise it would hang on to a head that does not exist any more."""
    machine = Machine(tmp_path)

    def story() -> None:
        wait_until(lambda: machine.look(1), "the raylet")
        machine.head = Answer.REFUSES
        wait_until(lambda: not session_members(machine.pids[0]), "the raylet to be stopped")
        wait_until(lambda: any("waiting for it" in line for line in machine.said), "the wait to be said")
        assert not machine.look(2)
        machine.head = Answer.LISTENS
        wait_until(lambda: machine.look(2), "another raylet")
        os.kill(os.getpid(), signal.SIGTERM)

    run(machine, threading.Thread(target=story))
    assert [line.split(";")[0] for line in machine.said] == [
        "the head is gone",
        "nothing listens at the head's address",
    ]


def test_it_waits_for_a_head_that_is_not_there_yet(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.head = Answer.REFUSES

    def story() -> None:
        wait_until(lambda: machine.said, "the wait to be said")
        assert machine.raylet.pid is None
        machine.head = Answer.LISTENS
        wait_until(lambda: machine.look(1), "the raylet")
        os.kill(os.getpid(), signal.SIGINT)

    run(machine, threading.Thread(target=story))
    assert machine.said == ["nothing listens at the head's address; waiting for it"]


def test_a_single_refusal_and_a_short_silence_change_nothing(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    once, short = [Answer.LISTENS, Answer.REFUSES], [Answer.LISTENS, Answer.SILENT]
    answers = [*once, *once, *short, Answer.LISTENS]

    def knock() -> Answer:
        if not answers:
            machine.membership.leave.set()
        return answers.pop(0) if answers else Answer.LISTENS

    machine.membership.knock = knock
    machine.membership.run()
    assert machine.said == []


def test_a_raylet_is_left_alone_during_a_silence_and_started_anew_after_a_long_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D4, D7: it was declared dead, and would take as long again to notice it."""
    monkeypatch.setattr(membership, "SILENCE_SECONDS", 0.1)
    machine = Machine(tmp_path)
    silent = threading.Event()

    def knock() -> Answer:
        if machine.head is Answer.SILENT:
            silent.set()
        return machine.head

    def story() -> None:
        wait_until(lambda: machine.look(1), "the raylet")
        machine.head = Answer.SILENT
        silent.wait()
        assert not threading.Event().wait(0.3)
        assert session_members(machine.pids[0]), "it may still serve those on its side of the cut"
        assert not machine.look(2)
        machine.head = Answer.LISTENS
        wait_until(lambda: machine.look(2), "another raylet")
        os.kill(os.getpid(), signal.SIGTERM)

    machine.membership.knock = knock
    run(machine, threading.Thread(target=story))
    assert [line.split(";")[0] for line in machine.said] == ["the head answers again after 0 s"]


def test_the_pause_grows_while_it_does_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(tmp_path, "exit 1")
    monkeypatch.setattr(membership, "LONGEST_PAUSE_SECONDS", 0.04)

    def say(line: str) -> None:
        machine.said.append(line)
        if len(machine.said) == 4:
            machine.membership.leave.set()

    machine.membership.say = say
    machine.membership.run()
    assert [line.split(" in ")[1].split(" s")[0] for line in machine.said] == ["0.01", "0.02", "0.04", "0.04"]
