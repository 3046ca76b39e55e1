"""The mission document's example "Following the progress of a Job", with a real socket and real workloads."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from tests.e2e import mission
from tests.support.follow import Frame, following, printed
from tests.support.stack import BATCH, NATIVE, NATIVE_SHELL, Stack

BIG = {"id": "example-compute", "category": "example-compute", "provider": "example"}
FILLS_THE_MACHINE = 4
"""Jobs on `BIG` that leave no room for another one: the embedded default sells 40 cores."""


def test_the_document_is_read_whole() -> None:
    """Guards the tests below."""
    shown = [(message.state, message.updates, message.logs) for message in mission.messages(mission.FOLLOW)]
    assert shown == [
        ("IN_QUEUE", [], 0),
        ("RUNNING", ["RUNNING"], 0),
        ("RUNNING", [], 1),
        ("SUCCESS", ["SUCCESS"], 0),
    ]


@pytest.fixture(scope="module", params=[pytest.param(BATCH, id="container"), pytest.param(NATIVE, id="process")])
def followed(request: pytest.FixtureRequest, shells: Stack) -> tuple[str, list[Frame]]:
    """A job that is followed from the queue, where it is kept until the client has heard so, to its end."""
    if request.param == BATCH:
        request.getfixturevalue("needs_docker")
    blockers = [shells.create(NATIVE_SHELL, var="sleep 600", product=BIG) for _ in range(FILLS_THE_MACHINE)]
    for blocker in blockers:
        shells.wait_state(blocker, "RUNNING")
    job_id = shells.create(request.param, product=BIG)
    with following(shells, job_id) as frames:
        seen = [next(frames)]
        shells.stop(*blockers)
        seen.extend(frames)
    return job_id, seen


def payloads(frames: list[Frame]) -> list[dict[str, Any]]:
    return [frame["payload"] for frame in frames if frame["type"] == "message"]


def updates(frames: list[Frame]) -> list[dict[str, Any]]:
    first, *later = payloads(frames)
    return [*first["initialJob"]["updates"], *(update for payload in later for update in payload["updates"])]


def test_the_first_message_says_that_the_job_waits(followed: tuple[str, list[Frame]]) -> None:
    documented, *_ = mission.messages(mission.FOLLOW)
    first = payloads(followed[1])[0]
    assert (first["newStatus"]["state"], first["updates"], first["log"]) == (documented.state, [], [])


def test_the_messages_come_in_the_documents_order(followed: tuple[str, list[Frame]]) -> None:
    """A message of each kind that the document shows, in its order; we may add texts to the queue between them.

    Two differences are meant: the output may be seen before the state (LOG-9: streams come apart), and `newStatus` is
    null where nothing changed (end-user-api 7), while the document's example repeats it.
    """
    states = [payload["newStatus"]["state"] for payload in payloads(followed[1]) if payload["newStatus"]]
    documented = [message.state for message in mission.messages(mission.FOLLOW)]
    assert list(dict.fromkeys(states)) == list(dict.fromkeys(documented))
    told = [[update["state"] for update in payload["updates"]] for payload in payloads(followed[1])]
    after_the_queue = [states for states in told if set(states) - {None, "IN_QUEUE"}]
    assert after_the_queue == [message.updates for message in mission.messages(mission.FOLLOW) if message.updates]


def test_each_part_has_the_documents_fields(followed: tuple[str, list[Frame]]) -> None:
    running = mission.messages(mission.FOLLOW)[1]
    for payload in payloads(followed[1]):
        assert {"updates", "log", "newStatus"} <= set(payload)
        for entry in payload["log"]:
            assert {"rank", "stdout", "stderr"} <= set(entry)
            assert entry["stdout"] or entry["stderr"]
        for update in payload["updates"]:
            assert set(update) == running.update_fields
        if payload["newStatus"]:
            assert running.status_fields <= set(payload["newStatus"])


def test_the_output_is_what_the_program_printed(followed: tuple[str, list[Frame]]) -> None:
    job_id, frames = followed
    container = f"batch: running on j-{job_id}-job-0 with 1 argument(s)\nbatch: argument 'Example'\nbatch: done\n"
    assert printed(frames) in (container, "Example\n")
    assert printed(frames, stream="stderr") == ""


def test_the_output_of_a_followed_job_is_the_output_that_is_kept(
    shells: Stack, followed: tuple[str, list[Frame]]
) -> None:
    job_id, frames = followed
    assert shells.output(job_id) == printed(frames)


def test_the_updates_tell_the_states_once_each_at_ascending_times(followed: tuple[str, list[Frame]]) -> None:
    """LC-8, LC-20."""
    told = updates(followed[1])
    assert [update["state"] for update in told if update["state"]] == ["IN_QUEUE", "RUNNING", "SUCCESS"]
    assert [update["status"] for update in told if update["state"]] == [
        "Your job is now waiting in the queue!",
        "Your job is now running!",
        "The job has finished processing!",
    ]
    assert all(earlier["timestamp"] < later["timestamp"] for earlier, later in pairwise(told))


def test_after_the_last_message_a_response_ends_the_stream(followed: tuple[str, list[Frame]]) -> None:
    _, frames = followed
    assert [frame["type"] for frame in frames].count("response") == 1
    last = frames[-1]
    assert (last["type"], last["streamId"], last["status"]) == ("response", "0", 200)
    assert payloads(frames)[-1]["newStatus"]["state"] == "SUCCESS"


def test_a_job_that_is_over_is_followed_to_the_same_output(shells: Stack, followed: tuple[str, list[Frame]]) -> None:
    """LOG-7."""
    job_id, frames = followed
    with following(shells, job_id) as again:
        replayed = list(again)
    assert payloads(replayed)[0]["newStatus"]["state"] == "SUCCESS"
    assert updates(replayed) == updates(frames)
    assert printed(replayed) == printed(frames)
    assert replayed[-1]["status"] == 200


@pytest.mark.parametrize(("job_id", "token", "status"), [("1", "nonsense", 401), ("999999999", None, 404)])
def test_what_cannot_be_followed_is_refused_with_a_reason(
    stack: Stack, job_id: str, token: str | None, status: int
) -> None:
    with following(stack, job_id, token) as frames:
        (only,) = frames
    assert (only["type"], only["status"]) == ("response", status)
    assert only["payload"]["why"]
