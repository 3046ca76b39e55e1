"""Kill any of our processes while a job runs: it neither ends nor doubles, and its real end is told (D1, REC-2)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults.conftest import Gated, begin, run_script
from tests.faults.victims import Victims
from tests.support.stack import Stack, states, texts
from tests.support.wait import wait_until

pytestmark = pytest.mark.timeout(180)

ENDED = "The job has finished processing! (exit code 7)"


def ends_as_if_nothing_had_happened(job: Gated, ranks: int = 1) -> None:
    """One start of each rank, one RUNNING, one end with the program's own exit code (LC-10, REC-3)."""
    assert job.stack.job(job.id)["status"]["state"] == "RUNNING"
    job.open_gate()
    told = job.stack.wait_state(job.id)
    assert states(told) == ["IN_QUEUE", "RUNNING", "SUCCESS"]
    assert texts(told)[-1] == ENDED
    assert [job.starts(rank) for rank in range(ranks)] == [1] * ranks
    assert job.stack.output(job.id).count("goes on") == ranks


def test_killing_the_supervisor_leaves_the_job_alone(gated: Gated, victims: Victims) -> None:
    killed = victims.supervisor()
    victims.kill(killed)
    victims.wait_supervised(killed)
    ends_as_if_nothing_had_happened(gated)


def test_killing_every_replica_actor_leaves_the_job_alone(gated: Gated, victims: Victims) -> None:
    victims.kill(victims.replica_actors())
    ends_as_if_nothing_had_happened(gated)


def test_killing_the_node_agent_costs_a_follower_its_connection_and_the_job_nothing(
    gated: Gated, victims: Victims
) -> None:
    killed = victims.node_agents()
    victims.kill(killed)
    wait_until(lambda: set(victims.node_agents()) - set(killed), "a new node agent")
    ends_as_if_nothing_had_happened(gated)


def test_killing_the_whole_of_ray_leaves_the_job_alone(gated: Gated, victims: Victims) -> None:
    killed = victims.all_of_ray()
    victims.kill(killed)
    victims.wait_supervised(killed)
    ends_as_if_nothing_had_happened(gated)


@pytest.mark.parametrize("part", ["provider", "orchestrator"])
def test_killing_a_server_leaves_the_job_alone(gated: Gated, stack: Stack, part: str) -> None:
    old = stack.pid(part)
    stack.kill(part)
    stack.wait_restarted(part, old)
    stack.wait_answering()
    ends_as_if_nothing_had_happened(gated)


def test_a_job_that_ends_while_nothing_of_ray_lives_is_told_with_its_real_end(gated: Gated, victims: Victims) -> None:
    """REC-2: exit statuses of what ended meanwhile are collected."""
    killed = victims.all_of_ray()
    victims.kill(killed)
    gated.open_gate()
    told = gated.stack.wait_state(gated.id, timeout=90.0)
    assert states(told) == ["IN_QUEUE", "RUNNING", "SUCCESS"]
    assert texts(told)[-1] == ENDED
    assert gated.starts() == 1


def test_all_ranks_of_a_job_outlive_the_supervisor(stack: Stack, victims: Victims) -> None:
    job = begin(stack, "native", replicas=3)
    job.wait_running()
    wait_until(lambda: all(job.starts(rank) for rank in range(3)), "three starts")
    killed = victims.supervisor()
    victims.kill(killed)
    victims.wait_supervised(killed)
    ends_as_if_nothing_had_happened(job, ranks=3)


def test_a_job_cancelled_after_the_supervisor_was_killed_is_cancelled_once(gated: Gated, victims: Victims) -> None:
    """LC-12, 11.4: CANCELING, then SUCCESS, and nothing runs any more."""
    killed = victims.supervisor()
    victims.kill(killed)
    victims.wait_supervised(killed)
    gated.stack.stop(gated.id)
    told = gated.stack.job(gated.id)
    assert states(told) == ["IN_QUEUE", "RUNNING", "CANCELING", "SUCCESS"]
    assert texts(told)[-1] == "Your job has been cancelled!"
    assert gated.starts() == 1


def test_short_jobs_accepted_while_the_supervisor_is_killed_again_and_again_run_exactly_once(
    stack: Stack, victims: Victims
) -> None:
    """REC-3, REC-17, REC-19: what was accepted runs, once, and its end is told, once."""
    script = "echo start >> starts-$UCLOUD_RANK.txt; exit 7"
    jobs = []
    for _ in range(3):
        jobs += [Gated(stack, run_script(stack, "native", script)) for _ in range(5)]
        killed = victims.supervisor()
        victims.kill(killed)
        victims.wait_supervised(killed)
    for job in jobs:
        told = stack.wait_state(job.id, timeout=60.0)
        assert (_transitions(told), texts(told)[-1], job.starts()) == (["IN_QUEUE", "RUNNING", "SUCCESS"], ENDED, 1)


def _transitions(job: dict[str, Any]) -> list[str]:
    """The states without the one repetition that a crash may cause: whether the Core had the first line of a job is not
    known then, it may not be lost, and the Core would drop it as no transition if it was asked to compare (1.6)."""
    told = states(job)
    return told[1:] if told[:2] == ["IN_QUEUE", "IN_QUEUE"] else told
