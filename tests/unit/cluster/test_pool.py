"""Replica actors that are made: none that was given up may stay in Ray, and none that was made is forgotten."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runtimes.types import TaskId
from ucloud_ray.cluster import pool as pool_module
from ucloud_ray.cluster.factories import ClusterSettings
from ucloud_ray.cluster.pool import Pool, Worker
from ucloud_ray.control.ports import ClusterUnavailable

HOST = "node-1"
TASK = TaskId("j-1-job-0", "uid.1")


class Actor:
    """In place of Ray's handle; `made` when Ray has made it."""

    def __init__(self) -> None:
        self.made: asyncio.Future[tuple[str, frozenset[TaskId]]] = asyncio.get_running_loop().create_future()
        self.ended = False
        self.hello = SimpleNamespace(remote=lambda: self.made)

    def answer(self) -> None:
        self.made.set_result((HOST, frozenset()))


@pytest.fixture
def actors(monkeypatch: pytest.MonkeyPatch) -> list[Actor]:
    """Those that were asked of Ray, in order."""
    made: list[Actor] = []

    def create(self: Pool, name: str, host: str) -> Worker:
        made.append(Actor())
        return Worker(name, host, made[-1])

    def end(worker: Worker) -> None:
        worker.actor.ended = True

    monkeypatch.setattr(Pool, "_create", create)
    monkeypatch.setattr(pool_module, "_end", end)
    return made


def new_pool() -> Pool:
    def no_driver(host: str, name: str) -> Any:
        raise AssertionError("no actor runs here")

    return Pool(ClusterSettings("test", Path("/nowhere"), (), no_driver))


async def test_an_actor_that_takes_too_long_is_ended_before_another_one_is_made(
    actors: list[Actor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a busy machine would collect actors that serve nobody."""
    monkeypatch.setattr(pool_module, "NEW_SECONDS", 0.01)
    pool = new_pool()
    with pytest.raises(ClusterUnavailable):
        await pool.lease(HOST, TASK)
    assert [actor.ended for actor in actors] == [True]
    assert pool.sizes() == {HOST: (0, 0)}


async def test_an_actor_that_was_made_while_its_machine_was_away_serves_when_it_is_back(actors: list[Actor]) -> None:
    pool = new_pool()
    pool.keep_warm(HOST)
    await asyncio.sleep(0)
    [actor] = actors
    pool.drop_host(HOST)
    actor.answer()
    assert await pool.lease(HOST, TASK) is actor
    assert pool.sizes() == {HOST: (1, 1)}
    assert not actor.ended
