"""The promises of the life cycle under any order of events: late, repeated, of older incarnations, after restarts.

The machine plays the engine and the cluster. It performs only effects that are outstanding, as the engine does, but
the answers are delivered whenever, in any order, and as often as chance wants. What the cluster really holds is kept
apart from what the job believes, so that "nothing is left" is checked against the world.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.unit.domain.builders import HANDLE, NOW, spec
from ucloud_ray.domain import events
from ucloud_ray.domain.effects import (
    Announce,
    CleanUp,
    Effect,
    RequestPlacement,
    StartReplica,
    StopReplica,
    WatchReplica,
)
from ucloud_ray.domain.events import Event, StopCause
from ucloud_ray.domain.ids import JobId, JobUid, Millis
from ucloud_ray.domain.job import (
    Backend,
    Cleaning,
    Exit,
    Final,
    Job,
    JobState,
    Queued,
    Rules,
    Starting,
    Suspended,
)
from ucloud_ray.domain.lifecycle import accept, decide, outstanding, wakes_at

S = JobState
ENDS = {S.SUCCESS, S.FAILURE, S.EXPIRED}
LEGAL = {
    S.IN_QUEUE: {S.RUNNING, S.CANCELING, S.FAILURE, S.SUCCESS, S.SUSPENDED},
    S.RUNNING: {*ENDS, S.CANCELING, S.SUSPENDED},
    S.SUSPENDED: {*ENDS, S.IN_QUEUE, S.CANCELING},
    S.CANCELING: {S.SUCCESS, S.FAILURE},
}
"""The table of 1.2, and SUS-4 for IN_QUEUE to SUSPENDED."""

EXITS = st.builds(Exit, code=st.sampled_from([0, 1]), out_of_memory=st.booleans())
RULES = st.builds(
    Rules,
    suspended_time_counts=st.booleans(),
    canceling_state=st.booleans(),
    exit_code_policy=st.sampled_from(["mission", "strict"]),
    replica_end_policy=st.sampled_from(["first", "all"]),
    max_start_attempts=st.integers(1, 3),
)
SPECS = st.builds(
    spec,
    replicas=st.integers(1, 3),
    backend=st.sampled_from([Backend.DOCKER, Backend.DOCKER, Backend.VIRTUAL_MACHINE]),
    time_allocation=st.sampled_from([None, 8_000, 60_000]),
    restart_on_exit=st.booleans(),
)
ORDERS = st.sampled_from(
    [
        events.SuspendRequested(),
        events.UnsuspendRequested(),
        events.Restarted(),
        events.TimeExtended(5_000),
        events.FolderReady("/1/Jobs/41"),
        events.NoRoom(),
    ]
)
ENDINGS = st.sampled_from([*map(events.StopRequested, StopCause), events.PlacementImpossible("gone")])
LUCK = st.sampled_from(["good"] * 8 + ["bad", "lost"])
"""Mostly good, so that jobs get far enough for something to go wrong."""


class LifeCycle(RuleBasedStateMachine):
    job: Job
    now: Millis = NOW

    @initialize(job_spec=SPECS, rules=RULES)
    def accepted(self, job_spec: object, rules: Rules) -> None:
        self.placements: set[int] = set()
        self.tasks: set[tuple[int, int]] = set()
        self.answers: list[Event] = []
        self.told: list[JobState] = []
        self.forgotten = False
        self.job, effects = accept(
            uid=JobUid("uid"), id=JobId("41"), created_at=NOW, spec=job_spec, rules=rules, now=NOW
        )
        self.hear(effects)

    # ------------------------------------------------------------------------------------------------- the world

    @rule(choice=st.integers(0, 99), luck=LUCK, exit=EXITS, at_once=st.sampled_from([True, True, False]))
    def perform(self, choice: int, luck: str, exit: Exit, at_once: bool) -> None:
        """Do one outstanding effect; its answer comes at once or is on the way from now on."""
        effects = outstanding(self.job)
        if not effects:
            return
        answer = self.do(effects[choice % len(effects)], luck, exit)
        self.answers.append(answer)
        if at_once:
            self.happen(answer)

    @rule(luck=LUCK, exit=EXITS)
    def perform_all(self, luck: str, exit: Exit) -> None:
        for effect in outstanding(self.job):
            self.happen(self.do(effect, luck, exit))

    def do(self, effect: Effect, luck: str, exit: Exit) -> Event:
        match effect:
            case RequestPlacement(incarnation=number):
                if luck == "bad":
                    return events.NoRoom()
                self.placements.add(number)
                return events.PlacementGranted(number, tuple(f"node-{i}" for i in range(self.job.spec.replicas)))
            case StartReplica(incarnation=number, rank=rank):
                if luck == "good" or (number, rank) in self.tasks:
                    self.tasks.add((number, rank))
                    return events.ReplicaStarted(number, rank, HANDLE)
                return events.ReplicaStartFailed(number, rank, "no", retryable=luck == "lost")
            case WatchReplica(incarnation=number, rank=rank) | StopReplica(incarnation=number, rank=rank):
                lost = luck == "lost" or (isinstance(effect, StopReplica) and effect.handle is None)
                return events.ReplicaLost(number, rank) if lost else events.ReplicaEnded(number, rank, exit)
            case CleanUp(incarnation=number):
                self.placements = {held for held in self.placements if held > number}
                self.tasks = {held for held in self.tasks if held[0] > number}
                return events.CleanedUp(number)
            case Announce():
                raise AssertionError("recovery must not announce")

    @precondition(lambda self: self.answers)
    @rule(choice=st.integers(0, 999), again=st.booleans())
    def deliver(self, choice: int, again: bool) -> None:
        index = choice % len(self.answers)
        self.happen(self.answers[index] if again else self.answers.pop(index))

    @rule(event=ORDERS)
    def order(self, event: Event) -> None:
        self.happen(event)

    @rule(event=ENDINGS, really=st.sampled_from([False] * 9 + [True]))
    def order_an_end(self, event: Event, really: bool) -> None:
        if really:
            self.happen(event)

    @rule(wait=st.sampled_from([0, 1_000, 6_000, 50_000]))
    def time_passes(self, wait: int) -> None:
        self.now = Millis(self.now + wait)
        self.happen(events.Tick())

    @rule()
    def doubt(self) -> None:
        """Whoever believes another state hears the present one; a last word is not repeated (LC-1)."""
        job, effects = decide(self.job, events.Doubted(even_if_same=True), self.now)
        assert job is self.job
        told = [effect.state for effect in effects if isinstance(effect, Announce)]
        assert told == ([] if job.final or self.forgotten else [self.told[-1]])

    # ------------------------------------------------------------------------------------------------ every event

    def happen(self, event: Event) -> None:
        before = self.job
        self.job, effects = decide(before, event, self.now)
        if self.job == before:
            assert self.job is before, "no change gives back the same object"
            assert effects == ()
        check_relevance(before, event, changed=self.job is not before)
        if self.job is not before and event == events.StopRequested(StopCause.FORGOTTEN):
            self.forgotten = True
        if before.final and self.job is not before:
            self.begin_again(before, event)
        self.hear(effects)

    def begin_again(self, before: Job, event: Event) -> None:
        """LC-1: the only way out of a final state."""
        assert isinstance(event, events.Restarted | events.UnsuspendRequested)
        assert isinstance(before.phase, Final)
        assert before.spec.restart_on_exit
        assert before.phase.verdict.allow_restart
        assert isinstance(self.job.phase, Queued)
        self.told = []

    def hear(self, effects: tuple[Effect, ...]) -> None:
        updates = [effect for effect in effects if isinstance(effect, Announce)]
        assert not (self.forgotten and updates), "nothing is told about a forgotten job"
        assert all(update.status for update in updates), "W5"
        states = [update.state for update in updates if update.state is not None]
        assert len(states) <= 1, "LC-20"
        for state in states:
            self.hear_state(state)

    def hear_state(self, state: JobState) -> None:
        if self.told:
            assert state in LEGAL[self.told[-1]], f"{self.told[-1]} to {state}"
        else:
            assert state is S.IN_QUEUE
        assert self.job.told is state
        self.told.append(state)
        if state is S.EXPIRED:
            times = self.job.times
            assert times.allocation is not None
            assert times.first_running is not None
            counts = self.job.rules.suspended_time_counts
            assert (self.now - times.first_running if counts else times.ran) >= times.allocation

    # ------------------------------------------------------------------------------------------------- invariants

    @invariant()
    def the_last_state_told_is_remembered(self) -> None:
        assert self.job.told is self.told[-1]

    @invariant()
    def a_final_state_is_told_once_and_only_when_nothing_is_held(self) -> None:
        assert sum(state in ENDS for state in self.told) == int(self.job.final and not self.forgotten)
        if isinstance(self.job.phase, Final | Suspended):
            assert not self.placements
            assert not self.tasks

    @invariant()
    def a_waiting_job_holds_nothing_but_what_it_asks_for(self) -> None:
        if isinstance(self.job.phase, Queued):
            assert self.placements <= {self.job.incarnation + 1}
            assert not self.tasks

    @invariant()
    def a_natural_end_is_told_after_running(self) -> None:
        """LC-3."""
        if isinstance(self.job.phase, Final) and self.job.phase.verdict.allow_restart and not self.forgotten:
            assert S.RUNNING in self.told

    @invariant()
    def a_job_of_which_every_rank_started_has_shown_running(self) -> None:
        ranks = self.job.ranks
        if isinstance(self.job.phase, Starting):
            assert not all(rank.started or rank.exit for rank in ranks)
            assert self.job.told is S.IN_QUEUE

    @invariant()
    def a_running_interval_is_open_only_while_something_runs(self) -> None:
        at_rest = isinstance(self.job.phase, Queued | Starting | Cleaning | Suspended | Final)
        assert self.job.times.running_since is None if at_rest else True
        assert 0 <= self.job.times.ran <= self.now - NOW

    @invariant()
    def what_other_incarnations_report_changes_nothing(self) -> None:
        for number in (self.job.incarnation - 1, self.job.incarnation + 1):
            for event in reports(number):
                assert decide(self.job, event, self.now) == (self.job, ())
        hosts = ("node",) * self.job.spec.replicas
        for number in (self.job.incarnation, self.job.incarnation + 2):
            assert decide(self.job, events.PlacementGranted(number, hosts), self.now) == (self.job, ())

    @invariant()
    def there_is_no_dead_end(self) -> None:
        """Good answers to all that is outstanding lead to rest, from wherever chance has led."""
        job, now = self.job, self.now
        for _ in range(40):
            if is_at_rest(job):
                return
            before = job
            for event in good_answers(job) or (events.Tick(),):
                now = max(now, wakes_at(job) or now)
                job, _ = decide(job, event, now)
            assert job is not before, f"stuck in {job.phase}"
        raise AssertionError(f"no rest reached from {self.job.phase}")


def check_relevance(before: Job, event: Event, *, changed: bool) -> None:
    """An event of another incarnation changes nothing."""
    number = getattr(event, "incarnation", None)
    if number is None or not changed:
        return
    offset = 1 if isinstance(event, events.PlacementGranted) else 0
    assert number == before.incarnation + offset


def reports(number: int) -> list[Event]:
    """What replicas and clean-ups of this incarnation may report."""
    return [
        events.ReplicaStarted(number, 0, HANDLE),
        events.ReplicaStartFailed(number, 0, "no"),
        events.ReplicaEnded(number, 0, Exit(code=0)),
        events.ReplicaLost(number, 0),
        events.CleanedUp(number),
    ]


def is_at_rest(job: Job) -> bool:
    return isinstance(job.phase, Final) or (isinstance(job.phase, Suspended) and not job.phase.resume)


def good_answers(job: Job) -> list[Event]:
    return [good_answer(job, effect) for effect in outstanding(job)]


def good_answer(job: Job, effect: Effect) -> Event:
    answers: dict[type[Effect], Callable[..., Event]] = {
        RequestPlacement: lambda e: events.PlacementGranted(e.incarnation, ("node",) * job.spec.replicas),
        StartReplica: lambda e: events.ReplicaStarted(e.incarnation, e.rank, HANDLE),
        WatchReplica: lambda e: events.ReplicaEnded(e.incarnation, e.rank, Exit(code=0)),
        StopReplica: lambda e: events.ReplicaEnded(e.incarnation, e.rank, Exit(signal=15)),
        CleanUp: lambda e: events.CleanedUp(e.incarnation),
    }
    return answers[type(effect)](effect)


LifeCycle.TestCase.settings = settings(
    max_examples=250,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestLifeCycle = LifeCycle.TestCase
