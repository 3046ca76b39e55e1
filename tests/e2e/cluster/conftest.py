"""One installation on three hosts for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.support import hosts, images
from tests.support.ray_hosts import RayHosts, ray_hosts


@pytest.fixture(scope="session")
def cluster() -> Iterator[RayHosts]:
    """Fails at its end if a process, a container or a task folder is left on any host."""
    if reason := hosts.missing() or images.missing_programs():
        pytest.skip(reason)
    with ray_hosts() as made:
        made.stack.add_shells()
        yield made


@pytest.fixture
def start(cluster: RayHosts) -> Iterator[Callable[..., str]]:
    """Creates a job; stops at the end of the test what still runs of those."""
    made: list[str] = []

    def create(*arguments: object, **changes: object) -> str:
        made.append(cluster.stack.create(*arguments, **changes))  # type: ignore[arg-type]
        return made[-1]

    yield create
    cluster.stack.stop(*made)
