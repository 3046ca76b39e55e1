"""A user with about twenty jobs of all kinds, while somebody kills parts of the installation.

    workload = Workload(stack, everything(kinds, expires_after=20), seed)
    with workload.running():      # its user creates and cancels at random moments, and repeats what was not answered
        ...                       # kill
    workload.finish()             # opens the gates that are still shut, waits until every job is final

A user's call may fail while its part is away; then it is repeated as a person would. A job whose creation was not
answered may exist all the same: it bears the same name and is found by it.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.faults import programs
from tests.faults.installation import SHELLS, product
from tests.faults.planned import Cancel, Planned
from tests.support.stack import FINAL, Stack, specification, states, story
from tests.support.wait import wait_until

Json = dict[str, Any]

PAUSES = (0.0, 1.0)
"""Seconds between two things that the user does."""
AWAY = (429, 449, 502, 503, 504)
"""What a server answers while something that it needs is away."""


@dataclass
class Started:
    """One job of the workload that UCloud has."""

    stack: Stack
    plan: Planned
    id: str
    cancelled: bool = False

    @property
    def folder(self) -> Path | None:
        """Its job folder on this machine; None before it has one."""
        shown = (self.shown()["output"] or {}).get("outputFolder")
        return self.stack.data / "drives" / "user" / "home" / Path(*Path(shown).parts[2:]) if shown else None

    def shown(self) -> Json:
        """As a user sees it."""
        return self.stack.job(self.id)

    def open_gate(self) -> None:
        if self.plan.has_gate and (folder := self.folder) is not None:
            (folder / programs.GATE).touch()


@dataclass
class Workload:
    stack: Stack
    plans: Sequence[Planned]
    seed: int
    jobs: dict[str, Started] = field(default_factory=dict)
    """By the name of their plan."""
    repeated: int = 0
    """Calls of the user that were not answered, or by `AWAY`."""
    _done: threading.Event = field(default_factory=threading.Event)
    _problem: BaseException | None = None

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Half of the jobs were created when it begins; at its end all were, and cancelled where that is planned."""
        order = self._random.sample(self.plans, len(self.plans))
        order.sort(key=lambda plan: "first in line" not in plan.name)  # whoever waits behind it comes later
        half = len(order) // 2
        for plan in order[:half]:
            self._create(plan)
        user = threading.Thread(target=self._guarded, args=[order[half:]], name="user")
        user.start()
        try:
            yield
        except BaseException:
            self._done.set()
            raise
        finally:
            user.join()
        if self._problem is not None:
            raise self._problem

    def finish(self, timeout: float = 120.0) -> None:
        """Until every job is final. Fails with those that are not."""
        wait_until(self._all_final, f"all jobs to be final (seed {self.seed})", timeout)

    def _all_final(self) -> bool:
        ended = [self._is_final(job) for job in self.jobs.values()]  # a list: every gate is to be opened
        return all(ended)

    def _is_final(self, job: Started) -> bool:
        shown = job.shown()
        if shown["status"]["state"] not in FINAL:
            job.open_gate()
            return False
        return True

    # ------------------------------------------------------------------------------------------------ the user

    def _guarded(self, plans: Sequence[Planned]) -> None:
        try:
            self._act(list(plans))
        except BaseException as problem:  # told by the thread that waits for us
            self._problem = problem

    def _act(self, to_create: list[Planned]) -> None:
        """One thing at a time, whatever is possible now, until everything planned was done."""
        while not self._done.is_set():
            to_cancel = [job for job in self.jobs.values() if job.plan.cancel is not Cancel.NEVER and not job.cancelled]
            if not to_create and not to_cancel:
                return
            if to_create:
                self._create(to_create.pop())
            for job in to_cancel:
                if self._time_to_cancel(job):
                    self._cancel(job)
            self._done.wait(self._random.uniform(*PAUSES))

    def _create(self, plan: Planned) -> None:
        item = specification(
            SHELLS[plan.kind],
            var=plan.program,
            name=plan.name,
            replicas=plan.replicas,
            product=product(plan.category),
            **plan.more,
        )
        answer = self._insist("/api/jobs", item)
        if answer is not None:
            self.jobs[plan.name] = Started(self.stack, plan, answer["responses"][0]["id"])

    def _time_to_cancel(self, job: Started) -> bool:
        if job.plan.cancel is Cancel.AT_ONCE:
            return True
        try:
            shown = job.shown()
        except (httpx.HTTPError, AssertionError):
            return False
        if shown["status"]["state"] in FINAL:  # it was lost, which the inspection judges
            job.cancelled = True
            return False
        told = states(shown)
        running = {Cancel.RUNNING: 1, Cancel.SECOND_LIFE: 2, Cancel.WAITING: 0}[job.plan.cancel]
        return told.count("RUNNING") == running

    def _cancel(self, job: Started) -> None:
        if self._insist("/api/jobs/terminate", {"id": job.id}) is not None:
            job.cancelled = True

    def _insist(self, path: str, item: Json) -> Any:
        """The answer; asks again while the installation is away. None if the test is over."""
        while not self._done.is_set():
            try:
                answer = self.stack.http.post(path, json={"items": [item]})
            except httpx.TransportError:
                self.repeated += 1
            else:
                if answer.status_code == 200:
                    return answer.json()
                assert answer.status_code in AWAY, f"{path}: {answer.status_code} {answer.text}"
                self.repeated += 1
            self._done.wait(0.1)
        return None

    def stories(self) -> str:
        """States and texts of every job, for a failure message."""
        return "\n".join(f"{name} (job {job.id}): {story(job.shown())}" for name, job in self.jobs.items())
