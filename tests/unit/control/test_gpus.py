"""Whole devices: each to one job at a time, whoever dies in between (SCH-21)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.local_cluster import CATEGORY, PROVIDER
from tests.unit.control.rig import PRODUCTS, Rig, job, ref
from ucloud_ray.control import task_spec
from ucloud_ray.control.errors import BadRequest
from ucloud_ray.control.service import NewJob
from ucloud_ray.domain import texts
from ucloud_ray.domain.job import Job, JobState
from ucloud_ray.settings import ProductSettings

ONE = ProductSettings("one-gpu", CATEGORY, cpu=1, memory_in_gigs=1, gpu=1)


@pytest.fixture
def gpu_rig(rig: Rig) -> Rig:
    """Two devices on node-a, none on node-b."""
    rig.products = (*PRODUCTS, ONE)
    rig.machines.hosts["node-a"].gpus = ("0", "1")
    rig.machines.hosts["node-a"].capacity = {CATEGORY: (4_000, 16 * 10**9, 2)}
    return rig


def gpu_job(id: str, gpus: int = 1, replicas: int = 1) -> NewJob:
    plain = job(id, "run=forever", replicas=replicas)
    machine = plain.spec.machine
    machine = replace(machine, product=replace(machine.product, id="one-gpu"), gpu=gpus)
    return replace(plain, spec=replace(plain.spec, machine=machine))


async def placed(rig: Rig, id: str) -> Job:
    return await rig.until_phase(id, "running")


async def labelled(rig: Rig) -> list[str]:
    """The devices of every task that exists, as the tasks themselves say."""
    found = [task for host in rig.machines.hosts.values() for task in await host.driver.list_tasks(PROVIDER)]
    return sorted(device for task in found for device in task.labels[task_spec.LABEL_GPUS].split(","))


async def test_ranks_get_devices_of_their_own_and_the_record_says_which(gpu_rig: Rig) -> None:
    life = await gpu_rig.start()
    await life.requests.submit([gpu_job("1", replicas=2)])
    ranks = (await placed(gpu_rig, "1")).ranks
    assert [(rank.host, rank.gpus) for rank in ranks] == [("node-a", ("0",)), ("node-a", ("1",))]
    assert await labelled(gpu_rig) == ["0", "1"]


async def test_a_device_is_given_again_only_when_the_task_is_gone(gpu_rig: Rig) -> None:
    life = await gpu_rig.start()
    await life.requests.submit([gpu_job("1", gpus=2)])
    await placed(gpu_rig, "1")
    await life.requests.submit([gpu_job("2")])
    gpu_rig.machines.switch_runtime("node-a", on=False)
    await life.requests.terminate([ref("1")])
    await gpu_rig.until_phase("1", "ending")
    await gpu_rig.quiet()
    assert life.supervisor.scheduler.ledger.free_devices("node-a") == []
    gpu_rig.machines.switch_runtime("node-a", on=True)
    await gpu_rig.until_state("1", JobState.SUCCESS)
    assert (await placed(gpu_rig, "2")).ranks[0].gpus == ("0",)


async def test_no_device_is_ever_given_twice_while_jobs_come_and_go_and_supervisors_die(gpu_rig: Rig) -> None:
    """SCH-21: Ray is restarted with its memory of who had which, actors and supervisors are killed in between."""
    life = await gpu_rig.start()
    await life.requests.submit([gpu_job(str(number)) for number in range(12)])
    for turn in range(6):
        await gpu_rig.until(lambda: len(_running(gpu_rig)) == 2, "both devices to be in use")
        assert await labelled(gpu_rig) == ["0", "1"]
        await gpu_rig.crash()
        if turn % 2:
            gpu_rig.machines.restart_cluster()
        life = await gpu_rig.start()
        assert await labelled(gpu_rig) == ["0", "1"]
        for found in _running(gpu_rig):
            await life.requests.terminate([ref(found.id)])
            await gpu_rig.until_state(found.id, JobState.SUCCESS)
    await gpu_rig.until_nothing_is_left()


async def test_a_leftover_keeps_its_device_until_it_is_gone(gpu_rig: Rig) -> None:
    """A machine comes back with a container of a job that was given up: its device is not free yet."""
    life = await gpu_rig.start()
    await life.requests.submit([gpu_job("1")])
    lost = await placed(gpu_rig, "1")
    gpu_rig.machines.lose("node-a")
    await gpu_rig.until_state("1", JobState.FAILURE)
    await gpu_rig.crash()
    gpu_rig.machines.bring_back("node-a")
    life = await gpu_rig.start()
    await life.requests.submit([gpu_job("2")])
    assert (await placed(gpu_rig, "2")).ranks[0].gpus == ("1",)
    await life.requests.submit([gpu_job("3")])
    await gpu_rig.until(lambda: texts.NO_MACHINE in [update.status for update in gpu_rig.told("3")], "3 to wait")
    assert [left.gpus for left in await life.supervisor.leftovers.collect()] == [lost.ranks[0].gpus] == [("0",)]
    assert (await placed(gpu_rig, "3")).ranks[0].gpus == ("0",)


async def test_a_machine_that_was_not_searched_gives_no_devices_and_its_cores_all_the_same(gpu_rig: Rig) -> None:
    life = await gpu_rig.start(lambda cluster: cluster.hold("list_tasks"))
    await life.requests.submit([gpu_job("1"), job("2", "run=10ms")])
    await gpu_rig.until_state("2", JobState.SUCCESS)
    assert JobState.RUNNING not in gpu_rig.states("1")
    life.cluster.let_go("list_tasks")
    await gpu_rig.until_state("1", JobState.RUNNING)


async def test_more_devices_than_any_machine_has_are_refused(gpu_rig: Rig) -> None:
    """SCH-14."""
    life = await gpu_rig.start()
    for wanted in (gpu_job("1", gpus=3), gpu_job("2", gpus=1, replicas=3)):
        with pytest.raises(BadRequest, match="more than this provider has"):
            await life.requests.submit([wanted])
    assert gpu_rig.told("1") == []


async def test_a_category_that_sells_more_devices_than_there_are_gives_what_there_is(gpu_rig: Rig) -> None:
    gpu_rig.machines.hosts["node-a"].gpus = ("0",)
    life = await gpu_rig.start()
    await life.requests.submit([gpu_job("1"), gpu_job("2")])
    await gpu_rig.until(lambda: texts.NO_MACHINE in [update.status for update in gpu_rig.told("2")], "2 to wait")
    assert await labelled(gpu_rig) == ["0"]


def _running(rig: Rig) -> list[Job]:
    return [found for found in rig.lives[-1].supervisor.engine.jobs() if found.phase.kind == "running"]
