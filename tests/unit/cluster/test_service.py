"""Orders of the front end that meet a supervisor which goes away."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any

import pytest
from ray.exceptions import ActorUnavailableError

from ucloud_ray.cluster.service import ActorService
from ucloud_ray.control.errors import NotReady, OutcomeUnknown
from ucloud_ray.domain.ids import JobId, JobRef


@dataclass
class Method:
    answers: list[Exception | None]
    asked: int = 0

    def remote(self, *_: Any) -> Awaitable[None]:
        self.asked += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

        async def come() -> None:
            if answer is not None:
                raise answer

        return come()


@dataclass
class Actor:
    support: Method = field(default_factory=lambda: Method([None]))
    extend: Method = field(default_factory=lambda: Method([None]))


def gone() -> Exception:
    return ActorUnavailableError("restarting", None)


ITEMS = [(JobRef(JobId("41"), None), 3_600_000)]


async def test_time8_an_extension_whose_answer_is_lost_is_neither_repeated_nor_told_to_be_repeated() -> None:
    """Provider-api 4: the Core repeats after 503, and time would be added twice."""
    actor = Actor(extend=Method([gone()]))
    with pytest.raises(OutcomeUnknown, match="not known whether") as refused:
        await ActorService(actor).extend(ITEMS)
    assert refused.value.status == 504
    assert actor.extend.asked == 1


async def test_an_extension_waits_for_a_supervisor_that_is_being_restarted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ucloud_ray.cluster.service.PAUSE_SECONDS", 0.001)
    actor = Actor(support=Method([gone(), NotReady("starting"), None]))
    await ActorService(actor).extend(ITEMS)
    assert (actor.support.asked, actor.extend.asked) == (3, 1)


async def test_an_extension_that_was_not_sent_may_be_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ucloud_ray.cluster.service.CALL_SECONDS", 0.01)
    actor = Actor(support=Method([NotReady("starting")]))
    with pytest.raises(NotReady):
        await ActorService(actor).extend(ITEMS)
    assert actor.extend.asked == 0
