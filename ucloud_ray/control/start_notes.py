"""Tells users what a start that takes long is doing: an image that is fetched, a registry that is away (ENV-54).

Called by the performer around each start. A start that is quick costs a timer and nothing else. Ranks on one machine
wait for the same, so that one of them speaks for all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from runtimes.types import TaskId
from ucloud_ray.control.ports import Cluster
from ucloud_ray.domain import texts
from ucloud_ray.domain.effects import StartReplica
from ucloud_ray.domain.events import Event, Noted
from ucloud_ray.domain.ids import JobUid
from ucloud_ray.domain.job import Job

GROWTH = 1.2
"""Of the pause: whoever waits for an hour does not want to read a thousand lines."""

Place = tuple[JobUid, int, str]
"""A job, its incarnation, a machine."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """In seconds."""

    after: float = 2.0
    every: float = 3.0
    at_most: float = 15.0


@dataclass(slots=True)
class Conversation:
    """What was told of one place."""

    members: int = 0
    """Ranks whose start takes long there."""
    speaker: object = None
    said: str = ""


class StartNotes:
    def __init__(self, cluster: Cluster, post: Callable[[JobUid, Event], None], rhythm: Rhythm) -> None:
        self._cluster = cluster
        self._post = post
        self._rhythm = rhythm
        self._conversations: dict[Place, Conversation] = {}

    @contextmanager
    def about(self, job: Job, effect: StartReplica, id: TaskId) -> Iterator[None]:
        """While the body runs."""
        telling: list[asyncio.Task[None]] = []

        def begin() -> None:
            telling.append(asyncio.create_task(self._tell(job, effect, id), name=f"notes {id.name}"))

        timer = asyncio.get_running_loop().call_later(self._rhythm.after, begin)
        try:
            yield
        finally:
            timer.cancel()
            for task in telling:
                task.cancel()

    async def _tell(self, job: Job, effect: StartReplica, id: TaskId) -> None:
        place = (job.uid, effect.incarnation, effect.host)
        conversation = self._conversations.setdefault(place, Conversation())
        conversation.members += 1
        pause = self._rhythm.every
        try:
            while True:
                conversation.speaker = conversation.speaker or id
                if conversation.speaker == id:
                    await self._speak(job, effect, id, conversation)
                await asyncio.sleep(pause)
                pause = min(pause * GROWTH, self._rhythm.at_most)
        finally:
            self._leave(place, conversation, id)

    async def _speak(self, job: Job, effect: StartReplica, id: TaskId, conversation: Conversation) -> None:
        progress = await self._cluster.progress(effect.host, job.spec.backend, id)
        if progress is None:
            return
        text = texts.starting(progress.doing, effect.host, progress.detail)
        if text != conversation.said:
            conversation.said = text
            self._post(job.uid, Noted(text, effect.incarnation))

    def _leave(self, place: Place, conversation: Conversation, id: TaskId) -> None:
        """Another one goes on speaking, and does not repeat what was said."""
        conversation.members -= 1
        if conversation.speaker == id:
            conversation.speaker = None
        if not conversation.members:
            self._conversations.pop(place, None)
