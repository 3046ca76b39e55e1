from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.unit.control.rig import Rig
from ucloud_ray.control import engine, leftovers, scheduler, supervisor


@pytest.fixture
async def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    monkeypatch.setattr(engine, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(engine, "CLOSE_SECONDS", 0.02)
    monkeypatch.setattr(scheduler, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(leftovers, "LOOK_SECONDS", 0.02)
    monkeypatch.setattr(supervisor, "ADOPT_SECONDS", 0.01)
    rig = Rig(tmp_path)
    await rig.open()
    with capture_logs():
        yield rig
        await rig.close()
