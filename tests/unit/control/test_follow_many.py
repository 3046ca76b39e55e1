"""Many followers, slow ones, lost connections and a writer at full speed: nobody misses a line or sees one twice
(LOG-5, LOG-10 to LOG-12, LOG-16). Real files, real TCP.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.terminals import NO_TERMINALS
from tests.unit.control.rig import Life, Rig, job, ref
from tests.unit.control.test_follow import Follow, log_file, running, write
from ucloud_ray.control import log_follow, relay_reader
from ucloud_ray.control.errors import NotFound, NotReady
from ucloud_ray.control.log_follow import LEAST_CHUNKS, MOST_CHUNKS, RelayFollower
from ucloud_ray.control.log_parts import RelayParts
from ucloud_ray.control.relay import Relay
from ucloud_ray.control.service import LogChunk, UsageChunk
from ucloud_ray.control.usage_file import Sample, line
from ucloud_ray.domain.job import JobState

KEY = b"k" * 32


class Relays:
    """The relay of all machines, which can be ended and started again, on another port then."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._relay: Relay | None = None

    async def start(self) -> None:
        self._relay = Relay(self._rig.folder / "logs", KEY, NO_TERMINALS)
        port = await self._relay.start("127.0.0.1")
        for host in self._rig.machines.hosts.values():
            host.relay = ("127.0.0.1", port)

    async def kill(self) -> None:
        """As when the node agent dies: every connection breaks."""
        assert self._relay is not None
        await self._relay.close()


@pytest.fixture
async def relays(rig: Rig) -> AsyncIterator[Relays]:
    made = Relays(rig)
    await made.start()
    yield made
    await made.kill()


@pytest.fixture
async def life(rig: Rig, relays: Relays, monkeypatch: pytest.MonkeyPatch) -> Life:
    monkeypatch.setattr(log_follow, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(relay_reader, "RETRY_SECONDS", 0.01)
    life = await rig.start()
    # Much is to be replayed, so that followers are behind the writer.
    life.requests._parts = replace(life.supervisor.parts, log_replay_bytes=200_000)
    return life


class Writer:
    """Appends numbered lines of odd lengths from a thread, cut anywhere, as fast as it can."""

    def __init__(self, path: Path, lines: int) -> None:
        self.text = "".join(f"{number} {'æ' * (number % 7)}\n" for number in range(lines))
        self._path = path
        self._thread = threading.Thread(target=self._write)
        self._thread.start()

    def _write(self) -> None:
        data, at, dice = self.text.encode(), 0, random.Random(1)
        file = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        while at < len(data):
            size = dice.randrange(1, 2000)
            os.write(file, data[at : at + size])
            at += size
        os.close(file)

    async def join(self) -> None:
        await asyncio.to_thread(self._thread.join)


async def test_followers_that_join_at_any_moment_see_every_line_from_there_on_once(
    rig: Rig, life: Life, relays: Relays
) -> None:
    """LOG-5, LOG-11: fifty of them, while the relay dies again and again."""
    uid = await running(rig, life)
    writer = Writer(log_file(rig, uid), 200_000)
    follows, dice = [], random.Random(2)
    for number in range(50):
        follows.append(Follow(life.requests, "41"))
        await asyncio.sleep(dice.random() / 100)
        if number % 15 == 14:
            await relays.kill()
            await relays.start()
    await writer.join()
    await life.requests.terminate([ref("41")])
    await asyncio.gather(*(follow.end() for follow in follows))
    for follow in follows:
        seen = follow.text()
        assert writer.text.endswith(seen), "no gap, nothing twice"
        assert seen == writer.text or ("\n" + seen) in writer.text[-len(seen) - 1 :], "from the start of a line"


async def test_a_follower_who_left_goes_on_at_his_offset(rig: Rig, life: Life) -> None:
    """LOG-5: as after a restart of the orchestrator, in the middle of a character too."""
    uid = await running(rig, life)
    text = "".join(f"{number} æøå😀\n" for number in range(40_000))
    write(log_file(rig, uid), text.encode()[:-3])
    life.requests._parts = replace(life.supervisor.parts, log_replay_bytes=10**7)
    seen, offset = "", 0
    while len(seen) < len(text) - 2:
        begin = {(0, "stdout"): offset} if seen else {}
        async with contextlib.aclosing(RelayFollower(life.requests).follow(ref("41"), begin)) as items:
            async for item in items:
                assert isinstance(item, LogChunk)
                seen, offset = seen + (item.stdout or ""), item.offset
                if len(seen) % 3 == 0 or len(seen) >= len(text) - 2:
                    break
    write(log_file(rig, uid), text.encode()[-3:])
    last = await _first(RelayFollower(life.requests).follow(ref("41"), {(0, "stdout"): offset}))
    assert seen + (last.stdout or "") == text


async def test_a_slow_follower_slows_nobody_and_holds_little_memory(rig: Rig, life: Life) -> None:
    """LOG-10, LOG-11."""
    uid = await running(rig, life)
    life.requests._parts = replace(life.supervisor.parts, log_replay_bytes=10**8)
    log_file(rig, uid).write_bytes(b"0123456789abcde\n" * 2_000_000)
    slow = RelayFollower(life.requests).follow(ref("41"))
    await anext(slow)
    queue = slow.ag_frame.f_locals["work"].chunks  # type: ignore[union-attr]  # it is suspended, so it has a frame
    quick = Follow(life.requests, "41")
    await rig.until(lambda: sum(len(chunk.stdout or "") for chunk in quick.chunks) == 32_000_000, "all of it")
    assert queue.qsize() <= MOST_CHUNKS
    rest = [chunk async for chunk in _until(slow, 32_000_000 - 65_532)]
    assert sum(len(chunk.stdout or "") for chunk in rest) == 32_000_000 - 65_532, "nothing was dropped meanwhile"
    await slow.aclose()
    await quick.leave()


async def test_the_more_followers_read_nothing_the_less_is_read_ahead_for_each(rig: Rig, life: Life) -> None:
    """LOG-10: memory has an end for all of them together."""
    uid = await running(rig, life)
    log_file(rig, uid).write_bytes(b"0123456789abcde\n" * 100_000)
    follower = RelayFollower(life.requests, all_bytes=12 * 64 * 1024)
    stuck = [follower.follow(ref("41")) for _ in range(4)]
    for one in stuck:
        await anext(one)
    room = [one.ag_frame.f_locals["work"].chunks.maxsize for one in stuck]  # type: ignore[attr-defined]
    assert room == [12, 6, LEAST_CHUNKS, LEAST_CHUNKS]
    for one in stuck:
        await one.aclose()  # type: ignore[attr-defined]
    late = follower.follow(ref("41"))
    await anext(late)
    assert late.ag_frame.f_locals["work"].chunks.maxsize == 12, "those who left hold nothing"  # type: ignore[attr-defined]
    await late.aclose()  # type: ignore[attr-defined]


async def test_a_follower_sees_a_log_that_was_truncated_from_its_new_start(rig: Rig, life: Life) -> None:
    """LOG-16."""
    uid = await running(rig, life)
    follow = Follow(life.requests, "41")
    write(log_file(rig, uid), b"before\n")
    await rig.until(lambda: follow.text() == "before\n", "the first line")
    os.truncate(log_file(rig, uid), 0)
    write(log_file(rig, uid), b"after, and longer\n")
    await rig.until(lambda: follow.text() == "before\nafter, and longer\n", "the second line")
    await follow.leave()


async def test_a_line_of_a_hundred_megabytes_comes_in_pieces_of_64_kib(rig: Rig, life: Life) -> None:
    """LOG-10."""
    await running(rig, life)
    life.requests._parts = replace(life.supervisor.parts, log_replay_bytes=10**9)
    view = await life.requests.view(ref("41"))
    with log_file(rig, view.uid).open("wb") as file:
        file.truncate(0)
        for _ in range(100):
            file.write(b"x" * 1_000_000)
    received = largest = 0
    async for chunk in _until(RelayFollower(life.requests).follow(ref("41")), 100_000_000):
        received += len(chunk.stdout or "")
        largest = max(largest, len(chunk.stdout or ""))
    assert received == 100_000_000
    assert largest <= 64 * 1024


# ------------------------------------------------------------------------------------------------- parts and usage


async def test_a_part_of_a_log_is_read_from_the_machine_that_has_it(rig: Rig, life: Life) -> None:
    uid = await running(rig, life, replicas=2)
    write(log_file(rig, uid, "stderr", 1), b"one\ntwo\n")
    parts = RelayParts(life.requests)
    part = await parts.read(ref("41"), (1, "stderr"), 4, 2)
    assert (part.start, part.data, part.next_offset, part.total) == (4, b"tw", 6, 8)
    assert (await parts.read(ref("41"), (0, "stderr"), 4, 2)).data == b""
    with pytest.raises(NotFound, match="2 node"):
        await parts.read(ref("41"), (2, "stdout"), 0, 1)
    with pytest.raises(NotFound):
        await parts.read(ref("42"), (0, "stdout"), 0, 1)


async def test_a_job_that_waits_has_neither_output_nor_use(life: Life) -> None:
    life.cluster.full = True
    await life.requests.submit([job("41")])
    parts = RelayParts(life.requests)
    assert (await parts.read(ref("41"), (0, "stdout"), 0, 10)).data == b""
    assert await parts.usage(ref("41")) == {}


async def test_a_machine_that_does_not_answer_is_not_ready(rig: Rig, life: Life, relays: Relays) -> None:
    await running(rig, life)
    await relays.kill()
    with pytest.raises(NotReady, match="again"):
        await RelayParts(life.requests).read(ref("41"), (0, "stdout"), 0, 10)
    assert await RelayParts(life.requests).usage(ref("41")) == {}


SAMPLES = [Sample(5000, 1, 2, 3), Sample(10_000, 2, 3, 4, 5, 6)]


async def test_samples_come_in_the_follow_of_who_wants_them_and_after_the_end(rig: Rig, life: Life) -> None:
    """W15: the past, then what is new, also of a job that is over."""
    uid = await running(rig, life)
    usage = log_file(rig, uid).with_name("usage-0.csv")
    usage.write_text(line(SAMPLES[0]))
    follower = RelayFollower(life.requests)
    items = follower.follow(ref("41"), with_usage=True)
    first = await _first_usage(items)
    assert first == UsageChunk(0, (SAMPLES[0],), reset=True)
    write(usage, line(SAMPLES[1]).encode())
    assert await _first_usage(items) == UsageChunk(0, (SAMPLES[1],))
    await items.aclose()  # type: ignore[attr-defined]  # a generator
    await life.requests.terminate([ref("41")])
    await rig.until_state("41", JobState.SUCCESS)
    again = [item async for item in follower.follow(ref("41"), with_usage=True)]
    assert [item for item in again if isinstance(item, UsageChunk)] == [UsageChunk(0, tuple(SAMPLES), reset=True)]
    without = [item async for item in follower.follow(ref("41"))]
    assert not any(isinstance(item, UsageChunk) for item in without)
    assert await RelayParts(life.requests).usage(ref("41")) == {0: SAMPLES}


async def _first(items: Any) -> LogChunk:
    async with contextlib.aclosing(items):
        item = await asyncio.wait_for(anext(items), 5)
    assert isinstance(item, LogChunk)
    return item


async def _first_usage(items: Any) -> UsageChunk:
    while True:
        item = await asyncio.wait_for(anext(items), 5)
        if isinstance(item, UsageChunk):
            return item


async def _until(items: Any, characters: int) -> AsyncIterator[LogChunk]:
    while characters > 0:
        chunk = await asyncio.wait_for(anext(items), 10)
        characters -= len(chunk.stdout or "")
        yield chunk
