"""Followers over real TCP: from the log file through the relay to text (section 6)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.terminals import NO_TERMINALS
from tests.unit.control.rig import CREATED, Life, Rig, job, ref
from ucloud_ray.control import log_follow
from ucloud_ray.control.errors import NotReady
from ucloud_ray.control.log_follow import RelayFollower
from ucloud_ray.control.relay import Relay
from ucloud_ray.control.service import LogChunk
from ucloud_ray.domain.job import JobState


@pytest.fixture
async def life(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Life]:
    monkeypatch.setattr(log_follow, "RETRY_SECONDS", 0.01)
    relay = Relay(rig.folder / "logs", b"k" * 32, NO_TERMINALS)
    port = await relay.start("127.0.0.1")
    for host in rig.machines.hosts.values():
        host.relay = ("127.0.0.1", port)
    yield await rig.start()
    await relay.close()


class Follow:
    """A follower that collects in the background."""

    def __init__(self, service: Any, id: str) -> None:
        self.chunks: list[LogChunk] = []
        self._task = asyncio.create_task(self._collect(service, id))

    async def _collect(self, service: Any, id: str) -> None:
        async with contextlib.aclosing(RelayFollower(service).follow(ref(id))) as chunks:
            async for chunk in chunks:
                self.chunks.append(chunk)

    def text(self, stream: str = "stdout", rank: int = 0) -> str:
        return "".join(getattr(chunk, stream) or "" for chunk in self.chunks if chunk.rank == rank)

    @property
    def over(self) -> bool:
        return self._task.done()

    async def end(self) -> None:
        await asyncio.wait_for(self._task, 5)

    async def leave(self) -> None:
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait_for(self._task, 5)


def log_file(rig: Rig, uid: str, stream: str = "stdout", rank: int = 0) -> Path:
    return rig.folder / "logs" / uid / f"{stream}-{rank}.log"


def write(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


async def running(rig: Rig, life: Life, *words: str, **more: Any) -> str:
    [uid] = await life.requests.submit([job("41", "run=forever", *words, **more)])
    await rig.until_state("41", JobState.RUNNING)
    return str(uid)


async def test_a_follower_gets_the_past_and_then_what_is_written(rig: Rig, life: Life) -> None:
    """LOG-5, LOG-4."""
    uid = await running(rig, life, "stdout=before", "stderr=bad")
    follow = Follow(life.requests, "41")
    await rig.until(lambda: follow.text() == "before\n", "the past")
    write(log_file(rig, uid), b"after\n")
    await rig.until(lambda: follow.text() == "before\nafter\n", "the present")
    assert follow.text("stderr") == "bad\n"
    await follow.leave()


async def test_all_ranks_come_in_one_follow(rig: Rig, life: Life) -> None:
    """LOG-2."""
    uid = await running(rig, life, replicas=2)
    follow = Follow(life.requests, "41")
    for rank in range(2):
        write(log_file(rig, uid, rank=rank), f"rank {rank}\n".encode())
    await rig.until(lambda: follow.text(rank=1) == "rank 1\n" and follow.text(rank=0) == "rank 0\n", "both")
    await follow.leave()


async def test_characters_that_are_cut_come_out_whole_and_invalid_bytes_are_skipped(rig: Rig, life: Life) -> None:
    """LOG-3."""
    uid = await running(rig, life)
    follow = Follow(life.requests, "41")
    write(log_file(rig, uid), b"a\xff\xc3")
    await rig.until(lambda: follow.text() == "a", "what is whole")
    write(log_file(rig, uid), b"\xb8\xf0\x9f")
    await rig.until(lambda: follow.text() == "aø", "the rest of the character")
    await rig.crash()
    await follow.leave()
    assert all(chunk.stdout for chunk in follow.chunks), "never an empty message (LOG-10)"


async def test_a_follow_ends_when_the_job_is_over_and_the_core_knows_and_not_before(rig: Rig, life: Life) -> None:
    """LOG-8, LOG-13."""
    uid = await running(rig, life, "goodbye=the end")
    follow = Follow(life.requests, "41")
    await rig.quiet()
    rig.updates.down = True
    await life.requests.terminate([ref("41")])
    await rig.until(lambda: not life.supervisor.engine.jobs(), "the job to be over")
    write(log_file(rig, uid), b"a late line\n")
    await rig.until(lambda: "a late line\n" in follow.text(), "the last of the output")
    assert not follow.over
    rig.updates.come_up()
    await follow.end()
    assert follow.text() == "the end\na late line\n"


async def test_a_job_that_is_over_is_replayed(rig: Rig, life: Life) -> None:
    """LOG-7."""
    await life.requests.submit([job("41", "stdout=hello")])
    await rig.until_state("41", JobState.SUCCESS)
    follow = Follow(life.requests, "41")
    await follow.end()
    assert follow.text() == "hello\n"


async def test_the_past_is_limited_and_cut_at_the_start_of_a_line(rig: Rig, life: Life) -> None:
    """LOG-5: the limit of this provider is 1024 bytes."""
    uid = await running(rig, life)
    write(log_file(rig, uid), b"".join(b"line %04d\n" % number for number in range(1000)))
    follow = Follow(life.requests, "41")
    await rig.until(lambda: follow.text().endswith("line 0999\n"), "the past")
    assert follow.text().splitlines()[0] == "line 0898"
    await follow.leave()


async def test_an_unknown_job_ends_at_once_with_nothing(life: Life) -> None:
    """11.4."""
    follow = Follow(life.requests, "no such job")
    await follow.end()
    assert follow.chunks == []


async def test_a_follow_of_a_job_in_the_queue_waits_and_then_delivers(rig: Rig, life: Life) -> None:
    """LOG-6."""
    life.cluster.full = True
    await life.requests.submit([job("41", "stdout=hello")])
    follow = Follow(life.requests, "41")
    await rig.until(lambda: len(rig.told("41")) == 2, "the text that there is no room")
    assert not follow.over
    life.cluster.full = False
    await follow.end()
    assert follow.text() == "hello\n"


async def test_a_follow_of_a_job_that_never_runs_ends_when_the_core_knows(rig: Rig, life: Life) -> None:
    """LOG-6, LOG-13."""
    life.cluster.full = True
    await life.requests.submit([job("41")])
    await rig.until(lambda: len(rig.told("41")) == 2, "the text that there is no room")
    rig.updates.down = True
    follow = Follow(life.requests, "41")
    await life.requests.terminate([ref("41")])
    await rig.until(lambda: not life.supervisor.engine.jobs(), "the job to be over")
    await rig.quiet()
    assert not follow.over
    rig.updates.come_up()
    await follow.end()
    assert follow.chunks == []


async def test_a_follow_of_a_job_that_was_forgotten_ends(rig: Rig, life: Life) -> None:
    """O3: no final state is ever told for it."""
    await running(rig, life)
    follow = Follow(life.requests, "41")
    await rig.quiet()
    await life.requests.submit([job("41", "run=forever", created_at=CREATED + 1)])
    await follow.end()


async def test_a_follow_outlives_a_supervisor_that_is_away(rig: Rig, life: Life) -> None:
    uid = await running(rig, life, "stdout=hello")
    away = Flaky(life.requests)
    follow = Follow(away, "41")
    await rig.until(lambda: away.refused > 2, "some refusals")
    away.there = True
    await rig.until(lambda: follow.text() == "hello\n", "the output")
    assert uid
    await follow.leave()


async def test_a_follower_that_leaves_in_a_flood_leaves_nothing_behind(rig: Rig, life: Life) -> None:
    """LOG-12, LOG-10: nobody takes the pieces that wait."""
    uid = await running(rig, life)
    life.requests._parts = replace(life.supervisor.parts, log_replay_bytes=64 * 1024 * 1024)
    log_file(rig, uid).write_bytes(b"x" * 16 * 1024 * 1024)
    before = asyncio.all_tasks()
    chunks = RelayFollower(life.requests).follow(ref("41"))
    await anext(chunks)
    await rig.until(lambda: chunks.ag_frame.f_locals["work"].chunks.full(), "the queue to be full")
    await asyncio.wait_for(chunks.aclose(), 5)
    await rig.until(lambda: not _following(before), "everything of the follow to be over")


async def test_a_follow_begins_where_the_job_runs_at_last(rig: Rig, life: Life) -> None:
    """LOG-6, SCH-11: its first machine could not start it."""
    for host in rig.machines.hosts.values():
        host.driver.may_prepare.clear()
    rig.machines.hosts["node-a"].driver.failures = 1
    rig.machines.hosts["node-a"].relay = ("127.0.0.1", 1)
    await life.requests.submit([job("41", "run=forever", "stdout=hello")])
    await rig.until_phase("41", "starting")
    follow = Follow(life.requests, "41")
    await rig.quiet()
    rig.machines.hosts["node-a"].backends = frozenset()
    for host in rig.machines.hosts.values():
        host.driver.may_prepare.set()
    await rig.until(lambda: follow.text() == "hello\n", "the output")
    assert (await life.requests.view(ref("41"))).hosts == ("node-b",)
    await follow.leave()


def _following(before: set[asyncio.Task[Any]]) -> list[asyncio.Task[Any]]:
    """Tasks of followers and relays that were not there before."""
    return [task for task in asyncio.all_tasks() - before if "Relay" in task.get_coro().__qualname__]


class Flaky:
    """A supervisor that answers only the first question until it is there again."""

    def __init__(self, service: Any) -> None:
        self._service = service
        self.there = False
        self.refused = 0

    async def view(self, of: Any) -> Any:
        return await self._service.view(of)

    async def watch(self, of: Any, seen: int) -> Any:
        return await self._service.watch(of, seen)

    async def log_sources(self, of: Any) -> Any:
        if not self.there:
            self.refused += 1
            raise NotReady("starting")
        return await self._service.log_sources(of)
