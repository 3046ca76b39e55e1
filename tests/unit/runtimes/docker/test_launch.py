"""What users are told of a container that could not be started."""

from __future__ import annotations

import errno

import pytest

from runtimes.docker import launch
from runtimes.errors import StartFailed


@pytest.mark.parametrize(
    "error",
    [
        StartFailed("write /var/lib/docker/overlay2/624b3-init/link: no space left on device"),
        StartFailed("mkdir /var/lib/docker/containers/1: disk quota exceeded"),
        OSError(errno.ENOSPC, "No space left on device", "/srv/data/tasks/docker/j-1-job-0"),
    ],
    ids=["docker", "quota", "our own files"],
)
def test_a_full_disk_is_told_without_paths_and_may_be_over_later(error: Exception) -> None:
    """SCH-11: another machine may have room."""
    told = launch._explain(error, str(error), "an-image")
    assert (type(told), told.message, told.retryable) == (StartFailed, "The disk of the machine is full.", True)
