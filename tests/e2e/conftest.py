"""One stack with one Docker daemon for all end-to-end tests; those that break things take one of their own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest

from tests.e2e import mission
from tests.e2e.differences import differences
from tests.support import dockerd, images, mission_table
from tests.support.acme import Acme, acme_installation
from tests.support.stack import NO_DOCKER, Stack, fresh_daemon, fresh_stack

AsWritten = Callable[[str, int, Any, Mapping[str, str]], None]


@pytest.fixture
def as_written(record_property: Callable[[str, object], None]) -> AsWritten:
    """Compares the answer to a command of an example with the document's, field by field: they differ in the fields
    that are given, each with the reason why it cannot be the document's, and in no other."""

    def compare(example: str, number: int, answer: Any, but: Mapping[str, str]) -> None:
        different = set(differences(mission.steps(example)[number].sample, answer))
        unexpected = sorted(different ^ but.keys())
        assert not unexpected, f"not as said: {unexpected}; got {json.dumps(answer, indent=2)}"
        record_property(mission_table.PROPERTY, mission_table.row(example, number, but).packed())

    return compare


@pytest.fixture(scope="session")
def docker_url() -> Iterator[str]:
    """A daemon that has the batch image, our own if possible; an address without one where none can be had.

    Containers are named by the job's id alone, so another installation on the same daemon would be in the way.
    """
    if dockerd.missing():
        yield NO_DOCKER
    elif dockerd.can_start():
        with fresh_daemon() as daemon:
            yield daemon.url
    else:
        images.batch_image(dockerd.shared_url())
        yield dockerd.shared_url()


@pytest.fixture(scope="session")
def stack(docker_url: str) -> Iterator[Stack]:
    """Fails at its end if processes, containers, control groups, folders or mounts of it are left."""
    with fresh_stack(docker_url) as running:
        yield running


@pytest.fixture(scope="session")
def needs_docker() -> None:
    if reason := dockerd.missing():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def document_answers(stack: Stack, needs_docker: None) -> list[Any]:
    """Of the commands of the mission document's batch example, run in its order. The last one creates a job."""
    return [mission.curl(step.command, stack.url, stack.token()) for step in mission.steps(mission.BATCH)]


@pytest.fixture(scope="session")
def document_events(stack: Stack, document_answers: list[Any]) -> list[dict[str, Any]]:
    """What Docker did for the document's job, once that is over. Asked early: a daemon forgets all but 256 events."""
    job_id = document_answers[-1]["responses"][0]["id"]
    since = stack.wait_state(job_id)["createdAt"] // 1000 - 1
    label = {"label": [f"ucloud-ray/job={job_id}"], "event": ["start", "die"]}
    with closing(dockerd.client(stack.docker_url)) as api:
        return list(api.events(since=since, until=int(time.time()) + 1, filters=label, decode=True))


@pytest.fixture(scope="session")
def shells(stack: Stack, docker_url: str, request: pytest.FixtureRequest) -> Stack:
    """The stack with `NATIVE_SHELL` and `DOCKER_SHELL` in its catalogue."""
    if docker_url != NO_DOCKER:
        request.getfixturevalue("document_events")  # first: the document shows a catalogue as it was installed
    stack.add_shells()
    return stack


@pytest.fixture(scope="session")
def acme() -> Iterator[Acme]:
    """Where the mission document's examples with two jobs, shared files and long jobs run."""
    if reason := images.missing_programs():
        pytest.skip(reason)
    if not dockerd.can_start():
        pytest.skip("a private Docker daemon needs root, and Debian's docker.io")
    with acme_installation() as made:
        yield made
