"""A private PostgreSQL for the tests of this folder that want one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.postgres import Server, missing_programs, running_server


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    if reason := missing_programs():
        pytest.skip(reason)
    with running_server() as server:
        yield server
