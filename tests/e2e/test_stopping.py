"""Whenever a job is stopped, it ends once, says so rightly, and nothing of it is left (REC-18, LC-4, T3, T9, T13).

Where only real parts can show it; every phase one by one is in `tests/unit/control/test_stopping.py`, a pull in
`test_images.py`, a supervisor that dies meanwhile in `test_time.py`.
"""

from __future__ import annotations

import os
import signal
import threading
from contextlib import closing
from typing import Any

import pytest

from tests.e2e.conformance.looking import processes_in
from tests.support import dockerd
from tests.support.acme import SMALL, WEB_APP, Acme
from tests.support.stack import DOCKER_SHELL, NATIVE, NATIVE_SHELL, Stack, states, texts
from tests.support.wait import wait_until

CANCELLED, FINISHED = "Your job has been cancelled!", "The job has finished processing!"
WAITS = "exec sleep 600"


def is_stopped_rightly(job: dict[str, Any]) -> bool:
    """Whatever was faster, the user or the program, its states and its last text fit each other."""
    told, last = states(job), texts(job)[-1]
    if "CANCELING" in told:
        return told in (["IN_QUEUE", "CANCELING", "SUCCESS"], ["IN_QUEUE", "RUNNING", "CANCELING", "SUCCESS"]) and (
            last == CANCELLED
        )
    return told == ["IN_QUEUE", "RUNNING", "SUCCESS"] and last == FINISHED


@pytest.mark.parametrize("application", [NATIVE_SHELL, DOCKER_SHELL], ids=["process", "container"])
def test_stopped_at_any_moment_of_its_start_or_of_its_end(
    shells: Stack, application: dict[str, str], request: Any
) -> None:
    """Gangs too: while they are placed, while some ranks have started, while they run, while one has just ended."""
    if application == DOCKER_SHELL:
        request.getfixturevalue("needs_docker")
    kinds = [(WAITS, 1), (WAITS, 3), ("sleep 0.3", 1), ("[ $UCLOUD_RANK = 0 ] || exec sleep 600", 3)]
    jobs = [shells.create(application, var=script, replicas=replicas) for script, replicas in kinds * 2]
    for number, job_id in enumerate(jobs):
        if number >= len(kinds):
            wait_until(lambda job_id=job_id: shells.job(job_id)["status"]["state"] != "IN_QUEUE", "it to be started")
        shells.post("/api/jobs/terminate", {"id": job_id}, {"id": job_id})
    shells.post("/api/jobs/terminate", *({"id": job_id} for job_id in jobs))
    ended = [shells.wait_state(job_id) for job_id in jobs]
    assert [job for job in ended if not is_stopped_rightly(job)] == []
    assert [job_id for job_id in jobs if processes_in(shells, job_id)] == []
    if application == DOCKER_SHELL:
        with closing(dockerd.client(shells.docker_url)) as api:
            assert [job_id for job_id in jobs if _containers(api, job_id)] == []


def test_stopped_before_its_creation_was_answered(shells: Stack) -> None:
    """REC-18: the Core's order overtakes our answer."""
    job_id = shells.create(NATIVE_SHELL, var="true")
    shells.wait_state(job_id)
    next_id = str(int(job_id) + 1)
    creating = threading.Thread(target=lambda: shells.create(NATIVE_SHELL, var=WAITS))
    creating.start()
    wait_until(lambda: _terminated(shells, next_id), "the job to be known to the Core")
    creating.join()
    shells.post("/api/jobs/terminate", {"id": next_id})
    assert is_stopped_rightly(shells.wait_state(next_id))
    assert processes_in(shells, next_id) == []


def _terminated(stack: Stack, job_id: str) -> bool:
    return stack.http.post("/api/jobs/terminate", json={"items": [{"id": job_id}]}).status_code == 200


def test_stopped_while_its_daemon_does_not_answer(acme: Acme) -> None:
    """D4, REC-18: the job is cancelled for its user, and over once the container is gone, not before."""
    job_id = acme.stack.create(WEB_APP, **SMALL)
    acme.stack.wait_state(job_id, "RUNNING")
    process = acme.daemon.process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    try:
        acme.stack.post("/api/jobs/terminate", {"id": job_id})
        acme.stack.run(NATIVE)  # time for whoever thinks that silence is an end
        assert states(acme.stack.job(job_id)) == ["IN_QUEUE", "RUNNING", "CANCELING"]
    finally:
        os.kill(process.pid, signal.SIGCONT)
    job = acme.stack.wait_state(job_id)
    assert states(job) == ["IN_QUEUE", "RUNNING", "CANCELING", "SUCCESS"]
    assert texts(job)[-1] == CANCELLED
    with closing(dockerd.client(acme.daemon.url)) as api:
        assert _containers(api, job_id) == []


def _containers(api: Any, job_id: str) -> list[Any]:
    found: list[Any] = api.containers(all=True, filters={"label": f"ucloud-ray/job={job_id}"})
    return found
