"""GPUs, maintenance and leftovers on a real installation: Ray is told of two devices that the machine does not have.

Whatever of ours is killed, a device has one job at a time (SCH-21); what belongs to nobody is found (ENV-59).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from runtimes.native.driver import NativeDriver
from runtimes.settings import NativeSettings
from runtimes.types import Limits, LogPaths, TaskHandle, TaskId, TaskSpec, TaskState
from tests.faults.victims import Victims
from tests.support.stack import NATIVE_SHELL, NO_DOCKER, PROVIDER, Stack, new_stack, texts
from tests.support.wait import wait_until

pytestmark = pytest.mark.timeout(240)

CATEGORY = "example-compute"
CONFIG = {
    "products": [
        {"name": "example-small", "category": CATEGORY, "cpu": 1, "memoryInGigs": 2},
        {"name": "one-gpu", "category": CATEGORY, "cpu": 1, "memoryInGigs": 2, "gpu": 1},
    ],
    "nodes": [{"categories": [CATEGORY], "capacity": {CATEGORY: {"cpu": 8, "memoryInGigs": 16, "gpu": 2}}}],
}
TELL = 'echo "$CUDA_VISIBLE_DEVICES"; exec sleep 1000'


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    stack = new_stack(NO_DOCKER)
    file = stack.data.parent / "gpus.yaml"
    file.write_text(yaml.safe_dump(CONFIG))
    try:
        stack.up("--config", str(file))
        stack.add_shells()
        yield stack
    finally:
        stack.close()


@pytest.fixture
def victims(stack: Stack) -> Victims:
    return Victims(stack)


@pytest.fixture
def jobs(stack: Stack) -> Iterator[list[str]]:
    """Ids of jobs that are stopped at the end."""
    made: list[str] = []
    yield made
    stack.stop(*made)


def begin(stack: Stack, product: str = "one-gpu") -> str:
    machine = {"id": product, "category": CATEGORY, "provider": PROVIDER}
    return stack.create(NATIVE_SHELL, var=TELL, product=machine)


def running(stack: Stack, jobs: list[str]) -> list[str]:
    return [job_id for job_id in jobs if stack.job(job_id)["status"]["state"] == "RUNNING"]


def device(stack: Stack, job_id: str) -> str:
    """As its program printed it, into its job folder."""
    return wait_until(lambda: printed(stack, job_id), f"the output of job {job_id}")


def printed(stack: Stack, job_id: str) -> str:
    files = (stack.data / "drives").rglob(f"{job_id}/stdout-0.log")
    return "".join(file.read_text() for file in files).strip()


def devices(stack: Stack, jobs: list[str]) -> dict[str, str]:
    """Device of each job that runs, as its program sees it."""
    return {job_id: device(stack, job_id) for job_id in running(stack, jobs)}


def another_provider(stack: Stack, before: int) -> bool:
    part = stack.state.parts.get("provider")
    return part is not None and part.pid != before and part.alive()


def only_the_freed_device_is_given_again(stack: Stack, jobs: list[str]) -> None:
    before = devices(stack, jobs)
    first = next(iter(before))
    stack.stop(first)
    wait_until(lambda: len(running(stack, jobs)) == 2, "the next job to run")
    after = devices(stack, jobs)
    [(newest, given)] = [(job_id, name) for job_id, name in after.items() if job_id not in before]
    assert given == before[first], f"job {newest}"
    assert sorted(after.values()) == ["0", "1"]


def test_each_device_has_one_job_at_a_time_whoever_is_killed(stack: Stack, victims: Victims, jobs: list[str]) -> None:
    jobs += [begin(stack) for _ in range(5)]
    wait_until(lambda: len(running(stack, jobs)) == 2, "two jobs to run")
    assert sorted(devices(stack, jobs).values()) == ["0", "1"]

    victims.kill(victims.replica_actors())
    killed = victims.supervisor()
    victims.kill(killed)
    victims.wait_supervised(killed)
    only_the_freed_device_is_given_again(stack, jobs)

    killed, provider = victims.all_of_ray(), stack.pid("provider")
    victims.kill(killed)
    wait_until(lambda: another_provider(stack, provider), "the provider to follow its Ray", timeout=60.0)
    victims.wait_supervised(killed)
    only_the_freed_device_is_given_again(stack, jobs)

    plain = begin(stack, "example-small")
    jobs.append(plain)
    stack.wait_state(plain, "RUNNING")
    assert device(stack, plain) == "-1", "no device by accident"


def test_a_machine_in_maintenance_takes_nobody_new_and_tells_its_users(stack: Stack, jobs: list[str]) -> None:
    """SCH-12, SCH-13, SCH-15."""
    [node] = json.loads(stack.cli("nodes", "--json").stdout)
    jobs.append(begin(stack, "example-small"))
    stack.wait_state(jobs[0], "RUNNING")
    drained = stack.cli("nodes", "drain", node["host"], "--message", "New disks")
    assert (drained.returncode, "1 job(s)" in drained.stderr) == (0, True), drained.stderr
    assert "in maintenance (New disks)" in stack.cli("nodes").stdout

    jobs.append(begin(stack, "example-small"))
    why = f"Waiting for room: 1st in the queue of {CATEGORY}; no machine for it is available at the moment"
    wait_until(lambda: any(text.startswith(why) for text in texts(stack.job(jobs[1]))), "the reason to be told")
    assert why in stack.cli("jobs", "show", jobs[1]).stdout
    assert why in stack.cli("jobs", "list").stdout
    assert why in stack.cli("jobs", "queue", CATEGORY).stdout
    assert stack.job(jobs[0])["status"]["state"] == "RUNNING"

    assert stack.cli("nodes", "undrain", node["host"]).returncode == 0
    stack.wait_state(jobs[1], "RUNNING")
    notices = [text for text in texts(stack.job(jobs[0])) if "maintenance" in text]
    assert [("New disks" in text, "is over" in text) for text in notices] == [(True, False), (False, True)]
    assert not [text for text in texts(stack.job(jobs[1])) if text in notices]


def test_a_task_that_belongs_to_nobody_is_shown_and_collected_and_the_live_one_stays(
    stack: Stack, jobs: list[str], tmp_path: Path
) -> None:
    """ENV-59."""
    jobs.append(begin(stack, "example-small"))
    stack.wait_state(jobs[0], "RUNNING")
    left = leave_behind(stack, tmp_path)
    shown = json.loads(stack.cli("nodes", "leftovers", "--json").stdout)
    assert [(entry["task"], entry["backend"]) for entry in shown] == [(left.id.name, "NATIVE")]
    assert state_of(stack, left) is TaskState.RUNNING, "looking does no harm"
    collected = json.loads(stack.cli("nodes", "leftovers", "--collect", "--json").stdout)
    assert [entry["task"] for entry in collected] == [left.id.name]
    assert stack.cli("nodes", "leftovers").stderr.strip() == "nothing is left over"
    assert not (stack.data / "tasks" / "native" / left.id.name).exists()
    assert stack.job(jobs[0])["status"]["state"] == "RUNNING"


def leave_behind(stack: Stack, tmp_path: Path) -> TaskHandle:
    """A process of this provider whose job nobody knows."""
    spec = TaskSpec(
        id=TaskId("j-4711-job-0", "nobody.1"),
        labels={"ucloud-ray/provider": PROVIDER, "ucloud-ray/job": "4711"},
        argv=("sleep", "1000"),
        environment={},
        job_folder=tmp_path,
        logs=LogPaths(tmp_path / "out", tmp_path / "err"),
        limits=Limits(1000, 10**8),
        hostname="j-4711-job-0",
    )
    return with_driver(stack, lambda driver: driver.start(spec))


def state_of(stack: Stack, handle: TaskHandle) -> TaskState:
    state: TaskState = with_driver(stack, lambda driver: driver.inspect(handle)).state
    return state


def with_driver(stack: Stack, ask: Any) -> Any:
    async def once() -> Any:
        driver = NativeDriver(NativeSettings(stack.data / "tasks" / "native"))
        try:
            return await ask(driver)
        finally:
            await driver.close()

    return asyncio.run(once())
