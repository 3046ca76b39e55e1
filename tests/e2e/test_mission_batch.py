"""The mission document's example "Creating a simple batch Job": its own commands, its own answers, a real container."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e import mission
from tests.e2e.conftest import AsWritten
from tests.support import images
from tests.support.stack import Stack, states, texts

CANNOT_BE_TRUE = [
    {
        "itemsInTotal": "a fresh catalogue also has the same application without a container",
        "items[1]": "that application",
    },
    {},
    {"items[1]": "a fresh installation sells a second machine type, which small machines can run more of"},
    mission.AN_ID,
]
"""For each command: the fields in which an answer may differ from the sample, and why."""

pytestmark = pytest.mark.usefixtures("needs_docker")


def test_the_document_is_read_whole() -> None:
    """Guards the tests below: four commands, the last one with the document's odd Content-Type."""
    steps = mission.steps(mission.BATCH)
    assert [step.command.split()[1] for step in steps] == ["-XGET", "-XGET", "-XGET", "-XPOST"]
    assert '-H "Content-Type: content-type: application/json; charset=utf-8"' in steps[3].command
    assert len(steps) == len(CANNOT_BE_TRUE)


@pytest.mark.parametrize("number", range(4), ids=["applications", "application", "machineTypes", "create"])
def test_each_command_answers_what_the_document_shows(
    document_answers: list[Any], as_written: AsWritten, number: int
) -> None:
    as_written(mission.BATCH, number, document_answers[number], CANNOT_BE_TRUE[number])


def test_the_id_is_a_text_of_digits_as_in_the_document(document_answers: list[Any]) -> None:
    assert document_answers[3]["responses"][0]["id"].isdigit()


def test_the_created_job_is_the_one_that_was_asked_for(stack: Stack, document_answers: list[Any]) -> None:
    command = mission.steps(mission.BATCH)[3].command
    (asked,) = json.loads(command[command.index("-d '") + 4 : command.rindex("'")])["items"]
    job = stack.job(document_answers[3]["responses"][0]["id"])
    assert job["specification"] == asked
    assert job["owner"] == {"createdBy": "user", "project": None}


def test_the_job_runs_to_success_and_its_output_holds_what_the_program_printed(
    stack: Stack, document_answers: list[Any]
) -> None:
    job_id = document_answers[3]["responses"][0]["id"]
    job = stack.wait_state(job_id)
    assert job["status"]["state"] == "SUCCESS"
    assert states(job) == ["IN_QUEUE", "RUNNING", "SUCCESS"]
    assert texts(job)[-1] == "The job has finished processing!"
    printed = stack.output(job_id).splitlines()
    assert printed == [
        f"batch: running on j-{job_id}-job-0 with 1 argument(s)",
        "batch: argument 'Example'",
        "batch: done",
    ]


def test_it_ran_as_a_container_of_the_documents_image(
    document_answers: list[Any], document_events: list[dict[str, Any]]
) -> None:
    """By the daemon's own memory, since the container is gone."""
    job_id = document_answers[3]["responses"][0]["id"]
    happened = [(event["Action"], event["from"]) for event in document_events]
    assert happened == [("start", images.BATCH), ("die", images.BATCH)]
    assert document_events[0]["Actor"]["Attributes"]["name"] == f"j-{job_id}-job-0"
