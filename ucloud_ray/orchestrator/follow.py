"""`jobs.follow`: one user follows one job (end-user-api 7, W19). The socket around it is `follow_socket`.

first message       initialJob and newStatus
then                updates and newStatus when the job changes, log entries as the provider sends them
last                the final state, after all output: clients stop reading at a final state
ends                the job is final and the provider's stream is over, or has been silent for a while
next life           a job that is started again is SUSPENDED in between; its output goes on where it ended
ends with `Lost`    the provider's stream broke while the job goes on; a client that comes again gets the replay
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection

from ucloud_ray.db import Database
from ucloud_ray.orchestrator import access, job_rows
from ucloud_ray.orchestrator.catalogue import Catalogue
from ucloud_ray.orchestrator.errors import job_not_found
from ucloud_ray.orchestrator.hub import Behind, Hub, News
from ucloud_ray.orchestrator.items import FollowPayload
from ucloud_ray.orchestrator.job_query import EVERYTHING
from ucloud_ray.orchestrator.job_record import JobRecord
from ucloud_ray.orchestrator.log_pump import End, Output, pump
from ucloud_ray.orchestrator.products import ProductBook
from ucloud_ray.orchestrator.provider_client import ProviderClient
from ucloud_ray.orchestrator.room import FollowRoom
from ucloud_ray.orchestrator.tokens import User
from ucloud_ray.orchestrator.update_rules import RUNNING
from ucloud_ray.orchestrator.view import JobView
from ucloud_ray.wire.follow import begins

Send = Callable[[dict[str, Any]], Awaitable[None]]
LAST_PAYLOAD: dict[str, Any] = {"updates": [], "log": [], "newStatus": None, "initialJob": None}


class Lost(Exception):
    """The provider's stream of output broke."""


class Following:
    def __init__(
        self,
        database: Database,
        hub: Hub,
        view: JobView,
        catalogue: Catalogue,
        products: ProductBook,
        provider: ProviderClient,
        room: FollowRoom,
        drain_seconds: float,
    ) -> None:
        self._database = database
        self._hub = hub
        self._view = view
        self._catalogue = catalogue
        self._products = products
        self._provider = provider
        self._room = room
        self._drain_seconds = drain_seconds

    async def follow(self, user: User, wanted: FollowPayload, send: Send) -> None:
        """Sends message payloads until the end. Raises `TooMany` or `NotFound` before the first one, or `Lost`."""
        with self._room.taken():
            await self._follow(user, wanted, send)

    async def _follow(self, user: User, wanted: FollowPayload, send: Send) -> None:
        reached, _ = await self._read(user, wanted.id)
        with self._hub.subscribed(reached.record.id) as changes:
            reached, updates = await self._read(user, wanted.id)
            record = reached.record
            initial = self._view.job(record, EVERYTHING, reached.myself, updates, reached.grants)
            await send({"updates": [], "log": [], "newStatus": initial["status"], "initialJob": initial})
            await _Stream(self, user, record, wanted, changes, send).run()

    def status(self, record: JobRecord) -> dict[str, Any]:
        return self._view.status(record)

    def has_logs(self, record: JobRecord) -> bool:
        """Without the flag the Core opens no socket for output (provider-api 6.2)."""
        entry = self._catalogue.find(record.application_name, record.application_version)
        support = self._products.support(record.product_key)
        return bool(entry and support and support.has(entry.backend, "logs"))

    def output(self, record: JobRecord, wanted: FollowPayload) -> Output:
        return Output(self._view.for_provider(record), dict(begins(wanted.resume)), wanted.channels)

    async def pump(self, user: User, output: Output, send: Send) -> End:
        return await pump(self._provider, user.name, output, send)

    @property
    def drain_seconds(self) -> float:
        return self._drain_seconds

    async def _read(self, user: User, job_id: str) -> tuple[access.Reached, list[bytes]]:
        def work(connection: Connection) -> tuple[access.Reached, list[bytes]]:
            reached = access.reach(connection, user, job_id, access.READ)
            number = reached.record.id
            return reached, job_rows.updates_of(connection, [number]).get(number, [])

        return await self._database.read(work)


class _Stream:
    """The part after the first message."""

    def __init__(
        self,
        owner: Following,
        user: User,
        record: JobRecord,
        wanted: FollowPayload,
        changes: asyncio.Queue[News],
        send: Send,
    ) -> None:
        self._owner = owner
        self._user = user
        self._record = record
        self._wanted = wanted
        self._changes = changes
        self._send = send
        self._told = owner.output(record, wanted)
        self._runs_again = False
        """A further life has begun, and the output of the one before may have ended or still have to."""
        self._quiet_since = time.monotonic()
        self._untold: list[dict[str, Any]] = []
        """Messages from the final state on, held back while there may be output."""

    async def run(self) -> None:
        output = asyncio.create_task(self._output(), name=f"output-{self._record.id}")
        change = asyncio.create_task(self._changes.get())
        try:
            while not self._is_over(output):
                await asyncio.wait({change} | _pending(output), timeout=self._patience(output), return_when=_FIRST)
                if change.done():
                    await self._tell(change.result())
                    change = asyncio.create_task(self._changes.get())
                elif output.done() and output.result() is End.LOST and not self._record.facts.is_final:
                    await self._final_or_lost(change)
                if self._runs_again and output.done() and output.result() is End.ENDED:
                    output = self._next_life()
        finally:
            change.cancel()
            output.cancel()
            await asyncio.gather(change, output, return_exceptions=True)
        for payload in self._untold:
            await self._send(payload)

    def _is_over(self, output: asyncio.Task[End]) -> bool:
        return self._record.facts.is_final and (output.done() or self._patience(output) == 0)

    def _patience(self, output: asyncio.Task[End]) -> float | None:
        """Seconds until we give up on a provider that keeps the stream of a final job open and says nothing."""
        if not self._record.facts.is_final or output.done():
            return None
        return max(0.0, self._quiet_since + self._owner.drain_seconds - time.monotonic())

    def _next_life(self) -> asyncio.Task[End]:
        if not self._told.complete:
            raise Lost  # everything would come again; whoever follows decides
        self._runs_again = False
        return asyncio.create_task(self._output(), name=f"output-{self._record.id}")

    async def _final_or_lost(self, change: asyncio.Task[News]) -> None:
        # The end of the output and the final update race; whoever saw only the first waits for the second.
        await asyncio.wait({change}, timeout=self._owner.drain_seconds)
        if not change.done():
            raise Lost

    async def _output(self) -> End:
        if not self._owner.has_logs(self._record):
            return End.ENDED
        return await self._owner.pump(self._user, self._told, self._entry)

    async def _entry(self, entry: dict[str, Any]) -> None:
        """Offsets and channels are for those who asked for them: the documented client does not expect them."""
        self._quiet_since = time.monotonic()
        if entry.get("channel") and not self._wanted.channels:
            return
        if self._wanted.resume is None:
            entry = {name: value for name, value in entry.items() if name != "offset"}
        await self._send({"updates": [], "log": [entry], "newStatus": None})

    async def _tell(self, changed: News) -> None:
        """Raises `NotFound` when the job was deleted, `Lost` when the follower is behind by too much."""
        if changed is None:
            raise job_not_found(str(self._record.id))
        if isinstance(changed, Behind):
            raise Lost
        facts, before = changed.facts, self._record.facts
        if facts.update_count <= before.update_count:
            return  # it was in the first message
        self._record = replace(self._record, facts=facts)
        self._runs_again |= facts.state == RUNNING != before.state and before.started_at is not None
        self._quiet_since = time.monotonic()
        payload = {"updates": list(changed.updates), "log": [], "newStatus": self._owner.status(self._record)}
        if facts.is_final:
            self._untold.append(payload)
        else:
            await self._send(payload)


_FIRST = asyncio.FIRST_COMPLETED


def _pending(output: asyncio.Task[End]) -> set[asyncio.Task[Any]]:
    return set() if output.done() else {output}
