"""What is still to be done when several events were decided together (`lifecycle.due`)."""

from __future__ import annotations

from tests.unit.domain.builders import HANDLE, NOW, OK, spec, starting
from ucloud_ray.domain.effects import Announce, CleanUp, WatchReplica
from ucloud_ray.domain.events import ReplicaEnded, ReplicaStarted
from ucloud_ray.domain.job import Cleaning, JobState
from ucloud_ray.domain.lifecycle import decide, due


def test_a_rank_that_ended_together_with_its_start_is_told_as_running_and_not_watched() -> None:
    """LC-3: RUNNING is announced although the end is known already."""
    job, first = decide(starting(), ReplicaStarted(1, 0, HANDLE), NOW)
    job, second = decide(job, ReplicaEnded(1, 0, OK), NOW)
    left = [effect for effect in (*first, *second) if due(job, effect)]
    assert isinstance(job.phase, Cleaning)
    assert [type(effect) for effect in left] == [Announce, CleanUp]
    assert isinstance(left[0], Announce)
    assert left[0].state is JobState.RUNNING


def test_a_rank_that_runs_is_watched_although_its_neighbour_is_over() -> None:
    job, first = decide(starting(spec(2)), ReplicaStarted(1, 0, HANDLE), NOW)
    job, second = decide(job, ReplicaStarted(1, 1, HANDLE), NOW)
    job, _ = decide(job, ReplicaEnded(1, 1, OK), NOW)
    watched = [e.rank for e in (*first, *second) if isinstance(e, WatchReplica) and due(job, e)]
    assert watched == [0]
