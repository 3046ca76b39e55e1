"""Jobs that use drives of others: refused, accepted, and stopped when the right is taken away (ACC-19 to ACC-21)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from tests.unit.control.rig import Rig, job, ref, spec
from ucloud_ray.control import access_keeper, offers
from ucloud_ray.control.errors import BadRequest, NotReady
from ucloud_ray.control.ports import AccessUnknown
from ucloud_ray.control.service import BackendSupport, NewJob
from ucloud_ray.domain import texts
from ucloud_ray.domain.events import Tick
from ucloud_ray.domain.job import Backend, JobState, MountRequest, Owner
from ucloud_ray.domain.sharing import Share
from ucloud_ray.settings import DriveOwner, DriveSettings

READ, EDIT = frozenset({"READ"}), frozenset({"READ", "EDIT"})
LOST = [JobState.IN_QUEUE, JobState.RUNNING, JobState.SUCCESS]


class Shares:
    """A Core that is asked, and may be down."""

    def __init__(self) -> None:
        self.given: dict[str, frozenset[str]] | None = {"alice": EDIT}
        self.down = False
        self.slow: asyncio.Event | None = None
        """What those who ask now wait for."""
        self.waiting = 0
        self.asked: list[list[str]] = []

    async def shares(self, drives: Sequence[str]) -> Mapping[str, Share]:
        self.asked.append(list(drives))
        if self.down:
            raise AccessUnknown("the Core is down")
        if self.slow is not None:
            self.waiting += 1
            await self.slow.wait()
        return {} if self.given is None else {drive: Share("Data", Owner("bob"), self.given) for drive in drives}


@pytest.fixture
def shares(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Shares:
    monkeypatch.setattr(access_keeper, "AFTER_A_CHANGE", (0.005, 0.3))
    monkeypatch.setattr(access_keeper, "FRESH_SECONDS", 0.0)
    (rig.folder / "shared").mkdir()
    rig.drives = (DriveSettings("12512", "Data", rig.folder / "shared", DriveOwner("user", "bob")),)
    rig.access = shares = Shares()
    return shares


def using(
    id: str, path: str = "/12512/shared", read_only: bool = False, run: str = "run=forever", **more: object
) -> NewJob:
    plain = spec(run) if run else spec()
    launch = replace(plain.launch, mounts=(MountRequest(path, "/work/shared", read_only),))
    return replace(job(id), spec=replace(plain, launch=launch, **more))


async def test_a_job_may_use_a_drive_that_is_shared_with_its_owner(rig: Rig, shares: Shares) -> None:
    life = await rig.start()
    await life.requests.submit([using("41"), using("42", read_only=True)])
    await rig.until_state("42", JobState.RUNNING)
    assert shares.asked == [["12512"]]


async def test_no_job_uses_what_its_owner_was_not_given(rig: Rig, shares: Shares) -> None:
    """ENV-16: nor is anything of the request accepted."""
    shares.given = {"carol": EDIT}
    life = await rig.start()
    with pytest.raises(BadRequest, match="not on a drive of this workspace"):
        await life.requests.submit([job("40"), using("41", read_only=True)])
    assert life.supervisor.engine.jobs() == []
    shares.given = None
    with pytest.raises(BadRequest, match="not on a drive of this workspace"):
        await life.requests.submit([using("41", read_only=True)])


async def test_who_may_only_read_gets_no_writable_mount(rig: Rig, shares: Shares) -> None:
    """ENV-16."""
    shares.given = {"alice": READ}
    life = await rig.start()
    with pytest.raises(BadRequest, match="may only be read"):
        await life.requests.submit([using("41")])
    await life.requests.submit([using("42", read_only=True)])


async def test_while_nobody_says_a_job_is_not_accepted(rig: Rig, shares: Shares) -> None:
    shares.down = True
    life = await rig.start()
    with pytest.raises(NotReady):
        await life.requests.submit([using("41")])
    await life.requests.submit([job("42")])


async def test_a_job_without_drives_of_others_asks_nobody(rig: Rig, shares: Shares) -> None:
    life = await rig.start()
    await life.requests.submit([job("41", "run=forever"), using("42", path="/home-alice")])
    await life.supervisor.access.look()
    assert shares.asked == []


async def test_a_revoked_share_stops_the_job_after_the_core_spoke_of_it(rig: Rig, shares: Shares) -> None:
    """ACC-19, ACC-21, LC-12, LC-14: the Core writes the change down only once it has our answer."""
    life = await rig.start()
    await life.requests.submit([using("41")])
    await rig.until_state("41", JobState.RUNNING)
    await life.requests.access_changed()
    await rig.until(lambda: len(shares.asked) >= 2, "the first look")
    shares.given = {}
    await rig.until_state("41", JobState.SUCCESS)
    assert rig.states("41") == LOST
    assert rig.told_texts("41")[-2:] == [
        "You no longer have permissions to use this drive: Data",
        texts.LOST_PERMISSIONS,
    ]
    assert rig.told("41")[-1].allow_restart is False
    await rig.until_nothing_is_left()


async def test_a_revoked_share_is_found_without_a_word(rig: Rig, shares: Shares) -> None:
    """ACC-19: the periodic check; and in the queue nothing is ever started."""
    rig.access_check = 0.01
    life = await rig.start(lambda cluster: setattr(cluster, "full", True))
    [uid] = await life.requests.submit([using("41")])
    shares.given = {}
    await rig.until_state("41", JobState.SUCCESS)
    assert rig.states("41") == [JobState.IN_QUEUE, JobState.SUCCESS]
    assert rig.starts(uid) == 0
    await rig.until_nothing_is_left()


async def test_losing_the_right_to_write_matters_to_who_writes(rig: Rig, shares: Shares) -> None:
    """ACC-20."""
    life = await rig.start()
    await life.requests.submit([using("41"), using("42", read_only=True)])
    await rig.until_state("42", JobState.RUNNING)
    shares.given = {"alice": READ}
    await life.supervisor.access.look()
    await rig.until_state("41", JobState.SUCCESS)
    await life.supervisor.access.look()
    await rig.quiet()
    assert rig.states("42") == [JobState.IN_QUEUE, JobState.RUNNING]


async def test_a_core_that_is_down_ends_nothing(rig: Rig, shares: Shares) -> None:
    """D4."""
    life = await rig.start()
    [uid] = await life.requests.submit([using("41")])
    await rig.until_state("41", JobState.RUNNING)
    shares.down = True
    await life.supervisor.access.look()
    after = await life.supervisor.engine.settle(uid, Tick())
    assert after is not None, "whatever was posted to it before is decided by now"
    assert after.phase.kind == "running"


async def test_a_drive_that_is_configured_no_more_is_lost(rig: Rig, shares: Shares) -> None:
    """ACC-19: nobody is asked."""
    life = await rig.start()
    await life.requests.submit([using("41")])
    await rig.until_state("41", JobState.RUNNING)
    await rig.crash()
    rig.drives = ()
    shares.asked.clear()
    await rig.start()
    await rig.until_state("41", JobState.SUCCESS)
    assert rig.told_texts("41")[-2:] == ["Drive is no longer valid. Was it deleted?", texts.LOST_PERMISSIONS]
    assert shares.asked == []
    await rig.until_nothing_is_left()


async def test_a_new_life_is_refused_where_the_right_is_gone(rig: Rig, shares: Shares) -> None:
    """LC-26, ENV-16: as a `create` would be."""
    life = await rig.start()
    wanted = using("41", run="", restart_on_exit=True)
    await life.requests.submit([wanted])
    await rig.until_state("41", JobState.SUCCESS)
    shares.given = {}
    for again in (life.requests.submit([wanted]), life.requests.unsuspend([ref("41")])):
        with pytest.raises(BadRequest, match="not on a drive of this workspace"):
            await again
    assert rig.states("41") == LOST
    assert life.supervisor.engine.jobs() == []


async def test_a_new_life_that_is_refused_takes_nothing_else_of_its_request(rig: Rig, shares: Shares) -> None:
    """REC-17."""
    life = await rig.start()
    again = using("41", run="", restart_on_exit=True)
    await life.requests.submit([again])
    await rig.until_state("41", JobState.SUCCESS)
    shares.given = {}
    with pytest.raises(BadRequest, match="not on a drive of this workspace"):
        await life.requests.submit([job("42"), again])
    assert life.supervisor.engine.jobs() == []
    assert await rig.store.find(ref("42")) is None


async def test_a_resumption_that_was_overtaken_by_a_whole_life_begins_no_other(rig: Rig, shares: Shares) -> None:
    """LC-26: what it read of the job is old."""
    life = await rig.start()
    [uid] = await life.requests.submit([using("41", run="stdout=started", restart_on_exit=True)])
    await rig.until_state("41", JobState.SUCCESS)
    await rig.until_nothing_is_left()
    shares.slow = asyncio.Event()
    late = asyncio.create_task(life.requests.unsuspend([ref("41")]))
    await rig.until(lambda: shares.waiting, "the late one to be under way")
    shares.slow, gate = None, shares.slow
    await life.requests.unsuspend([ref("41")])
    await rig.until(lambda: rig.states("41") == LOST * 2, "the next life")
    await rig.until_nothing_is_left()
    gate.set()
    await late
    await rig.quiet()
    assert (rig.states("41"), rig.starts(uid)) == (LOST * 2, 2)
    assert life.supervisor.engine.jobs() == []


async def test_a_machine_is_not_resumed_where_the_right_is_gone(
    rig: Rig, shares: Shares, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SUS-10, ACC-19: until it is given back."""
    suspends = BackendSupport(enabled=True, suspension=True)
    monkeypatch.setattr(offers, "SUPPORTED", {**offers.SUPPORTED, Backend.VIRTUAL_MACHINE: suspends})
    life = await rig.start()
    await life.requests.submit([using("41", backend=Backend.VIRTUAL_MACHINE)])
    await rig.until_state("41", JobState.RUNNING)
    shares.given = {}
    await life.requests.access_changed()
    await rig.until_state("41", JobState.SUSPENDED)
    with pytest.raises(BadRequest, match="not on a drive of this workspace"):
        await life.requests.unsuspend([ref("41")])
    await rig.until_phase("41", "suspended")
    shares.given = {"alice": EDIT}
    await life.requests.unsuspend([ref("41")])
    await rig.until(lambda: rig.states("41").count(JobState.RUNNING) == 2, "it to run again")


async def test_answers_of_a_moment_ago_serve_the_next_job(
    rig: Rig, shares: Shares, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(access_keeper, "FRESH_SECONDS", 60.0)
    life = await rig.start()
    for number in range(5):
        await life.requests.submit([using(str(number))])
    assert len(shares.asked) == 1
    shares.given = {"alice": EDIT, "carol": EDIT}
    await life.requests.submit([using("9", owner=Owner("carol"))])
    assert len(shares.asked) == 2, "a drive that was just shared is used at once"
