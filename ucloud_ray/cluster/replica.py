"""The replica actor: a shell around `control.replica_runner.TaskDesk` on one machine (D5, D11).

Idle ones wait in a pool, cost no CPU in Ray's books and serve one rank at a time (or more, by policy). For a rank with
GPUs a fresh one is made inside its bundle, so that Ray assigns the devices. Killing one touches no workload (D1); Ray
makes it again under the same name, and every call carries all it needs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial

from runtimes.driver import Driver
from runtimes.types import ExitResult, Progress, TaskHandle, TaskId, TaskSpec
from ucloud_ray.control.ports import Started
from ucloud_ray.control.replica_runner import TaskDesk
from ucloud_ray.control.usage_sampler import UsageSampler

CONCURRENCY = 10_000
"""Waiting calls that one actor may hold; they cost a coroutine each."""


class ReplicaActor:
    def __init__(self, host: str, driver_of: Callable[[str, str], Driver], sample_usage: bool = True) -> None:
        self._host = host
        self._desk = TaskDesk(partial(driver_of, host), usage=UsageSampler() if sample_usage else None)

    async def hello(self) -> tuple[str, frozenset[TaskId]]:
        """Our host and the tasks that are served here."""
        return self._host, self._desk.known

    async def take_over(self) -> tuple[str, frozenset[TaskId]]:
        """`hello` of a supervisor that begins (`TaskDesk.take_over`)."""
        self._desk.take_over()
        return self._host, self._desk.known

    async def waiting(self) -> int:
        return self._desk.waiting

    async def launch(self, driver: str, spec: TaskSpec) -> Started:
        return await self._desk.launch(driver, spec)

    async def progress(self, driver: str, id: TaskId) -> Progress | None:
        return self._desk.progress(driver, id)

    async def recover(self, driver: str, id: TaskId) -> TaskHandle:
        return await self._desk.recover(driver, id)

    async def wait(self, driver: str, handle: TaskHandle) -> ExitResult:
        return await self._desk.wait(driver, handle)

    async def stop(self, driver: str, handle: TaskHandle, grace_seconds: float) -> None:
        await self._desk.stop(driver, handle, grace_seconds)

    async def destroy(self, driver: str, id: TaskId) -> None:
        await self._desk.destroy(driver, id)

    async def set_hosts(self, driver: str, id: TaskId, hosts: Mapping[str, str]) -> None:
        await self._desk.set_hosts(driver, id, hosts)

    async def pid(self) -> int:
        return os.getpid()
