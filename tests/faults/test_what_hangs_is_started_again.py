"""Processes that live and do nothing are noticed and started again (REC-6), and a provider that lost its database says
so and tidies up (REC-12, REC-15, ENV-59).

One installation for both, whose watchdogs are impatient.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.victims import Victims
from tests.support import dockerd, leftovers
from tests.support.stack import (
    DOCKER_SHELL,
    NATIVE_SHELL,
    NO_DOCKER,
    Stack,
    fresh_daemon,
    fresh_stack,
    states,
    texts,
)
from tests.support.wait import wait_until

pytestmark = pytest.mark.timeout(180)

SCRIPT = "echo start >> starts; while [ ! -e gate ]; do sleep 0.05; done"


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    config = tmp_path_factory.mktemp("hanging") / "ucloud-ray.yaml"
    config.write_text(json.dumps({"policy": {"watchdogSeconds": 4}}))
    return "--config", str(config)


@pytest.fixture(scope="module")
def stack(options: tuple[str, str]) -> Iterator[Stack]:
    if dockerd.missing():
        with fresh_stack(NO_DOCKER, options) as without_docker:
            without_docker.add_shells()
            yield without_docker
        return
    with fresh_daemon() as daemon, fresh_stack(daemon.url, options) as running:
        running.add_shells()
        yield running


def test_a_supervisor_and_an_orchestrator_that_are_stopped_are_replaced_while_a_job_runs(stack: Stack) -> None:
    """The supervisor by the front end, through Ray; the orchestrator by the minder. No second one writes the store, and
    an end that could not be told before is told with its own reason (REC-19)."""
    job, ending = (stack.create(NATIVE_SHELL, var=f"{SCRIPT}; exit {status}") for status in (0, 3))
    for one in (job, ending):
        stack.wait_state(one, "RUNNING")
    victims, folders = Victims(stack), {one: _folder(stack, one) for one in (job, ending)}
    [supervisor], orchestrator = victims.supervisor(), stack.pid("orchestrator")
    os.kill(orchestrator, signal.SIGSTOP)
    (folders[ending] / "gate").touch()
    wait_until(lambda: _final(stack, ending), "the end to be decided")
    os.kill(supervisor, signal.SIGSTOP)
    stack.wait_restarted("orchestrator", orchestrator)
    victims.wait_supervised([supervisor])
    assert _writers(stack.data / "jobs.db") == victims.supervisor()
    assert texts(stack.wait_state(ending))[-1] == "The job has finished processing! (exit code 3)"
    (folders[job] / "gate").touch()
    assert states(stack.wait_state(job)) == ["IN_QUEUE", "RUNNING", "SUCCESS"]
    assert [(folder / "starts").read_text() for folder in folders.values()] == ["start\n", "start\n"]


def test_a_provider_that_lost_its_database_says_so_and_takes_away_what_it_does_not_know(
    stack: Stack, options: tuple[str, str]
) -> None:
    """Of every kind. An operator sees it first and does not wait for the grace."""
    applications = [NATIVE_SHELL] if stack.docker_url == NO_DOCKER else [NATIVE_SHELL, DOCKER_SHELL]
    jobs = [stack.create(application, var="exec sleep 600", replicas=2) for application in applications]
    for job in jobs:
        stack.wait_state(job, "RUNNING", timeout=60)
    stack.down()
    for file in stack.data.glob("jobs.db*"):
        file.unlink()
    with closing(sqlite3.connect(stack.data / "orchestrator.db")) as core, core:
        core.execute(
            "UPDATE orchestrator_jobs SET created_at = created_at - 120000"
        )  # of this minute it would be let be (REC-14)
    stack.up(*options)
    assert {texts(stack.wait_state(job))[-1] for job in jobs} == {"Your job is no longer available"}
    shown = json.loads(stack.cli("nodes", "leftovers", "--json").stdout)
    assert sorted(entry["task"] for entry in shown) == sorted(f"j-{job}-job-{rank}" for job in jobs for rank in (0, 1))
    assert len(leftovers.workloads(stack.data)) >= 2, "looking takes nothing away"
    collected = stack.cli("nodes", "leftovers", "--collect", "--json")
    assert len(json.loads(collected.stdout)) == len(shown)
    assert leftovers.of_ended_jobs(stack.data, stack.docker_url) == {}


def _folder(stack: Stack, job: str) -> Path:
    told = stack.job(job)["output"]["outputFolder"]
    return stack.data / "drives" / "user" / "home" / Path(*Path(told).parts[2:])


def _final(stack: Stack, job: str) -> bool:
    with closing(sqlite3.connect(f"file:{stack.data / 'jobs.db'}?mode=ro", uri=True)) as database:
        return bool(database.execute("SELECT final FROM jobs WHERE job_id = ?", (job,)).fetchone()[0])


def _writers(database: Path) -> list[int]:
    """Processes that have it open."""
    wait_until(lambda: len(_holders(database)) == 1, "one process to have the database open")
    return _holders(database)


def _holders(file: Path) -> list[int]:
    def has_open(process: Path) -> bool:
        try:
            return any(os.path.samefile(fd, file) for fd in (process / "fd").iterdir() if os.path.exists(fd))
        except OSError:
            return False

    return sorted(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and has_open(entry))
