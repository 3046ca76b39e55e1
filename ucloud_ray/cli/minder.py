"""Keeps the parts of `up` running: starts them in order, restarts what dies, stops them in reverse order.

                    all answer                      a part ends, or hangs and is killed (REC-6)
    STARTING ─────────────────────▶ MINDING ──────────────────────▶ its restart, after a pause that doubles
        │                              │                            while it ends before it answers
        │ a part ends three times,     │ SIGTERM, SIGINT
        │ or nothing answers in time   ▼
        └─────────────────────────▶ STOPPING: last started is stopped first; jobs are not touched (D1)

Runs in the foreground of `up`, or in a process that `up --detach` leaves behind. Knows nothing of what the parts are.
"""

from __future__ import annotations

import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from ucloud_ray.cli.errors import CliError
from ucloud_ray.cli.parts import Part

LOOK_SECONDS = 0.1
START_SECONDS = 45.0
"""How long all parts together may take until they answer; `up` promises to say what is wrong within a minute."""
STARTS_BEFORE_GIVING_UP = 3
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
REFUSAL = "error: "
"""How a part that knows why it cannot start begins its last line."""
ASK_SECONDS = 10.0
"""Between two looks at whether a part that runs still responds."""
COMING_UP_SECONDS = 0.5
"""Between two looks at whether a part that was started again answers."""


class AlreadyMinded(CliError):
    """Another minder has this data folder."""


class PartFailed(CliError):
    """A part did not come up; the message ends with its last words."""


def lock(data_dir: Path) -> int:
    """Take the data folder for this process; the kernel gives it back when the process ends, however it ends."""
    data_dir.mkdir(parents=True, exist_ok=True)
    handle = os.open(data_dir / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise AlreadyMinded(
            f"ucloud-ray is already running on {data_dir}", "see `ucloud-ray status`, or end it with `ucloud-ray down`"
        ) from None
    return handle


@dataclass(slots=True)
class _Minded:
    part: Part
    started: float = 0.0
    starts: int = 0
    pause: float = field(default_factory=lambda: FIRST_PAUSE_SECONDS)
    start_again_at: float | None = None
    """Monotonic time of the restart while the part is down."""
    came_up: bool = False
    """Whether it has answered since it was started: then it starts again after the first pause, however often it
    ends. Whoever kills it again and again must not keep it away for longer than it takes to start."""
    look_at: float = 0.0
    ask_at: float = 0.0
    """Monotonic time of the next look at whether it responds."""
    silent_since: float | None = None


@dataclass(slots=True)
class Minder:
    parts: Sequence[Part]
    changed: Callable[[bool], None]
    """Called with whether everything has answered, after each start of a part."""
    say: Callable[[str], None]
    giving_up: Callable[[str], None] = lambda reason: None
    """Called with the reason before everything is stopped, which may take longer than someone wants to wait for it."""
    leave: threading.Event = field(default_factory=threading.Event)
    hung_after: float = 60.0
    """Seconds without a response after which a part that runs is killed."""
    _minded: list[_Minded] = field(default_factory=list)
    _ready: bool = False

    def run(self) -> None:
        """Return after a signal to leave. Raises `PartFailed` if a part does not come up; nothing runs then."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_leave)
        try:
            deadline = time.monotonic() + START_SECONDS
            for part in self.parts:
                self._bring_up(part, deadline)
            self._ready = True
            self.changed(True)
            while not self.leave.wait(LOOK_SECONDS):
                self._look_after_all()
                self._end_what_hangs()
        except PartFailed as error:
            self.giving_up(str(error))
            raise
        finally:
            self._stop_all()

    def _asked_to_leave(self, number: int, frame: FrameType | None) -> None:
        self.leave.set()

    # -- starting

    def _bring_up(self, part: Part, deadline: float) -> None:
        if self.leave.is_set():
            return
        minded = _Minded(part)
        self._minded.append(minded)
        self._start(minded)
        while not part.spec.answers():
            if self.leave.wait(LOOK_SECONDS):
                return
            self._look_after_all()
            self._give_up_on_what_does_not_stay()
            if time.monotonic() > deadline:
                raise _failed(part, f"did not answer within {START_SECONDS:.0f} s")
        minded.came_up = True

    def _give_up_on_what_does_not_stay(self) -> None:
        """Any part: one may have answered once, and end all the same while the next one waits for it."""
        for minded in self._minded:
            if minded.starts >= STARTS_BEFORE_GIVING_UP and minded.start_again_at is not None:
                raise _failed(minded.part, f"ended {minded.starts} times")

    def _start(self, minded: _Minded) -> None:
        minded.part.start()
        minded.started, minded.start_again_at = time.monotonic(), None
        minded.ask_at, minded.silent_since = minded.started + ASK_SECONDS, None
        minded.came_up, minded.look_at = False, minded.started + COMING_UP_SECONDS
        minded.starts += 1
        self.changed(self._ready)

    # -- minding

    def _look_after_all(self) -> None:
        for minded in self._minded:
            if minded.start_again_at is not None:
                if time.monotonic() >= minded.start_again_at and self._has_what_it_needs(minded):
                    self._start(minded)
            elif minded.part.exit_status() is not None:
                self._has_ended(minded)
            elif self._ready and not minded.came_up and time.monotonic() >= minded.look_at:
                minded.came_up = minded.part.spec.answers()
                minded.look_at = time.monotonic() + COMING_UP_SECONDS

    def _has_ended(self, minded: _Minded) -> None:
        name, status = minded.part.spec.name, minded.part.exit_status()
        now = time.monotonic()
        if minded.came_up:
            minded.pause = FIRST_PAUSE_SECONDS
        minded.part.sweep()
        minded.start_again_at = now + minded.pause
        self.say(f"{name} ended with {status}; starting it again in {minded.pause:g} s (see {minded.part.log_file})")
        minded.pause = min(minded.pause * 2, LONGEST_PAUSE_SECONDS)
        for other in self._minded:
            if other.part.spec.needs == name and other.start_again_at is None:
                self.say(f"{other.part.spec.name} needs {name}; it is started again with it")
                other.part.stop()
                other.start_again_at = now

    def _has_what_it_needs(self, minded: _Minded) -> bool:
        needed = (other for other in self._minded if other.part.spec.name == minded.part.spec.needs)
        return all(other.start_again_at is None and other.part.spec.answers() for other in needed)

    def _end_what_hangs(self) -> None:
        now = time.monotonic()
        for minded in self._minded:
            responds = minded.part.spec.responds
            if responds is not None and minded.start_again_at is None and now >= minded.ask_at:
                minded.ask_at = now + min(ASK_SECONDS, self.hung_after / 3)
                self._has_responded(minded, now, responds())

    def _has_responded(self, minded: _Minded, now: float, responded: bool) -> None:
        if responded:
            minded.silent_since = None
        elif minded.silent_since is None:
            minded.silent_since = now
        elif now - minded.silent_since >= self.hung_after:
            self.say(f"{minded.part.spec.name} hangs; it is killed (see {minded.part.log_file})")
            minded.part.kill()
            minded.silent_since = None

    # -- stopping

    def _stop_all(self) -> None:
        for minded in reversed(self._minded):
            minded.part.stop()


def _failed(part: Part, what: str) -> PartFailed:
    lines = part.last_lines()
    if lines and lines[-1].startswith(REFUSAL):
        return PartFailed(f"{part.spec.name} cannot start: {lines[-1].removeprefix(REFUSAL)} (log: {part.log_file})")
    words = "\n".join(f"  | {line}" for line in lines)
    return PartFailed(f"{part.spec.name} {what}; its log {part.log_file} ends with\n{words}")
