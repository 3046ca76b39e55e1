"""Tests here share one bed, and each of them begins with the plans that it needs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import hosts, images
from tests.support.network_bed import Bed, network_bed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def bed() -> Iterator[Bed]:
    if reason := hosts.missing() or images.missing_programs():
        pytest.skip(reason)
    with network_bed() as bed:
        yield bed
