"""The native driver's own threads: for file work, which blocks, and never for waiting on a workload."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Threads:
    def __init__(self, count: int = 4) -> None:
        self.pool = ThreadPoolExecutor(count, "native-driver")

    async def run(self, function: Callable[[*Ts], T], *args: *Ts) -> T:
        """If the caller leaves, the function still runs to its end."""
        return await asyncio.get_running_loop().run_in_executor(self.pool, function, *args)

    def close(self) -> None:
        self.pool.shutdown(wait=False)
