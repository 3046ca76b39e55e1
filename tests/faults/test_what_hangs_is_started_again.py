"""Processes that live and do nothing are noticed and started again; a running job is none of their business (REC-6)."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.victims import Victims
from tests.support.stack import NATIVE_SHELL, NO_DOCKER, Stack, fresh_stack, states
from tests.support.wait import wait_until

pytestmark = pytest.mark.timeout(180)

SCRIPT = "echo start >> starts; while [ ! -e gate ]; do sleep 0.05; done"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    config = tmp_path_factory.mktemp("hanging") / "ucloud-ray.yaml"
    config.write_text(json.dumps({"policy": {"watchdogSeconds": 4}}))
    with fresh_stack(NO_DOCKER, ("--config", str(config))) as running:
        running.add_shells()
        yield running


def test_a_supervisor_and_an_orchestrator_that_are_stopped_are_replaced_while_a_job_runs(stack: Stack) -> None:
    """The supervisor by the front end, through Ray; the orchestrator by the minder. No second one writes the store."""
    job = stack.create(NATIVE_SHELL, var=SCRIPT)
    stack.wait_state(job, "RUNNING")
    victims = Victims(stack)
    [supervisor], orchestrator = victims.supervisor(), stack.pid("orchestrator")
    for pid in (supervisor, orchestrator):
        os.kill(pid, signal.SIGSTOP)
    stack.wait_restarted("orchestrator", orchestrator)
    victims.wait_supervised([supervisor])
    assert _writers(stack.data / "jobs.db") == victims.supervisor()
    folder = _folder(stack, job)
    (folder / "gate").touch()
    assert states(stack.wait_state(job)) == ["IN_QUEUE", "RUNNING", "SUCCESS"]
    assert (folder / "starts").read_text() == "start\n"


def _folder(stack: Stack, job: str) -> Path:
    told = stack.job(job)["output"]["outputFolder"]
    return stack.data / "drives" / "user" / "home" / Path(*Path(told).parts[2:])


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
