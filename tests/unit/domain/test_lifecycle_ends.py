"""How a job is told to have ended: every row of LC-12, and LC-11, LC-14, W2."""

from __future__ import annotations

import pytest

from tests.unit.domain.builders import (
    HOUR,
    NOW,
    OK,
    after,
    announced,
    cleaned_up,
    ended,
    queued,
    running,
    spec,
    starting,
    suspended,
)
from ucloud_ray.domain import texts
from ucloud_ray.domain.effects import CleanUp
from ucloud_ray.domain.events import (
    CleanedUp,
    Event,
    FolderReady,
    PlacementImpossible,
    ReplicaEnded,
    ReplicaLost,
    ReplicaStarted,
    ReplicaStartFailed,
    StopCause,
    StopRequested,
    SuspendRequested,
    Tick,
    TimeExtended,
)
from ucloud_ray.domain.ids import Millis
from ucloud_ray.domain.job import Backend, Exit, Final, Job, JobState, Rules
from ucloud_ray.domain.lifecycle import decide

OOM = "The job was stopped because it used more memory than the machine has"
LOST = "Your job failed because the machine it was running on is no longer available"

LC12 = [
    ("exit 0", Exit(code=0), "SUCCESS", "The job has finished processing!", "SUCCESS"),
    ("exit 3", Exit(code=3), "SUCCESS", "The job has finished processing! (exit code 3)", "FAILURE"),
    ("exit 127", Exit(code=127), "SUCCESS", "The job has finished processing! (exit code 127)", "FAILURE"),
    ("signal", Exit(signal=11), "SUCCESS", "The job has finished processing! (signal 11)", "FAILURE"),
    ("memory", Exit(code=137, out_of_memory=True), "SUCCESS", OOM, "FAILURE"),
    ("memory and signal", Exit(signal=9, out_of_memory=True), "SUCCESS", OOM, "FAILURE"),
    ("a child only", Exit(code=0, out_of_memory=True), "SUCCESS", "The job has finished processing!", "SUCCESS"),
    ("unknown", Exit(), "SUCCESS", "The job has finished processing! (exit code unknown)", "FAILURE"),
]


@pytest.mark.parametrize(("name", "exit", "state", "text", "strict"), LC12, ids=[row[0] for row in LC12])
def test_an_end_of_the_process_is_told_by_the_table(name: str, exit: Exit, state: str, text: str, strict: str) -> None:
    """LC-10 and LC-11; LC-14: a natural end may be restarted."""
    for rules, expected in ((Rules(), state), (Rules(exit_code_policy="strict"), strict)):
        job = ended(exit=exit, rules=rules)
        assert isinstance(job.phase, Final)
        assert (job.phase.verdict.state, job.phase.verdict.status) == (expected, text)
        assert job.phase.verdict.allow_restart is True


OTHERS: list[tuple[Event, str, str, bool | None]] = [
    (Tick(), "EXPIRED", "Your job has expired", False),
    (StopRequested(StopCause.CANCELLED), "SUCCESS", "Your job has been cancelled!", False),
    (StopRequested(StopCause.NO_CREDITS), "SUCCESS", "Your job has been terminated (No more credits)", False),
    (StopRequested(StopCause.LOST_PERMISSIONS), "SUCCESS", "Your job has been terminated (Lost permissions)", False),
    (ReplicaLost(1, 0), "FAILURE", LOST, None),
]


@pytest.mark.parametrize(("event", "state", "text", "restart"), OTHERS)
def test_every_other_end_is_told_by_the_table(event: Event, state: str, text: str, restart: bool | None) -> None:
    job = after(running(spec(time_allocation=HOUR)), event, at=NOW + HOUR)
    _, updates = cleaned_up(job)
    assert [(update.state, update.status, update.allow_restart) for update in updates] == [(state, text, restart)]


@pytest.mark.parametrize(
    ("waiting", "event"),
    [(starting(), ReplicaStartFailed(1, 0, "no such image")), (queued(), PlacementImpossible("no such image"))],
)
def test_a_job_that_cannot_start_says_why(waiting: Job, event: Event) -> None:
    _, updates = cleaned_up(after(waiting, event))
    assert [(u.state, u.status) for u in updates] == [
        (JobState.FAILURE, "Your job could not be started: no such image")
    ]


def test_the_more_telling_of_two_equal_ends_is_told() -> None:
    job = after(running(spec(2)), ReplicaEnded(1, 0, OK), ReplicaEnded(1, 1, Exit(code=4)))
    assert cleaned_up(job)[1][0].status == "The job has finished processing! (exit code 4)"


def test_time12_the_cause_that_was_recorded_first_is_told() -> None:
    expiring = after(running(spec(time_allocation=HOUR)), Tick(), at=NOW + HOUR)
    assert after(expiring, StopRequested(StopCause.CANCELLED)) is expiring
    cancelling = after(running(spec(time_allocation=HOUR)), StopRequested(StopCause.CANCELLED))
    assert after(cancelling, Tick(), at=NOW + HOUR) is cancelling
    assert after(cancelling, StopRequested(StopCause.NO_CREDITS)) is cancelling


@pytest.mark.parametrize("job", [queued(), starting(), running(), suspended()], ids=lambda job: job.phase.kind)
def test_o3_a_forgotten_job_ends_without_a_word(job: Job) -> None:
    job, effects = decide(job, StopRequested(StopCause.FORGOTTEN), NOW)
    assert announced(effects) == []
    job = after(job, TimeExtended(HOUR), FolderReady("/1/x"), StopRequested(StopCause.CANCELLED))
    job, updates = cleaned_up(job)
    assert updates == []
    assert job.final


def test_o3_a_job_that_is_ending_can_still_be_forgotten() -> None:
    """Otherwise its last update might hit the job that got the id."""
    job = after(running(), StopRequested(StopCause.CANCELLED), StopRequested(StopCause.FORGOTTEN))
    assert cleaned_up(job)[1] == []


def test_the_folder_travels_with_running_or_with_the_end_of_what_never_ran() -> None:
    """ENV-4: once."""
    job = after(queued(), FolderReady("/51231/Jobs/41"))
    assert announced(decide(queued(), FolderReady("/51231/Jobs/41"), NOW)[1]) == []
    _, updates = cleaned_up(after(job, StopRequested(StopCause.CANCELLED)))
    assert [update.output_folder for update in updates] == ["/51231/Jobs/41"]
    _, effects = decide(after(starting(), FolderReady("/51231/Jobs/41")), ReplicaStarted(1, 0, {}), NOW)
    assert [update.output_folder for update in announced(effects)] == ["/51231/Jobs/41"]
    _, updates = cleaned_up(after(running(), FolderReady("/51231/Jobs/41"), ReplicaEnded(1, 0, OK)))
    assert [update.output_folder for update in updates] == [None]


def test_w5_a_folder_that_is_ready_late_is_told_with_a_text() -> None:
    job, effects = decide(running(), FolderReady("/51231/Jobs/41"), NOW)
    assert [(u.state, u.status, u.output_folder) for u in announced(effects)] == [
        (None, "The folder of your job is ready.", "/51231/Jobs/41")
    ]
    assert after(job, FolderReady("/51231/Jobs/41")) is job


def test_a_machine_that_is_cancelled_while_it_is_suspended_gives_up_its_data() -> None:
    """The clean-up that keeps the data may still answer; its number does not count any more."""
    job = after(running(spec(backend=Backend.VIRTUAL_MACHINE)), SuspendRequested(), ReplicaEnded(1, 0, OK))
    job, effects = decide(job, StopRequested(StopCause.CANCELLED), NOW)
    assert CleanUp(2, ("node-0",), keep_data=False) in effects
    assert after(job, CleanedUp(1)) is job
    assert after(job, CleanedUp(2)).told is JobState.SUCCESS


def test_running_intervals_add_up_until_the_last_rank_is_over() -> None:
    """LC-22, SUS-9."""
    job = after(running(spec(2)), ReplicaEnded(1, 0, OK), at=NOW + 10)
    assert job.times.running_since == NOW
    job, _ = decide(job, ReplicaEnded(1, 1, OK), Millis(NOW + 25))
    assert (job.times.ran, job.times.running_since) == (25, None)


@pytest.mark.parametrize(
    ("reason", "line"),
    [
        ("plain", "plain"),
        ("  two\r\n lines\t", "two lines"),
        ('Target: {"rank":0}', 'Target {"rank":0}'),
        ("x\nTarget : y", "x Target y"),
        ("SSH: Failure!", "SSH Failure!"),
        ("ssh access: x", "ssh access x"),
        ("\x1b[31mred\x00\ud800\u202e\u2028end", "[31mred end"),
        ("x" * 300, "x" * 199 + "…"),
        ("", ""),
    ],
)
def test_w2_foreign_text_cannot_be_read_as_a_command(reason: str, line: str) -> None:
    assert texts.one_line(reason) == line


def test_a_reason_that_is_a_sentence_ends_once() -> None:
    told = "Your job could not be started yet: It is full. It will be tried again"
    assert texts.try_again("It is full.") == texts.try_again("It is full") == told


def test_a_reason_without_text_is_unknown() -> None:
    assert texts.not_started(" \n") == "Your job could not be started: unknown reason"


@pytest.mark.parametrize(
    ("millis", "text"),
    [
        (HOUR, "1 hour"),
        (2 * HOUR + 30 * 60_000, "2 hours and 30 minutes"),
        (HOUR + 2 * 60_000 + 3_999, "1 hour, 2 minutes and 3 seconds"),
        (1_000, "1 second"),
        (999, "0 seconds"),
        (25 * HOUR, "25 hours"),
    ],
)
def test_a_duration_reads_well(millis: int, text: str) -> None:
    assert texts.duration(millis) == text
