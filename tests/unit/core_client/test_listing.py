"""The Core's list of our jobs is read page by page and state by state, whole or not at all (REC-15)."""

from __future__ import annotations

import pytest

from tests.support.fake_core import FakeCore
from ucloud_ray.control.ports import Believed, CoreSilent
from ucloud_ray.core_client import CoreClient
from ucloud_ray.core_client.listing import ACTIVE, ListedJobs
from ucloud_ray.domain.ids import JobId, JobRef, Millis
from ucloud_ray.domain.job import JobState

CREATED = 1_700_000_000_000


def believed(id: str, state: JobState | None, created_at: int = CREATED) -> Believed:
    return Believed(JobRef(JobId(id), Millis(created_at)), state)


@pytest.fixture
def listed(core: FakeCore, client: CoreClient) -> ListedJobs:
    """Seven queued jobs on four pages, one in each other state."""
    core.add("4", "5", "6", "7", *JobState)
    for state in JobState:
        core.jobs[state].state = state
    return ListedJobs(client)


async def test_every_job_that_is_not_over_is_listed_once(listed: ListedJobs) -> None:
    found = await listed.active()
    queued = [believed(str(number), JobState.IN_QUEUE) for number in range(1, 8)]
    assert sorted(found, key=lambda job: job.ref.id) == [
        *queued,
        *(believed(state, state) for state in sorted(ACTIVE)),
    ]


@pytest.mark.parametrize("pages", range(7))
async def test_a_listing_that_is_torn_on_any_page_is_none(core: FakeCore, listed: ListedJobs, pages: int) -> None:
    core.last_page = pages
    with pytest.raises(CoreSilent):
        await listed.active()


async def test_a_job_that_moves_on_while_it_is_listed_is_not_missed(core: FakeCore, listed: ListedJobs) -> None:
    """All of it is asked for in the order of a job's life; the later state counts."""
    job = core.jobs["1"]

    def move_on(listed_state: str | None) -> None:
        if listed_state == "IN_QUEUE":
            job.state = "RUNNING"

    core.after_page = move_on
    found = await listed.active()
    assert [entry for entry in found if entry.ref.id == "1"] == [believed("1", JobState.RUNNING)]


async def test_a_job_is_found_by_its_id_and_its_time_of_creation(core: FakeCore, listed: ListedJobs) -> None:
    """O3: whatever its state, also one of a later Core."""
    core.jobs["2"].state = "DREAMING"
    assert await listed.find(JobRef(JobId("SUCCESS"), Millis(CREATED))) == believed("SUCCESS", JobState.SUCCESS)
    assert await listed.find(JobRef(JobId("2"), Millis(CREATED))) == believed("2", None)
    assert await listed.find(JobRef(JobId("2"), Millis(CREATED + 1))) is None
    assert await listed.find(JobRef(JobId("99"), Millis(CREATED))) is None


async def test_a_core_that_is_away_knows_nothing_of_any_job(core: FakeCore, listed: ListedJobs) -> None:
    """D4: that is not a denial."""
    core.last_page = 0
    with pytest.raises(CoreSilent):
        await listed.find(JobRef(JobId("99"), Millis(CREATED)))


@pytest.mark.parametrize("created_at", [None, "yesterday"])
async def test_jobs_without_a_time_of_creation_are_no_listing(
    core: FakeCore, listed: ListedJobs, created_at: object
) -> None:
    """O3: each of ours would look like a job that the Core deleted."""
    core.jobs["1"].created_at = created_at
    with pytest.raises(CoreSilent):
        await listed.active()
