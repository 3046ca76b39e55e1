"""Jobs that end in every way, and a Docker daemon that dies in between, leave the machine as they found it (ENV-57)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.support import dockerd, leftovers
from tests.support.stack import DOCKER_SHELL, NATIVE_SHELL, Stack, fresh_daemon, fresh_stack, states
from tests.support.wait import wait_until

pytestmark = [pytest.mark.timeout(240), pytest.mark.docker]

SECOND = {"hours": 0, "minutes": 0, "seconds": 1}
MESS = "sleep 600 & (setsid sleep 600 &) & mkdir -p left; echo mess"
MISSING = [{"type": "file", "path": "/home-user/missing", "readOnly": False}]


@pytest.fixture(scope="module")
def daemon() -> Iterator[dockerd.PrivateDaemon]:
    if not dockerd.can_start():
        pytest.skip("a Docker daemon of its own can only be started by root, with Debian's docker.io installed")
    with fresh_daemon() as running:
        yield running


@pytest.fixture(scope="module")
def stack(daemon: dockerd.PrivateDaemon) -> Iterator[Stack]:
    with fresh_stack(daemon.url) as running:
        running.add_shells()
        for shell in (NATIVE_SHELL, DOCKER_SHELL):  # what the first job makes for all: bridge, control groups, folders
            running.run(shell, var="true")
        yield running


def test_the_machine_is_afterwards_as_it_was_before(stack: Stack, daemon: dockerd.PrivateDaemon) -> None:
    settled(stack)
    before = now(stack)
    ended_by_themselves(stack)
    stopped_from_outside(stack)
    never_started(stack)
    outlived_the_daemon(stack, daemon)
    settled(stack)
    with suppress(AssertionError):  # told below, with what is left
        wait_until(lambda: now(stack) == before, "the machine to be as before", timeout=10)
    assert now(stack) == before


def now(stack: Stack) -> dict[str, set[str]]:
    return leftovers.snapshot(stack.data, stack.docker_url)


def settled(stack: Stack) -> None:
    wait_until(lambda: not leftovers.of_ended_jobs(stack.data, stack.docker_url), "all tasks to be cleared up")


def ended_by_themselves(stack: Stack) -> None:
    for shell in (NATIVE_SHELL, DOCKER_SHELL):
        jobs = [stack.create(shell, var=script) for script in ("true", "exit 3", "kill -9 $$", MESS)]
        jobs.append(stack.create(shell, var=MESS, replicas=2))
        assert {states(stack.wait_state(job))[-1] for job in jobs} == {"SUCCESS"}


def stopped_from_outside(stack: Stack) -> None:
    for shell in (NATIVE_SHELL, DOCKER_SHELL):
        cancelled = stack.create(shell, var=f"trap : TERM; {MESS}; wait; wait", replicas=2)
        expired = stack.create(shell, var="sleep 600", timeAllocation=SECOND)
        stack.wait_state(cancelled, "RUNNING")
        stack.stop(cancelled)
        assert states(stack.wait_state(expired))[-1] == "EXPIRED"


def never_started(stack: Stack) -> None:
    assert states(stack.run(DOCKER_SHELL, var="true", resources=MISSING)) == ["IN_QUEUE", "FAILURE"]


def outlived_the_daemon(stack: Stack, daemon: dockerd.PrivateDaemon) -> None:
    """One ends while the daemon is dead, another afterwards."""
    jobs = [stack.create(DOCKER_SHELL, var=f"sleep {seconds}; exit 7") for seconds in (0.5, 4)]
    for job in jobs:
        stack.wait_state(job, "RUNNING")
    daemon.kill()
    daemon.start()
    for job in jobs:
        assert states(stack.wait_state(job, timeout=60)) == ["IN_QUEUE", "RUNNING", "SUCCESS"]
