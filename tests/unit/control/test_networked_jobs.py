"""Jobs with somebody to talk to: what is put in force, when, and what follows when machines or we come and go."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from typing import Any

import pytest

from runtimes.network.plan import NetworkPlan
from tests.unit.control.rig import Rig, job, ref
from ucloud_ray.control.errors import BadRequest
from ucloud_ray.control.ports import ClusterUnavailable
from ucloud_ray.control.service import NewJob
from ucloud_ray.domain.ids import JobId
from ucloud_ray.domain.job import Backend, JobState, Owner, PeerRequest

WHOLE = {"machine": "whole"}
"""One replica fills a machine, so that two are on two machines."""


def guest(id: str, *words: str, of: str = "41", hostname: str = "database", **more: Any) -> NewJob:
    new = job(id, *words, **more)
    peers = (PeerRequest(hostname, JobId(of)),)
    return replace(new, spec=replace(new.spec, launch=replace(new.spec.launch, peers=peers)))


def plan_of(rig: Rig, host: str) -> NetworkPlan:
    return rig.machines.hosts[host].plans[-1]


def pairs(rig: Rig, host: str = "node-a") -> set[tuple[str, str]]:
    plans = rig.machines.hosts[host].plans
    return set(plans[-1].pairs) if plans else set()


# ---------------------------------------------------------------------------------------------- ranks of one job


async def test_a_job_alone_changes_no_plan(rig: Rig) -> None:
    """Every machine has the plan without pairs from the beginning; that is all it needs."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=20ms")])
    await rig.until_state("41", JobState.SUCCESS)
    assert [plan.pairs for host in rig.machines.hosts.values() for plan in host.plans] == [(), ()]
    assert not life.cluster.called("set_hosts")


async def test_no_rank_starts_before_all_machines_let_them_talk(rig: Rig) -> None:
    """D14: also not the one whose own machine is ready."""
    life = await rig.start(lambda cluster: cluster.hold("apply_network"))
    await life.requests.submit([job("41", "run=20ms", replicas=2, **WHOLE)])
    await rig.until_phase("41", "starting")
    await rig.quiet()
    assert not life.cluster.called("start")
    life.cluster.let_go("apply_network")
    await rig.until_state("41", JobState.RUNNING)
    pair = ("10.83.0.2", "10.83.1.2")
    assert any(pair in plan.pairs for plan in rig.machines.hosts["node-a"].plans)
    assert any(pair in plan.pairs for plan in rig.machines.hosts["node-b"].plans)


async def test_what_a_job_was_allowed_is_taken_back_before_its_end_is_told(rig: Rig) -> None:
    """ENV-57."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=20ms", replicas=2, **WHOLE)])
    await rig.until_state("41", JobState.SUCCESS)
    assert pairs(rig, "node-a") == pairs(rig, "node-b") == set()
    assert life.supervisor.scheduler.addresses._of_job == {}


async def test_a_machine_that_takes_no_plan_keeps_the_end_from_being_told(rig: Rig) -> None:
    """ENV-57, until the patience with it is over."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", replicas=2, **WHOLE)])
    await rig.until_state("41", JobState.RUNNING)
    life.cluster.hold("apply_network")
    await life.requests.terminate([ref("41")])
    await rig.until(lambda: len(life.cluster.called("destroy")) == 2, "its tasks to be destroyed")
    await rig.quiet()
    assert not life.cluster.called("release")
    await rig.until_state("41", JobState.SUCCESS)
    life.cluster.let_go("apply_network")
    await rig.until(lambda: not pairs(rig, "node-a") | pairs(rig, "node-b"), "the rules to go all the same")


async def test_the_tasks_know_their_addresses_and_each_other(rig: Rig) -> None:
    """ENV-43, ENV-8."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", replicas=2, **WHOLE)])
    await rig.until_state("41", JobState.RUNNING)
    found = life.supervisor.engine.newest(JobId("41"))
    assert found is not None
    assert [rank.address for rank in found.ranks] == ["10.83.0.2", "10.83.1.2"]
    task = rig.tasks().build(found, 0, life.supervisor.fabric.names(found, 0))
    assert (task.address, dict(task.hosts)) == ("10.83.0.2", {"j-41-job-1": "10.83.1.2"})
    assert not life.cluster.called("set_hosts")


# ------------------------------------------------------------------------------------------------------- peers


async def test_a_peer_is_told_of_its_guest_and_forgets_it(rig: Rig) -> None:
    """ENV-47, ENV-48: while it runs."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever")])
    await rig.until_state("41", JobState.RUNNING)
    await life.requests.submit([guest("42", "run=forever")])
    await rig.until_state("42", JobState.RUNNING)
    (told,) = rig.machines.hosts["node-a"].names.values()
    assert told == {"j-42-job-0": "10.83.0.3"}
    assert pairs(rig) == {("10.83.0.2", "10.83.0.3")}
    await life.requests.terminate([ref("42")])
    await rig.until_state("42", JobState.SUCCESS)
    assert list(rig.machines.hosts["node-a"].names.values()) == [{}]
    assert pairs(rig) == set()


async def test_the_guest_starts_once_its_peer_knows_it(rig: Rig) -> None:
    """ENV-47: the peer may answer its first call by connecting back."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever")])
    await rig.until_state("41", JobState.RUNNING)
    life.cluster.hold("set_hosts")
    await life.requests.submit([guest("42", "run=20ms")])
    await rig.until(lambda: life.cluster.called("set_hosts"), "the peer to be told")
    await rig.quiet()
    assert len(life.cluster.called("start")) == 1
    life.cluster.let_go("set_hosts")
    await rig.until_state("42", JobState.SUCCESS)


async def test_the_guest_goes_on_without_the_name_when_its_peer_ends(rig: Rig) -> None:
    """ENV-48."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever")])
    await rig.until_state("41", JobState.RUNNING)
    await life.requests.submit([guest("42", "run=forever")])
    await rig.until_state("42", JobState.RUNNING)
    await life.requests.terminate([ref("41")])
    await rig.until_state("41", JobState.SUCCESS)
    assert pairs(rig) == set()
    uid = (await life.requests.view(ref("42"))).uid
    names = {task.incarnation: told for task, told in rig.machines.hosts["node-a"].names.items()}
    assert names[f"{uid}.1"] == {}
    assert (await life.requests.view(ref("42"))).state is JobState.RUNNING


@pytest.mark.parametrize("owner", [None, Owner("bob")])
async def test_a_peer_that_is_not_there_is_said_and_the_job_runs(rig: Rig, owner: Owner | None) -> None:
    """ENV-49: unknown, or of another workspace, which nobody is told apart."""
    life = await rig.start()
    if owner is not None:
        theirs = job("41", "run=forever")
        await life.requests.submit([replace(theirs, spec=replace(theirs.spec, owner=owner))])
        await rig.until_state("41", JobState.RUNNING)
    await life.requests.submit([guest("42", "run=20ms")])
    await rig.until_state("42", JobState.SUCCESS)
    assert (
        rig.told_texts("42").count(
            "The job 41, which your job was to reach as database, is not running; your job goes on without it"
        )
        == 1
    )
    assert pairs(rig) == set()


# ------------------------------------------------------------------------------- when machines or we come and go


async def test_a_machine_that_forgot_its_plan_gets_it_again(rig: Rig) -> None:
    """A restart of the machine, or rules that somebody flushed."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", replicas=2, **WHOLE)])
    await rig.until_state("41", JobState.RUNNING)
    before = plan_of(rig, "node-b")
    rig.machines.hosts["node-b"].plans.clear()
    await rig.until(lambda: bool(rig.machines.hosts["node-b"].plans), "the plan to be in force again")
    assert plan_of(rig, "node-b") == before


async def test_a_restart_of_ours_changes_nothing_that_is_right(rig: Rig) -> None:
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever")])
    await rig.until_state("41", JobState.RUNNING)
    await life.requests.submit([guest("42", "run=forever", replicas=2)])
    await rig.until_state("42", JobState.RUNNING)
    before = {host.name: list(host.plans) for host in rig.machines.hosts.values()}
    await rig.crash()
    life = await rig.start()
    await rig.until(lambda: len(life.cluster.called("set_hosts")) == 3, "every connected rank to be told again")
    await rig.quiet()
    assert {host.name: list(host.plans) for host in rig.machines.hosts.values()} == before
    await life.requests.submit([job("43", "run=forever")])
    await rig.until_state("43", JobState.RUNNING)
    ranks = [rank.address for one in life.supervisor.engine.jobs() for rank in one.ranks]
    assert len(ranks) == len(set(ranks)) == 4
    await life.requests.terminate([ref("41"), ref("42")])
    await rig.until_state("42", JobState.SUCCESS)
    assert pairs(rig) == set()


async def test_a_machine_that_has_not_spoken_yet_is_not_left_out_after_a_restart(rig: Rig) -> None:
    """The other ones would forget the way to it, and cut what is connected."""
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", replicas=2, **WHOLE)])
    await rig.until_state("41", JobState.RUNNING)
    before = {host.name: list(host.plans) for host in rig.machines.hosts.values()}
    await rig.crash()
    rig.machines.hosts["node-b"].described = False
    life = await rig.start()
    assert "not all machines" in await _refusal(life.supervisor.fabric._put("node-a"))
    rig.machines.hosts["node-b"].described = True
    await life.supervisor.fabric._look()
    await life.supervisor.fabric._put("node-a")
    assert {host.name: list(host.plans) for host in rig.machines.hosts.values()} == before


async def test_a_machine_that_is_lost_with_the_peer_does_not_keep_the_guest_from_starting(rig: Rig) -> None:
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", **WHOLE)])
    await rig.until_state("41", JobState.RUNNING)
    rig.patience = replace(rig.patience, host_grace=60.0)
    rig.machines.lose("node-a")
    await life.requests.submit([guest("42", "run=20ms")])
    await rig.until_state("42", JobState.SUCCESS)


async def test_an_address_on_a_lost_machine_is_not_given_again_until_the_machine_is_cleared(rig: Rig) -> None:
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", replicas=2, **WHOLE)])
    await rig.until_state("41", JobState.RUNNING)
    taken = life.supervisor.scheduler.addresses._subnets["node-b"].taken
    rig.machines.lose("node-b")
    await rig.until_state("41", JobState.FAILURE)
    assert {str(address) for address in taken} == {"10.83.1.2"}
    rig.machines.bring_back("node-b")
    await rig.until(lambda: not taken, "the leftover to be collected")
    await rig.until_nothing_is_left()


# --------------------------------------------------------------------------------------- machines without a network


async def test_a_job_alone_runs_without_a_network_where_there_is_none(rig: Rig) -> None:
    for host in rig.machines.hosts.values():
        host.networked = False
    life = await rig.start()
    await life.requests.submit([job("41", "run=20ms")])
    await rig.until_state("41", JobState.SUCCESS)
    assert [host.plans for host in rig.machines.hosts.values()] == [[], []]


@pytest.mark.parametrize("new", [job("41", replicas=2), guest("41", of="7")], ids=["ranks", "peers"])
async def test_a_job_that_needs_a_network_is_refused_where_no_machine_has_one(rig: Rig, new: NewJob) -> None:
    for host in rig.machines.hosts.values():
        host.networked = False
    life = await rig.start()
    with pytest.raises(BadRequest, match="network"):
        await life.requests.submit([new])


async def test_a_job_that_needs_a_network_is_placed_where_there_is_one(rig: Rig) -> None:
    rig.machines.hosts["node-a"].networked = False
    life = await rig.start()
    await life.requests.submit([job("41", "run=20ms", replicas=2)])
    await rig.until_state("41", JobState.SUCCESS)
    assert {call[1] for call in life.cluster.called("start")} == {"node-b"}


async def test_why_it_waits_says_that_machines_have_no_network(rig: Rig) -> None:
    """SCH-13."""
    rig.machines.hosts["node-a"].networked = False
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever", **WHOLE)])
    await rig.until_state("41", JobState.RUNNING)
    await life.requests.submit([job("42", "run=forever", **WHOLE), job("43", "run=forever", replicas=2)])
    await rig.until_state("42", JobState.RUNNING)
    waits = (await life.requests.view(ref("43"))).status
    assert waits.endswith("needs 2 x 1 core, 0 are free, not counting 1 without a network for containers")


async def test_a_peer_is_refused_for_a_process(rig: Rig) -> None:
    life = await rig.start()
    new = guest("42")
    with pytest.raises(BadRequest, match="connect"):
        await life.requests.submit([replace(new, spec=replace(new.spec, backend=Backend.NATIVE))])


async def _refusal(call: Awaitable[None]) -> str:
    with pytest.raises(ClusterUnavailable) as refused:
        await call
    return str(refused.value)
