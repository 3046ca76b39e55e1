"""The minder with real, tiny child processes: order, restart, giving up, and leaving nothing behind."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.wait import wait_until
from ucloud_ray.cli import minder
from ucloud_ray.cli.minder import AlreadyMinded, Minder, PartFailed
from ucloud_ray.cli.parts import Part, PartSpec, session_members
from ucloud_ray.cli.state_file import ProcessMark, UpState, read, write


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(minder, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(minder, "FIRST_PAUSE_SECONDS", 0.01)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def part(
    folder: Path,
    name: str,
    script: str,
    answers: Callable[[], bool] = lambda: True,
    responds: Callable[[], bool] | None = None,
) -> Part:
    command = ["/bin/sh", "-c", script]
    return Part(PartSpec(name, command, dict(os.environ), answers, stop_seconds=5.0, responds=responds), folder)


def test_parts_start_in_order_and_stop_in_reverse(tmp_path: Path) -> None:
    story = tmp_path / "story"
    script = "echo +{0} >> {1}; trap 'echo -{0} >> {1}; exit' TERM; while :; do sleep 0.01; done"
    parts = [
        part(tmp_path, name, script.format(name, story), lambda name=name: f"+{name}\n" in _text(story))
        for name in ("a", "b")
    ]
    ours = Minder(parts, lambda ready: ours.leave.set() if ready else None, print)
    ours.run()
    assert _text(story).split() == ["+a", "+b", "-b", "-a"]
    assert all(part.exit_status() is not None for part in parts)


def test_a_part_that_dies_is_started_again_and_this_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    mortal = part(tmp_path, "mortal", "exec sleep 60")
    pids: list[int | None] = []

    def changed(ready: bool) -> None:
        pids.append(mortal.pid)
        if len(set(pids)) == 3:
            ours.leave.set()
        elif ready or len(pids) > 2:
            os.kill(mortal.pid or 0, signal.SIGKILL)

    ours = Minder([mortal], changed, said.append)
    ours.run()
    assert len(set(pids)) == 3
    assert len(said) == 2
    assert said[0].startswith("mortal ended with -9; starting it again in 0.01 s")
    assert "0.02 s" in said[1]


def test_a_part_that_has_answered_is_not_kept_waiting_for_longer_and_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed three times as soon as it answers, then twice before it does."""
    monkeypatch.setattr(minder, "COMING_UP_SECONDS", 0.01)
    answered: list[int | None] = []
    said: list[str] = []

    def answers() -> bool:
        if len(answered) < 3:
            answered.append(killed.pid)
            os.kill(killed.pid or 0, signal.SIGKILL)
            return True
        return False

    def started(ready: bool) -> None:
        if len(answered) == 3 and killed.pid != answered[-1]:
            os.kill(killed.pid or 0, signal.SIGKILL)

    def say(text: str) -> None:
        said.append(text.split(" again in ")[1].split(" (")[0])
        if len(said) == 5:
            ours.leave.set()

    killed = part(tmp_path, "killed", "exec sleep 60", answers)
    ours = Minder([killed], started, say)
    ours.run()
    assert said == ["0.01 s", "0.01 s", "0.01 s", "0.02 s", "0.04 s"]


def test_a_part_that_does_not_come_up_fails_with_its_last_words_and_stops_the_others(tmp_path: Path) -> None:
    good = part(tmp_path, "good", "exec sleep 60")
    bad = part(tmp_path, "bad", "echo no room >&2; exit 3", lambda: False)
    ready: list[bool] = []
    with pytest.raises(PartFailed, match=r"bad ended 3 times; its log .*bad\.log ends with") as caught:
        Minder([good, bad], ready.append, lambda text: None).run()
    assert "no room" in str(caught.value)
    assert True not in ready
    assert good.exit_status() == -signal.SIGTERM


def test_the_reason_is_told_before_the_stopping_takes_its_time(tmp_path: Path) -> None:
    good = part(tmp_path, "good", "exec sleep 60")
    bad = part(tmp_path, "bad", "exit 3", lambda: False)
    told: list[tuple[str, int | None]] = []
    with pytest.raises(PartFailed):
        Minder([good, bad], lambda ready: None, print, lambda reason: told.append((reason, good.exit_status()))).run()
    [(reason, status_then)] = told
    assert "bad" in reason
    assert status_then is None
    assert good.exit_status() is not None


def test_a_part_that_never_answers_fails_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minder, "START_SECONDS", 0.05)
    mute = part(tmp_path, "mute", "exec sleep 60", lambda: False)
    with pytest.raises(PartFailed, match="mute did not answer"):
        Minder([mute], lambda ready: None, print).run()
    assert mute.exit_status() is not None


def test_sigterm_ends_the_minder_and_its_parts(tmp_path: Path) -> None:
    quiet = part(tmp_path, "quiet", "exec sleep 60")
    Minder([quiet], lambda ready: os.kill(os.getpid(), signal.SIGTERM) if ready else None, print).run()
    assert quiet.exit_status() == -signal.SIGTERM


def test_what_a_killed_part_leaves_in_its_session_is_killed_too_but_not_other_sessions(tmp_path: Path) -> None:
    """D1: a workload lives in a session of its own."""
    script = f"sleep 61 & setsid sleep 62 & echo $! > {tmp_path}/workload; wait"
    leaving = part(tmp_path, "leaving", script)
    leaving.start()
    pid = leaving.pid
    assert pid is not None
    workload = int(wait_until(lambda: _text(tmp_path / "workload").strip(), "the workload's pid"))
    wait_until(lambda: os.getsid(workload) == workload, "the workload's own session")
    os.kill(pid, signal.SIGKILL)
    leaving.stop()
    wait_until(lambda: not session_members(pid), "the session to be empty")
    assert ProcessMark.of(workload).alive()
    os.kill(workload, signal.SIGKILL)


def test_a_large_log_is_put_aside_when_its_part_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ucloud_ray.cli.parts.MAX_LOG_BYTES", 10)
    (tmp_path / "p.log").write_text("much too long")
    short = part(tmp_path, "p", "echo new")
    short.start()
    wait_until(lambda: short.exit_status() == 0, "the part to end")
    assert (tmp_path / "p.log.1").read_text() == "much too long"
    assert short.last_lines() == ["new"]


def test_a_data_folder_has_one_minder(tmp_path: Path) -> None:
    handle = minder.lock(tmp_path)
    with pytest.raises(AlreadyMinded, match="ucloud-ray down"):
        minder.lock(tmp_path)
    os.close(handle)
    os.close(minder.lock(tmp_path))


def test_the_state_file_reads_back_and_nonsense_reads_as_nothing(tmp_path: Path) -> None:
    me = ProcessMark.of(os.getpid())
    state = UpState(me, True, "http://a:1", "http://b:2", "local", {"ray": me})
    write(tmp_path, state)
    assert read(tmp_path) == state
    for nonsense in ("", "[]", "{}", '{"pid": 1}'):
        (tmp_path / "up.json").write_text(nonsense)
        assert read(tmp_path) is None
    assert read(tmp_path / "nowhere") is None


def test_a_process_of_the_same_number_but_another_start_is_not_the_one_that_was_meant() -> None:
    me = ProcessMark.of(os.getpid())
    later = ProcessMark(me.pid, me.started + "0")
    assert me.alive()
    assert not later.alive()
    later.terminate(0.0)
    assert me.alive()


def _text(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def test_a_part_that_answers_now_and_then_does_not_hang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minder, "ASK_SECONDS", 0.01)
    said: list[str] = []
    asked = [False]

    def responds() -> bool:
        asked.append(not asked[-1])
        if len(asked) > 30:
            ours.leave.set()
        return asked[-1]

    ours = Minder([part(tmp_path, "slow", "exec sleep 60", responds=responds)], lambda ready: None, said.append)
    ours.hung_after = 0.1
    ours.run()
    assert said == []


def test_a_part_that_hangs_is_killed_and_started_again_and_one_that_was_only_slow_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """REC-6: noticed from outside, because a process that is stopped cannot notice it."""
    monkeypatch.setattr(minder, "ASK_SECONDS", 0.01)
    said: list[str] = []
    asked: list[int | None] = []

    def responds() -> bool:
        """Not at first, then once, then never again; the second process always."""
        asked.append(hanging.pid)
        if len(set(asked)) == 2:
            ours.leave.set()
            return True
        return len(asked) == 3

    hanging = part(tmp_path, "hanging", "exec sleep 60", responds=responds)
    healthy = part(tmp_path, "healthy", "exec sleep 60", responds=lambda: True)
    ours = Minder([hanging, healthy], lambda ready: None, said.append, hung_after=0.05)
    ours.run()
    assert len(set(asked)) == 2
    assert len(said) == 2
    assert said[0].startswith("hanging hangs; it is killed")
    assert said[1].startswith("hanging ended with -9")
