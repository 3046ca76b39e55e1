"""Keeps one machine's raylet running as long as it is of use. Called by `node` only.

    head listens ──▶ raylet started ──▶ it ends: started again after a pause that doubles
                          │
                          └──▶ the head refuses connections: stopped at once, and started when it listens again

A raylet does not outlive its head, but takes more than a minute to notice that the head was started anew, and jobs of
this machine would be given up meanwhile. A head that merely does not answer may be cut off: then the raylet decides.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

from ucloud_ray.cli.parts import Part

LOOK_SECONDS = 0.5
REFUSALS = 2
"""In a row, until the head counts as gone. A head that was started anew is not the one that was joined, and starting
one takes longer than these looks: none is missed."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 5.0
"""Well below the grace for lost machines: a raylet that dies again and again must not cost jobs that live."""
HEALTHY_SECONDS = 60.0
"""A raylet that ran so long starts again with the first pause."""


@dataclass(slots=True)
class Membership:
    raylet: Part
    refuses: Callable[[], bool]
    """Whether nothing listens at the head's address: it says so, rather than not answering."""
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
            self.raylet.stop()

    def _asked_to_leave(self, number: int, frame: FrameType | None) -> None:
        self.leave.set()

    def _wait_for_head(self) -> None:
        told = False
        while self.refuses() and not self.leave.is_set():
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
        self.raylet.stop()  # and whatever it left in its session
        if self.leave.is_set():
            return
        lasted = time.monotonic() - started
        self._pause = FIRST_PAUSE_SECONDS if lasted > HEALTHY_SECONDS else self._longer_pause()
        self.say(f"{reason}; joining again in {self._pause:g} s (see {self.raylet.log_file})")

    def _why_over(self) -> str:
        refusals = 0
        while not self.leave.wait(LOOK_SECONDS):
            if (status := self.raylet.exit_status()) is not None:
                return f"the raylet ended with {status}"
            refusals = refusals + 1 if self.refuses() else 0
            if refusals >= REFUSALS:
                return "the head is gone"
        return "asked to leave"

    def _longer_pause(self) -> float:
        return min(max(FIRST_PAUSE_SECONDS, 2 * self._pause), LONGEST_PAUSE_SECONDS)
