"""One stack with one Docker daemon for all end-to-end tests; those that break things take one of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import dockerd, images
from tests.support.stack import NO_DOCKER, Stack, fresh_stack


@pytest.fixture(scope="session")
def docker_url() -> str:
    """A daemon that has the batch image; an address without one where none can be had."""
    if dockerd.missing():
        return NO_DOCKER
    url = dockerd.shared_url()
    images.batch_image(url)
    return url


@pytest.fixture(scope="session")
def stack(docker_url: str) -> Iterator[Stack]:
    """Fails at its end if processes, containers, control groups, folders or mounts of it are left."""
    with fresh_stack(docker_url) as running:
        yield running


@pytest.fixture(scope="session")
def needs_docker() -> None:
    if reason := dockerd.missing():
        pytest.skip(reason)


@pytest.fixture(scope="session")
def shells(stack: Stack) -> Stack:
    """The stack with `NATIVE_SHELL` and `DOCKER_SHELL` in its catalogue."""
    stack.add_shells()
    return stack
