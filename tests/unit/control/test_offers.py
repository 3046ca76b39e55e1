"""What is sold, what is used of it, and what can be done with it at this moment (SCH-17 to SCH-20, 5.6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.local_cluster import CAPACITY, PROVIDER
from tests.unit.control.rig import PRODUCTS, Rig, job, product, ref
from ucloud_ray.control.errors import BadRequest, NotFound
from ucloud_ray.control.ledger import Ledger
from ucloud_ray.control.scheduler import could_ever_fit
from ucloud_ray.control.service import BackendSupport, Utilization
from ucloud_ray.domain.ids import Millis
from ucloud_ray.domain.job import Backend, JobState, Suspended
from ucloud_ray.machines import machine_of
from ucloud_ray.settings import ProductSettings

NOW = Millis(1_700_000_000_000)


async def queue_status(rig: Rig, name: str) -> str:
    offers = {offer.product.id: offer for offer in await rig.lives[-1].requests.support()}
    return offers[name].queue_status


async def test_utilization_counts_what_is_occupied_and_jobs_once(rig: Rig) -> None:
    """SCH-17, SCH-18."""
    life = await rig.start()
    await life.requests.submit([job("1", "run=forever", replicas=3), job("2", "run=forever", machine="whole")])
    await rig.until_state("2", JobState.RUNNING)
    await life.requests.submit([job("3", "run=forever", machine="whole")])
    await rig.until(lambda: len(rig.told("3")) == 2, "the text that there is no room")
    assert await life.requests.utilization("standard") == Utilization(
        capacity_cpu=8.0,
        capacity_memory=2 * CAPACITY[1],
        used_cpu=7.0,
        used_memory=19 * 10**9,
        running=2,
        pending=1,
    )


async def test_a_job_that_is_being_cancelled_counts_as_running_until_its_room_is_free(rig: Rig) -> None:
    """SCH-19."""
    life = await rig.start()
    await life.requests.submit([job("1", "run=forever")])
    await rig.until_state("1", JobState.RUNNING)
    rig.machines.switch_runtime("node-a", on=False)
    await life.requests.terminate([ref("1")])
    seen = await life.requests.utilization("standard")
    assert (seen.running, seen.used_cpu) == (1, 1.0)
    rig.machines.switch_runtime("node-a", on=True)
    await rig.until_state("1", JobState.SUCCESS)
    seen = await life.requests.utilization("standard")
    assert (seen.running, seen.pending, seen.used_cpu, seen.used_memory) == (0, 0, 0.0, 0)


async def test_what_is_used_never_exceeds_what_is_there(rig: Rig) -> None:
    """SCH-19: a machine was lost or sells less than it did."""
    life = await rig.start()
    await life.requests.submit([job("1", "run=forever", machine="whole")])
    await rig.until_state("1", JobState.RUNNING)
    rig.machines.hosts["node-a"].capacity = {"standard": (1000, 10**9, 0)}
    rig.machines.lose("node-b")
    await life.supervisor.scheduler.look()
    seen = await life.requests.utilization("standard")
    assert (seen.capacity_cpu, seen.used_cpu) == (1.0, 1.0)
    assert (seen.capacity_memory, seen.used_memory) == (10**9, 10**9)


async def test_an_unknown_category_is_not_found(rig: Rig) -> None:
    life = await rig.start()
    with pytest.raises(NotFound, match="no product category"):
        await life.requests.utilization("other")


async def test_the_use_of_a_category_that_does_not_offer_it_is_not_told(rig: Rig) -> None:
    """SCH-20."""
    off = {"docker": {"utilization": False}, "native": {"utilization": False}}
    rig.products = (ProductSettings("one-core", "standard", backends=off), ProductSettings("other", "open"))
    life = await rig.start()
    with pytest.raises(BadRequest, match="is not told"):
        await life.requests.utilization("standard")
    assert (await life.requests.utilization("open")).running == 0


async def test_a_suspended_machine_is_neither_running_nor_waiting(rig: Rig) -> None:
    """SCH-19."""
    life = await rig.start()
    await life.requests.submit([job("1", "run=forever")])
    running = await rig.until_phase("1", "running")
    suspended = replace(running, phase=Suspended(NOW, running.ranks))
    life.supervisor.scheduler.released(running.uid)
    ledger = life.supervisor.scheduler.ledger
    seen = life.supervisor.parts.offers.utilization("standard", ledger, [suspended])
    assert (seen.running, seen.pending, seen.used_cpu) == (0, 0, 0.0)


async def test_jobs_that_pause_or_are_being_placed_wait(rig: Rig) -> None:
    """SCH-17: each job is one or the other, never both and never neither."""
    life = await rig.start(lambda cluster: cluster.hold("place"))
    await life.requests.submit([job("1", "run=forever"), job("2", "run=forever")])
    await rig.until(lambda: life.cluster.called("place"), "the first to be placed")
    seen = await life.requests.utilization("standard")
    assert seen.running + seen.pending == 2
    life.cluster.let_go("place")


async def test_a_product_is_available_busy_or_full(rig: Rig) -> None:
    """SCH-20, W7."""
    life = await rig.start()
    assert await queue_status(rig, "whole") == "AVAILABLE"
    await life.requests.submit([job("1", "run=forever", machine="whole")])
    await rig.until_state("1", JobState.RUNNING)
    assert await queue_status(rig, "whole") == "BUSY"
    assert await queue_status(rig, "one-core") == "AVAILABLE"
    await life.requests.submit([job("2", "run=forever")])
    await rig.until_state("2", JobState.RUNNING)
    assert await queue_status(rig, "whole") == "FULL"


async def test_a_product_that_fits_no_machine_is_a_problem_from_the_start(rig: Rig) -> None:
    """SCH-3: also while all machines are idle."""
    rig.products = (*PRODUCTS, ProductSettings("huge", PRODUCTS[0].category, cpu=4.5, memory_in_gigs=1))
    life = await rig.start()
    assert (await life.requests.status())["problems"] == [
        "the product huge fits no machine, even an idle one: add capacity, or take it off the list"
    ]
    assert await queue_status(rig, "huge") == "FULL"


async def test_only_what_works_on_a_living_machine_is_advertised(rig: Rig) -> None:
    """5.6, W1: all backends are listed. A machine that has just gone may be back any moment: it still counts (D4)."""
    rig.patience = replace(rig.patience, host_grace=0.3)
    life = await rig.start()
    rig.machines.hosts["node-a"].backends = frozenset({Backend.NATIVE})
    rig.machines.lose("node-b")
    await life.supervisor.scheduler.look()
    [one, _] = await life.requests.support()
    assert one.backends[Backend.DOCKER].enabled
    await rig.until(lambda: not life.supervisor.scheduler.ledger.may_return("standard", Backend.DOCKER), "the grace")
    [one, _] = await life.requests.support()
    assert set(one.backends) == set(Backend)
    assert one.backends[Backend.NATIVE].enabled
    assert one.backends[Backend.NATIVE].logs
    assert one.backends[Backend.DOCKER] == BackendSupport()
    assert one.backends[Backend.VIRTUAL_MACHINE] == BackendSupport()


async def test_after_a_restart_nothing_is_refused_because_a_machine_is_not_back_yet(rig: Rig) -> None:
    """SCH-14, D4: what it sells is not known then; once it has stayed away for the grace it does not count any more."""
    rig.patience = replace(rig.patience, host_grace=0.5)
    for host in ("node-a", "node-b"):
        await rig.store.machine_number(host)
    rig.machines.lose("node-b")
    life = await rig.start()
    await life.requests.submit([job("1", machine="whole", replicas=2)])
    await rig.until_state("1", JobState.IN_QUEUE)
    await rig.until(lambda: not life.supervisor.scheduler.ledger.awaits_strangers, "the grace to be over")
    with pytest.raises(BadRequest, match="more than this provider has"):
        await life.requests.submit([job("2", machine="whole", replicas=2)])
    rig.machines.bring_back("node-b")
    await rig.until_state("1", JobState.SUCCESS)


async def test_a_machine_that_has_not_said_what_it_can_do_is_awaited(rig: Rig) -> None:
    """SCH-14: Ray knows it before its agent has spoken."""
    rig.patience = replace(rig.patience, host_grace=30)
    life = await rig.start()
    ledger = life.supervisor.scheduler.ledger
    [one, other] = ledger.nodes
    fresh = Ledger()
    fresh.patience = 30
    fresh.nodes = [one, replace(other, backends=frozenset(), described=False)]
    whole = machine_of(PRODUCTS[1], PROVIDER)
    assert could_ever_fit(fresh, whole, 2, Backend.DOCKER)
    fresh.nodes = [one, replace(other, backends=frozenset())]
    assert not could_ever_fit(fresh, whole, 2, Backend.DOCKER)


async def test_the_configuration_can_switch_off_but_not_on(rig: Rig) -> None:
    rig.products = (
        ProductSettings(
            "one-core", "standard", backends={"docker": {"enabled": True, "logs": False, "suspension": True}}
        ),
    )
    life = await rig.start()
    [one] = await life.requests.support()
    assert one.backends[Backend.DOCKER] == BackendSupport(
        enabled=True, web=True, vnc=True, terminal=True, peers=True, time_extension=True, utilization=True
    )
    assert one.backends[Backend.NATIVE] == BackendSupport()


async def test_a_running_job_of_a_withdrawn_product_can_still_be_asked_about_and_stopped(rig: Rig) -> None:
    life = await rig.start()
    await life.requests.submit([job("1", "run=forever", machine="whole")])
    await rig.until_state("1", JobState.RUNNING)
    await rig.crash()
    rig.products = PRODUCTS[:1]
    life = await rig.start()
    with pytest.raises(BadRequest, match="cannot be extended"):
        await life.requests.extend([(ref("1"), 1000)])
    assert (await life.requests.view(ref("1"))).product == product("whole")
    await life.requests.terminate([ref("1")])
    await rig.until_state("1", JobState.SUCCESS)
    await rig.until_nothing_is_left()
