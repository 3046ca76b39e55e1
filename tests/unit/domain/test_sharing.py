"""Who may use whose drive (ACC-19, ACC-20, ENV-16, ENV-17)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.domain.builders import NOW, announced, cleaned_up, running, spec
from ucloud_ray.domain.events import StopCause, StopRequested
from ucloud_ray.domain.job import JobSpec, JobState, MountRequest, Owner
from ucloud_ray.domain.lifecycle import decide
from ucloud_ray.domain.sharing import DRIVE_GONE, DriveUse, Share, drives_used, refuse_use

BOB = Owner("bob")
ALICE, MEMBER = Owner("alice"), Owner("alice", "p1")
READ, EDIT = frozenset({"READ"}), frozenset({"READ", "EDIT"})


def using(*mounts: tuple[str, bool]) -> JobSpec:
    wished = tuple(MountRequest(path, f"/work/{number}", read_only) for number, (path, read_only) in enumerate(mounts))
    return replace(spec(), launch=replace(spec().launch, mounts=wished))


def test_env17_a_drive_is_written_to_if_any_of_its_mounts_is() -> None:
    for mounts in ((("/7/a", True), ("/7/b", False)), (("/7/a", False), ("/7/b", True))):
        assert drives_used(using(*mounts, ("/8", True))) == [DriveUse("7", True), DriveUse("8", False)]


@pytest.mark.parametrize(
    ("share", "owner", "reads", "writes"),
    [
        (Share("S", ALICE), ALICE, True, True),
        (Share("S", Owner("carol", "p1")), MEMBER, True, True),
        (Share("S", BOB), ALICE, False, False),
        (Share("S", BOB, {"alice": READ}), ALICE, True, False),
        (Share("S", BOB, {"alice": EDIT}), ALICE, True, True),
        (Share("S", BOB, {"alice": frozenset({"EDIT"})}), ALICE, True, True),
        (Share("S", BOB, {"carol": EDIT}), ALICE, False, False),
        (Share("S", BOB, projects={"p1": READ}), MEMBER, True, False),
        (Share("S", BOB, projects={"p1": EDIT}), ALICE, False, False),
    ],
    ids=[
        "own", "the project's", "of another, not shared", "shared for reading", "for both", "for writing alone",
        "with somebody else", "with a group of the project", "with a project that the job is not of",
    ],
)  # fmt: skip
def test_acc20_reading_needs_a_right_and_writing_another(share: Share, owner: Owner, reads: bool, writes: bool) -> None:
    assert (refuse_use(share, owner, False) is None, refuse_use(share, owner, True) is None) == (reads, writes)


def test_the_reason_names_the_drive() -> None:
    assert refuse_use(Share("Data", BOB), ALICE, False) == "You no longer have permissions to use this drive: Data"
    assert refuse_use(None, ALICE, False) == DRIVE_GONE == "Drive is no longer valid. Was it deleted?"


def test_the_reason_is_told_before_the_end_and_once() -> None:
    """ACC-19."""
    lost = StopRequested(StopCause.LOST_PERMISSIONS, "no\nmore")
    job, effects = decide(running(), lost, NOW)
    [reason] = announced(effects)
    assert reason.status == "no more"
    assert reason.status_only
    assert decide(job, lost, NOW) == (job, ())
    assert [(told.state, told.status) for told in cleaned_up(job)[1]] == [
        (JobState.SUCCESS, "Your job has been terminated (Lost permissions)")
    ]
