"""Maintenance of a machine (SCH-12, SCH-15): nobody new, nobody stopped, everybody there told once."""

from __future__ import annotations

import pytest

from tests.unit.control.rig import Life, Rig, job
from ucloud_ray.control.errors import NotFound
from ucloud_ray.domain import texts
from ucloud_ray.domain.ids import JobId
from ucloud_ray.domain.job import JobState
from ucloud_ray.store.errors import StoreUnavailable


async def running(rig: Rig, life: Life, id: str, **what: object) -> str:
    """Where it runs."""
    await life.requests.submit([job(id, "run=forever", **what)])
    await rig.until_state(id, JobState.RUNNING)
    found = life.supervisor.engine.newest(JobId(id))
    assert found is not None
    return found.ranks[0].host


async def until_told(rig: Rig, id: str, *expected: str) -> None:
    """Exactly these, in this order."""
    await rig.until(lambda: len(notices(rig, id)) >= len(expected), f"job {id} to be told {expected}")
    assert notices(rig, id) == list(expected)


def notices(rig: Rig, id: str) -> list[str | None]:
    """What was told about maintenance."""
    return [update.status for update in rig.told(id) if "maintenance" in (update.status or "")]


async def test_who_runs_there_is_told_once_and_goes_on_and_others_are_not(rig: Rig) -> None:
    life = await rig.start()
    host = await running(rig, life, "1", machine="whole")
    other = await running(rig, life, "2", machine="whole")
    assert host != other
    assert await life.supervisor.drains.drain(host, "new disks on Friday") == 1
    assert await life.supervisor.drains.drain(host, "new disks on Friday") == 0
    await until_told(rig, "1", texts.maintenance(host, "new disks on Friday"))
    assert notices(rig, "2") == []
    assert rig.states("1")[-1] is JobState.RUNNING
    assert await life.supervisor.drains.undrain(host) == 1
    assert await life.supervisor.drains.undrain(host) == 0
    await until_told(rig, "1", texts.maintenance(host, "new disks on Friday"), texts.maintenance_over(host))
    assert notices(rig, "2") == []


async def test_a_new_message_is_told_again(rig: Rig) -> None:
    life = await rig.start()
    host = await running(rig, life, "1")
    for message in ("on Friday", "on Saturday"):
        await life.supervisor.drains.drain(host, message)
    await until_told(rig, "1", *(texts.maintenance(host, message) for message in ("on Friday", "on Saturday")))


async def test_nobody_new_is_put_there_until_it_is_over(rig: Rig) -> None:
    life = await rig.start()
    for host in rig.machines.hosts:
        await life.supervisor.drains.drain(host, "")
    await life.requests.submit([job("1", "run=10ms")])
    await rig.until(lambda: any(told.status == texts.NO_MACHINE for told in rig.told("1")), "the text that it waits")
    assert life.cluster.called("place") == []
    await life.supervisor.drains.undrain("node-b")
    await rig.until_state("1", JobState.SUCCESS)
    assert {call[1] for call in life.cluster.called("start")} == {"node-b"}


async def test_a_maintenance_outlives_the_supervisor(rig: Rig) -> None:
    life = await rig.start()
    await life.supervisor.drains.drain("node-a", "new disks")
    await rig.crash()
    life = await rig.start()
    assert await running(rig, life, "1") == "node-b"
    assert (await life.requests.status())["nodes"][0]["maintenance"] == "new disks"


async def test_what_is_drained_is_not_sold(rig: Rig) -> None:
    """SCH-18: capacity is of machines that take jobs, and so is what is used."""
    life = await rig.start()
    host = await running(rig, life, "1", machine="whole")
    await life.supervisor.drains.drain(host, "")
    seen = await life.requests.utilization("standard")
    assert (seen.capacity_cpu, seen.used_cpu, seen.running) == (4.0, 0.0, 1)
    offers = {offer.product.id: offer.queue_status for offer in await life.requests.support()}
    assert offers["whole"] == "BUSY"


async def test_an_unknown_machine_is_not_found(rig: Rig) -> None:
    life = await rig.start()
    with pytest.raises(NotFound, match="no machine called 'node-x'"):
        await life.supervisor.drains.drain("node-x", "")
    with pytest.raises(NotFound):
        await life.supervisor.drains.undrain("node-x")


async def test_a_maintenance_that_is_not_on_disk_did_not_begin(rig: Rig) -> None:
    life = await rig.start()
    host = await running(rig, life, "1")
    life.store.fail("set_drain")
    with pytest.raises(StoreUnavailable):
        await life.supervisor.drains.drain(host, "")
    assert life.supervisor.scheduler.ledger.drained == {}
    assert notices(rig, "1") == []
