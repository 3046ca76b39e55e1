"""Keeps one machine's raylet running as long as it is of use. Called by `node` only.

    head listens ──▶ raylet started ──▶ it ends: started again after a pause that doubles
                          │
                          ├──▶ the head refuses connections: stopped at once, and started when it listens again
                          └──▶ the head was silent for long and listens again: started anew

A raylet does not outlive its head, but takes more than a minute to notice that the head was started anew, and jobs of
this machine would be given up meanwhile. Nor does it notice at once that a cut is over and that it was declared dead:
its connections try again as long after a cut as it lasted. While the head is silent the raylet is left alone.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

from ucloud_ray.cli.parts import Part
from ucloud_ray.cli.ports import Answer

LOOK_SECONDS = 0.5
REFUSALS = 2
"""In a row, until the head counts as gone. A head that was started anew is not the one that was joined, and starting
one takes longer than these looks: none is missed."""
SILENCE_SECONDS = 10.0
"""After so much of it the raylet may have been declared dead, which no raylet survives."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0
"""Well below the grace for lost machines: a raylet that dies again and again must not cost jobs that live."""
HEALTHY_SECONDS = 60.0
"""A raylet that ran so long starts again with the first pause."""


@dataclass(slots=True)
class Membership:
    raylet: Part
    knock: Callable[[], Answer]
    """At the head's address."""
    say: Callable[[str], None]
    leave: threading.Event = field(default_factory=threading.Event)
    _pause: float = 0.0

    def run(self) -> None:
        """Until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._asked_to_leave)
        try:
            while not self.leave.is_set():
                self._wait_for_head()
                self._stay()
        finally:
            self._end_raylet(self.knock() is Answer.LISTENS)

    def _asked_to_leave(self, number: int, frame: FrameType | None) -> None:
        self.leave.set()

    def _wait_for_head(self) -> None:
        told = False
        while self.knock() is Answer.REFUSES and not self.leave.is_set():
            if not told:
                self.say("nothing listens at the head's address; waiting for it")
            told = True
            self.leave.wait(LOOK_SECONDS)

    def _stay(self) -> None:
        """From a start of the raylet to its end."""
        if self.leave.wait(self._pause):
            return
        self.raylet.start()
        started = time.monotonic()
        reason = self._why_over()
        if self.leave.is_set():
            return
        self._end_raylet(politely=False)
        lasted = time.monotonic() - started
        self._pause = FIRST_PAUSE_SECONDS if lasted > HEALTHY_SECONDS else self._longer_pause()
        self.say(f"{reason}; joining again in {self._pause:g} s (see {self.raylet.log_file})")

    def _end_raylet(self, politely: bool) -> None:
        """Asked to end it would wait for the word of a head that does not know it any more, or cannot be reached."""
        if not politely:
            self.raylet.sweep()
        self.raylet.stop()

    def _why_over(self) -> str:
        head = _Head()
        while not self.leave.wait(LOOK_SECONDS):
            if (status := self.raylet.exit_status()) is not None:
                return f"the raylet ended with {status}"
            if reason := head.why_leave(self.knock()):
                return reason
        return "asked to leave"

    def _longer_pause(self) -> float:
        return min(max(FIRST_PAUSE_SECONDS, 2 * self._pause), LONGEST_PAUSE_SECONDS)


@dataclass(slots=True)
class _Head:
    """What was heard of the head since the raylet was started."""

    refusals: int = 0
    silent_since: float | None = None

    def why_leave(self, answer: Answer) -> str:
        """Empty as long as the raylet is of use."""
        now = time.monotonic()
        self.refusals = self.refusals + 1 if answer is Answer.REFUSES else 0
        if self.refusals >= REFUSALS:
            return "the head is gone"
        if answer is Answer.SILENT:
            self.silent_since = self.silent_since or now
            return ""
        silence = now - (self.silent_since or now)
        self.silent_since = None
        return f"the head answers again after {silence:.0f} s" if silence >= SILENCE_SECONDS else ""
