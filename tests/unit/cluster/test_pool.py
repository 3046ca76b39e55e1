"""Replica actors that are made: none that was given up may stay in Ray, and none that was made is forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from runtimes.types import TaskId
from tests.support.wait import async_wait_until
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
    monkeypatch.setattr("ray.cancel", lambda reference: None)  # the real one starts a Ray where there is none
    return made


def new_pool(replicas_per_actor: int = 1) -> Pool:
    def no_driver(host: str, name: str) -> Any:
        raise AssertionError("no actor runs here")

    settings = ClusterSettings("test", Path("/nowhere"), (), no_driver, replicas_per_actor=replicas_per_actor)
    return Pool(settings)


def task(number: int) -> TaskId:
    return TaskId(f"j-{number}-job-0", f"uid-{number}.1")


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


async def test_those_in_line_have_as_many_actors_made_as_they_fill(actors: list[Actor]) -> None:
    """D5: else there is an actor for each of them, whatever `replicasPerActor` says."""
    pool = new_pool(replicas_per_actor=3)
    leases = [asyncio.create_task(pool.lease(HOST, task(number))) for number in range(5)]
    await _until(lambda: len(actors) == 2)
    actors[0].answer()
    await asyncio.gather(*leases[:3])
    assert not leases[3].done()
    actors[1].answer()
    served = await asyncio.gather(*leases)
    assert [served.count(actor) for actor in actors] == [3, 2]
    assert pool.sizes() == {HOST: (2, 5)}


async def test_a_long_line_does_not_have_all_its_actors_made_at_once(actors: list[Actor]) -> None:
    pool = new_pool()
    leases = [asyncio.create_task(pool.lease(HOST, task(number))) for number in range(3 * pool_module.GROW_AT_ONCE)]
    await _until(lambda: len(actors) == pool_module.GROW_AT_ONCE)
    for lease in leases:
        lease.cancel()
    await asyncio.gather(*leases, return_exceptions=True)
    assert len(actors) == pool_module.GROW_AT_ONCE


async def test_two_calls_about_one_task_get_one_actor_and_take_one_place(actors: list[Actor]) -> None:
    pool = new_pool(replicas_per_actor=3)
    both = asyncio.gather(*(pool.lease(HOST, TASK) for _ in range(2)))
    await _until(lambda: len(actors) == 1)
    actors[0].answer()
    assert await both == [actors[0], actors[0]]
    assert pool.sizes() == {HOST: (1, 1)}


async def test_two_calls_about_one_task_that_get_an_actor_each_keep_one(actors: list[Actor]) -> None:
    pool = new_pool()
    both = asyncio.gather(*(pool.lease(HOST, TASK) for _ in range(2)))
    await _until(lambda: len(actors) == 2)
    for actor in actors:
        actor.answer()
    first, second = await both
    assert first is second
    assert pool.sizes() == {HOST: (2, 1)}


async def test_a_place_that_its_caller_does_not_take_any_more_goes_to_the_next(
    actors: list[Actor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool_module, "GROW_AT_ONCE", 1)
    pool = new_pool()
    leaving, staying = (asyncio.create_task(pool.lease(HOST, task(number))) for number in range(2))
    await _until(lambda: len(actors) == 1)
    actors[0].answer()
    for _ in range(100):  # until it was given and not taken
        await asyncio.sleep(0)
        if pool.sizes() == {HOST: (1, 1)}:
            break
    assert leaving.cancel()
    assert await staying is actors[0]
    assert pool.sizes() == {HOST: (1, 1)}


async def _until(condition: Callable[[], bool]) -> None:
    async def observe() -> bool:
        return condition()

    await async_wait_until(observe, "the pool to get there", timeout=5)
