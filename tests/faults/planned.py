"""The jobs of the workload, and what must come out of each, whatever is killed meanwhile.

About twenty of all kinds and lengths, each as a process and in a container. Data only: `workload` starts them,
`inspection` compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from tests.faults import programs

ROOMY, CROWDED = "roomy", "crowded"
"""Categories: room for everybody, and for one."""

FINISHED = "The job has finished processing!"
CANCELLED = "Your job has been cancelled!"
EXPIRED = "Your job has expired"

ENDED = ("IN_QUEUE", "RUNNING", "SUCCESS")
STOPPED = ("IN_QUEUE", "RUNNING", "CANCELING", "SUCCESS")
STOPPED_EARLY = ("IN_QUEUE", "CANCELING", "SUCCESS")


class Cancel(Enum):
    """When its user cancels a job."""

    NEVER = "never"
    AT_ONCE = "at once"
    RUNNING = "while it runs"
    WAITING = "while it waits for room"
    SECOND_LIFE = "in its second life"


@dataclass(frozen=True)
class Planned:
    name: str
    """Unique in the workload; the job bears it at UCloud, too."""
    kind: str
    """`native` or `docker`."""
    program: str
    text: str = FINISHED
    """Its last status line."""
    states: Sequence[tuple[str, ...]] = (ENDED,)
    """What its user may see, one state after another."""
    starts: Sequence[int] = (1,)
    """How often each rank may have been started in the end."""
    replicas: int = 1
    cancel: Cancel = Cancel.NEVER
    category: str = ROOMY
    cut_short: bool = False
    """Its ranks are taken away without having been asked to end."""
    more: dict[str, Any] = field(default_factory=dict)
    """Further fields of its specification."""

    @property
    def has_gate(self) -> bool:
        return f"-e {programs.GATE}" in self.program

    @property
    def stopped_unready(self) -> bool:
        """Whether it may have been stopped before its program could keep books."""
        return 0 in self.starts or self.cancel is Cancel.AT_ONCE or self.cut_short


def everything(kinds: Sequence[str], expires_after: int) -> list[Planned]:
    """`expires_after`: seconds that the jobs with a short allocation get."""
    return [job for kind in kinds for job in _of_kind(kind, expires_after)] + _in_line(kinds[-1])


def _of_kind(kind: str, expires_after: int) -> list[Planned]:
    allocation = {"timeAllocation": {"hours": 0, "minutes": 0, "seconds": expires_after}}
    forever = programs.takes(10**6, "exit 0")
    return [
        Planned(f"{kind} instant", kind, programs.ends("exit 0")),
        Planned(f"{kind} seconds", kind, programs.takes(12, "exit 3"), f"{FINISHED} (exit code 3)"),
        Planned(f"{kind} gated", kind, programs.gated("exit 7"), f"{FINISHED} (exit code 7)"),
        Planned(f"{kind} ranks", kind, programs.gated("exit 0"), replicas=3),
        Planned(f"{kind} loud", kind, programs.loud("exit 9"), f"{FINISHED} (exit code 9)"),
        Planned(f"{kind} signal", kind, programs.takes(6, "kill -9 $$"), f"{FINISHED} (signal 9)"),
        Planned(f"{kind} cancelled", kind, forever, CANCELLED, [STOPPED], cancel=Cancel.RUNNING),
        Planned(
            f"{kind} cancelled at once",
            kind,
            forever,
            CANCELLED,
            [STOPPED, STOPPED_EARLY],
            (0, 1),
            cancel=Cancel.AT_ONCE,
        ),
        Planned(f"{kind} expiring", kind, forever, EXPIRED, [("IN_QUEUE", "RUNNING", "EXPIRED")], more=allocation),
        Planned(
            f"{kind} restarted",
            kind,
            programs.second_life_stays("exit 5"),
            CANCELLED,
            [("IN_QUEUE", "RUNNING", "SUSPENDED", *STOPPED)],
            (2,),
            cancel=Cancel.SECOND_LIFE,
            more={"restartOnExit": True},
        ),
    ]


def _in_line(kind: str) -> list[Planned]:
    """The first holds the only place of its category; the second gets it, the third gives up waiting for it."""
    return [
        Planned(f"{kind} first in line", kind, programs.gated("exit 0"), category=CROWDED),
        Planned(f"{kind} next in line", kind, programs.ends("exit 2"), f"{FINISHED} (exit code 2)", category=CROWDED),
        Planned(
            f"{kind} leaves the line",
            kind,
            programs.ends("exit 0"),
            CANCELLED,
            [STOPPED_EARLY],
            (0,),
            cancel=Cancel.WAITING,
            category=CROWDED,
        ),
    ]
