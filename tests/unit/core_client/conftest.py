"""A fake Core over HTTP, a store in memory of which only the outbox matters, and a publisher with short waits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.fake_core import REFRESH_TOKEN, FakeCore
from tests.unit.core_client.rig import Rig, rig_of
from ucloud_ray.core_client import CoreClient
from ucloud_ray.settings import CoreSettings


@pytest.fixture
async def core() -> AsyncIterator[FakeCore]:
    async with FakeCore("1", "2", "3").running() as core:
        yield core


@pytest.fixture
async def client(core: FakeCore) -> AsyncIterator[CoreClient]:
    client = CoreClient(CoreSettings(url=core.url, refresh_token=REFRESH_TOKEN, timeout_seconds=5))
    yield client
    await client.close()


@pytest.fixture
async def rig(core: FakeCore, tmp_path: Path) -> AsyncIterator[Rig]:
    async with rig_of(core, tmp_path) as rig:
        yield rig
