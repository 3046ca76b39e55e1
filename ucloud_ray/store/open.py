"""URL -> store."""

from __future__ import annotations

import time
from collections.abc import Callable

from ucloud_ray.control.ports import Clock
from ucloud_ray.db import open_database
from ucloud_ray.domain.ids import Millis
from ucloud_ray.store.job_store import SqlJobStore

MIGRATIONS = "ucloud_ray.store.migrations"


async def open_store(
    url: str, clock: Clock | None = None, *, patience: float = 1.0, lost: Callable[[], None] = lambda: None
) -> SqlJobStore:
    """`sqlite:///<path>` or `postgresql://…`. Creates or upgrades the schema.

    `clock`: wall clock for what is stored; the system's when None. `patience`: seconds to wait for a predecessor that
    is just ending. `lost`: as for `open_database`.

    Raises `StoreInUse`, `StoreDamaged`, `StoreTooNew`, `StoreMisconfigured`, `StoreUnavailable`.
    """
    database = await open_database(url, MIGRATIONS, patience=patience, lost=lost)
    return SqlJobStore(database, clock or _SystemClock())


class _SystemClock:
    def now(self) -> Millis:
        return Millis(time.time_ns() // 1_000_000)
