"""The crash points see what they are there for: each rule of ours is broken on purpose, and one of them finds it.

The rules are those of D2 and D3: nothing is done before its decision is on disk, what is told shares its transaction,
what is outstanding is done again, and nothing is taken off the disk before the Core has it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.unit.crashes.fuse import Fault, Fuse
from tests.unit.crashes.stories import STORIES
from tests.unit.crashes.test_crash_points import Stage, effects_of, on_stage, quick
from ucloud_ray.control import admission, charger
from ucloud_ray.control.engine import Engine
from ucloud_ray.control.ports import OutboxRow
from ucloud_ray.core_client import Publisher
from ucloud_ray.domain import lifecycle
from ucloud_ray.domain.effects import CleanUp, Effect, StartReplica, StopReplica, WatchReplica
from ucloud_ray.domain.job import Job

__all__ = ["quick"]

Break = Callable[[pytest.MonkeyPatch], None]


def _effects_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    async def turn(self: Engine, live: Any, events: Sequence[Any]) -> None:
        job, effects = self._decide(live.job, events)
        if job is live.job and not effects:
            return
        live.job = job
        self._act(job, effects)
        await asyncio.sleep(0.001)  # they get ahead of the disk
        rows = await self._commit(job, effects)
        if job.final:
            self._drop(job)
        self._updates.submit(rows)

    patch.setattr(Engine, "_turn", turn)


def _updates_in_a_transaction_of_their_own(patch: pytest.MonkeyPatch) -> None:
    commit = Engine._commit

    async def apart(self: Engine, job: Job, effects: tuple[Effect, ...]) -> list[Any]:
        silent = tuple(effect for effect in effects if type(effect).__name__ != "Announce")
        await commit(self, job, silent)
        told = [effect for effect in effects if type(effect).__name__ == "Announce"]
        return [await self._store.enqueue(job.id, one, self._clock.now(), job.uid) for one in told]

    patch.setattr(Engine, "_commit", apart)


def _off_the_disk_before_the_core_has_it(patch: pytest.MonkeyPatch) -> None:
    submit = Publisher.submit

    def hasty(self: Publisher, rows: Sequence[OutboxRow]) -> None:
        submit(self, rows)
        for row in rows:
            self._acknowledger.put(row.seq, None)

    patch.setattr(Publisher, "submit", hasty)


def _not_outstanding(kind: type[Effect]) -> Break:
    outstanding = lifecycle.outstanding

    def mutate(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(
            lifecycle, "outstanding", lambda job: tuple(e for e in outstanding(job) if not isinstance(e, kind))
        )

    return mutate


def _charges_off_the_disk_first(patch: pytest.MonkeyPatch) -> None:
    send = charger.Charger._send

    async def hasty(self: charger.Charger, rows: Sequence[Any]) -> None:
        await self._settle(rows)
        await send(self, rows)

    patch.setattr(charger.Charger, "_send", hasty)


def _a_repeated_create_is_another_job(patch: pytest.MonkeyPatch) -> None:
    async def unknown(self: admission.Admission, new: Any) -> None:
        return None

    patch.setattr(admission.Admission, "_known", unknown)


MUTANTS: dict[str, tuple[Break, str]] = {
    "effects before the commit": (_effects_before_the_commit, "a job that ends"),
    "updates in a transaction of their own": (_updates_in_a_transaction_of_their_own, "a job that ends"),
    "updates off the disk before the Core has them": (_off_the_disk_before_the_core_has_it, "a job that ends"),
    "starts are not outstanding": (_not_outstanding(StartReplica), "a job that ends"),
    "nobody waits for what runs": (_not_outstanding(WatchReplica), "a job that ends"),
    "stops are not outstanding": (_not_outstanding(StopReplica), "cancelled while it runs"),
    "clean-ups are not outstanding": (_not_outstanding(CleanUp), "a job that ends"),
    "charges off the disk first": (_charges_off_the_disk_first, "a job that ends"),
    "a repeated create is another job": (_a_repeated_create_is_another_job, "a job that ends"),
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_rule_that_is_broken_is_noticed_at_some_effect(
    mutant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutate, name = MUTANTS[mutant]
    story = next(one for one in STORIES if one.name == name)

    async def show(stage: Stage) -> str | None:
        effects = await effects_of(stage, story)
        mutate(monkeypatch)
        assert await stage.play(story) is None, "it is noticed without a crash, too"
        for at, fault in product(range(1, len(effects) + 1), (Fault.CRASH_AFTER, Fault.HANG_BEFORE)):
            if (found := await stage.play(story, Fuse(at, fault))) is not None:
                return found
        return None

    assert on_stage(tmp_path, show) is not None, "nothing was noticed"
