"""Tasks that belong to no job (ENV-59, D4): destroyed after the grace, and never anybody else's."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest

from runtimes.errors import RuntimeUnavailable
from runtimes.types import TaskId, TaskSpec
from tests.support.local_cluster import PROVIDER
from tests.unit.control.rig import Life, Rig, job
from ucloud_ray.control.leftovers import SEARCH_SECONDS, Leftovers
from ucloud_ray.control.task_spec import LABEL_PROVIDER, task_id
from ucloud_ray.domain.ids import JobId, JobUid
from ucloud_ray.domain.job import Job, JobState

GRACE = 300.0


@dataclass
class Search:
    """Leftovers by rounds that the test calls."""

    life: Life
    seconds: float = 0.0
    leftovers: Leftovers = field(init=False)

    def __post_init__(self) -> None:
        supervisor = self.life.supervisor
        self.leftovers = Leftovers(
            self.life.cluster, supervisor.scheduler, supervisor.engine.live, PROVIDER, GRACE, lambda: self.seconds
        )

    async def later(self, seconds: float) -> None:
        self.seconds += seconds
        await self.life.supervisor.scheduler.look()
        await self.leftovers.look()


async def running(rig: Rig, life: Life, id: str) -> Job:
    await life.requests.submit([job(id, "run=forever")])
    return await rig.until_phase(id, "running")


async def left_behind(
    rig: Rig, template: Job, name: str = "41", provider: str = PROVIDER, uid: str = "nobody"
) -> TaskId:
    """A task on node-a, by default of a job that nobody knows."""
    ghost = replace(template, id=JobId(name), uid=JobUid(uid))
    spec: TaskSpec = rig.tasks().build(ghost, 0)
    spec = replace(spec, labels={**spec.labels, LABEL_PROVIDER: provider})
    spec.job_folder.mkdir(parents=True, exist_ok=True)
    await rig.machines.hosts["node-a"].desk.start("scripted", spec)
    return spec.id


async def exist(rig: Rig) -> set[str]:
    return {incarnation for _, incarnation in await rig.machines.tasks()}


async def test_a_leftover_goes_after_the_grace_and_what_is_beside_it_stays(rig: Rig) -> None:
    life = await rig.start()
    live = await running(rig, life, "1")
    ghost = await left_behind(rig, live)
    foreign = await left_behind(rig, live, "42", provider="another")
    search = Search(life)
    await search.later(0)
    await search.later(GRACE - 1)
    assert ghost.incarnation in await exist(rig)
    await search.later(1)
    assert await exist(rig) == {task_id(live, 0).incarnation}
    assert life.cluster.called("destroy") == [("destroy", "node-a", ghost)]
    others = await rig.machines.hosts["node-a"].driver.list_tasks("another")
    assert [found.id for found in others] == [foreign]
    assert rig.states("1")[-1] is JobState.RUNNING
    await rig.machines.hosts["node-a"].desk.destroy("scripted", foreign)


async def test_a_machine_that_was_given_up_comes_back_and_is_tidied_up(rig: Rig) -> None:
    """SCH-16, D4: the job is FAILURE, its container was running all the time, a live one is beside it."""
    life = await rig.start()
    lost = await running(rig, life, "1")
    host = lost.ranks[0].host
    rig.machines.lose(host)
    await rig.until_state("1", JobState.FAILURE)
    await rig.crash()  # so that nobody remembers what was given up
    rig.machines.bring_back(host)
    life = await rig.start()
    live = await running(rig, life, "2")
    assert live.ranks[0].host == host
    assert await exist(rig) == {task_id(lost, 0).incarnation, task_id(live, 0).incarnation}
    search = Search(life)
    await search.later(0)
    await search.later(GRACE)
    assert await exist(rig) == {task_id(live, 0).incarnation}
    assert rig.states("2")[-1] is JobState.RUNNING


async def test_a_task_of_a_job_that_is_being_started_is_not_a_leftover(rig: Rig) -> None:
    life = await rig.start()
    for host in rig.machines.hosts.values():
        host.driver.may_prepare.clear()
    await life.requests.submit([job("1", "run=forever")])
    starting = await rig.until_phase("1", "starting")
    search = Search(life)
    await search.later(0)
    for host in rig.machines.hosts.values():
        host.driver.may_prepare.set()
    life.supervisor.engine.post = lambda uid, event: None  # type: ignore[method-assign]  # its start is never told
    await search.later(10 * GRACE)
    assert await search.leftovers.found() == []
    assert life.cluster.called("destroy") == []
    assert starting.incarnation == 1


async def test_an_older_attempt_of_a_live_job_is_a_leftover(rig: Rig) -> None:
    life = await rig.start()
    live = await running(rig, life, "1")
    older = await left_behind(rig, replace(live, incarnation=0), "41", uid=live.uid)
    found = await Search(life).leftovers.found()
    assert [leftover.id for leftover in found] == [older] == [task_id(replace(live, id=JobId("41")), 0, 0)]


async def test_an_operator_can_look_without_harm_and_collect_at_once(rig: Rig) -> None:
    life = await rig.start()
    live = await running(rig, life, "1")
    ghost = await left_behind(rig, live)
    leftovers = Search(life).leftovers
    assert [leftover.id for leftover in await leftovers.found()] == [ghost]
    assert ghost.incarnation in await exist(rig)
    assert [leftover.id for leftover in await leftovers.collect()] == [ghost]
    assert await exist(rig) == {task_id(live, 0).incarnation}
    assert await leftovers.found() == []


async def test_a_leftover_that_cannot_be_destroyed_is_tried_again(rig: Rig) -> None:
    life = await rig.start()
    ghost = await left_behind(rig, await running(rig, life, "1"))
    search = Search(life)
    await search.later(0)
    life.cluster.broken["destroy"] = RuntimeUnavailable("the daemon is down")
    await search.later(GRACE)
    assert ghost.incarnation in await exist(rig)
    life.cluster.broken.clear()
    await search.later(1)
    assert ghost.incarnation not in await exist(rig)


@pytest.mark.parametrize("gone", [True, False])
async def test_a_machine_that_does_not_tell_is_left_alone_and_asked_again(rig: Rig, gone: bool) -> None:
    life = await rig.start()
    ghost = await left_behind(rig, await running(rig, life, "1"))
    search = Search(life)
    if gone:
        rig.machines.lose("node-a")
    else:
        life.cluster.broken["list_tasks"] = RuntimeUnavailable("the daemon is down")
    await search.later(GRACE)
    await search.later(GRACE)
    rig.machines.bring_back("node-a")
    life.cluster.broken.clear()
    await search.later(SEARCH_SECONDS)
    assert ghost.incarnation in await exist(rig), "the grace begins when it is first seen"
    await search.later(GRACE)
    assert ghost.incarnation not in await exist(rig)
