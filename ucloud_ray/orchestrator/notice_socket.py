"""The WebSocket at `/api/accounting/notifications`: what wallets a provider's users have, and which are locked
(control-api 9).

The token is in the first frame; a connection without a good one is closed without a word. Then come the wallets that
changed since the time that the client names, and from there on every wallet whose quota or lock changes. How much was
used is told with that, and not by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from functools import partial

from sqlalchemy import Connection
from starlette.websockets import WebSocket, WebSocketDisconnect

from ucloud_ray.db import Database
from ucloud_ray.db.errors import StoreError
from ucloud_ray.orchestrator import notice_records, wallet_rows
from ucloud_ray.orchestrator.errors import ApiError
from ucloud_ray.orchestrator.notice_encoder import NoticeEncoder
from ucloud_ray.orchestrator.notice_records import BadFrame, Login
from ucloud_ray.orchestrator.products import ProductBook
from ucloud_ray.orchestrator.tokens import Gate
from ucloud_ray.orchestrator.wallet_feed import Listener, WalletFeed

LOGIN_SECONDS = 10.0


class Notices:
    def __init__(
        self, database: Database, products: ProductBook, feed: WalletFeed, gate: Gate, now: Callable[[], int]
    ) -> None:
        self._database = database
        self._products = products
        self._feed = feed
        self._gate = gate
        self._now = now

    async def serve(self, socket: WebSocket) -> None:
        """One connection; returns when one of the two has left."""
        await socket.accept()
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                login = _login(await socket.receive_bytes())
            provider = self._gate.provider(login.token).id
            with self._feed.listening() as listener:
                listener.hear(await self._changed_since(provider, login.since))
                encoder = NoticeEncoder(retired=bool(login.flags & notice_records.RETIRED_USAGE))
                await _either(
                    self._tell(socket, provider, listener, encoder), self._answer_requests(socket, provider, listener)
                )
        except (WebSocketDisconnect, RuntimeError):
            return  # the client has left, perhaps in the middle of what we sent
        except (BadFrame, ApiError, StoreError, TimeoutError, KeyError):
            with contextlib.suppress(RuntimeError):  # it has left by itself
                await socket.close()

    async def _tell(self, socket: WebSocket, provider: str, listener: Listener, encoder: NoticeEncoder) -> None:
        while True:
            wallets = await self._database.read(partial(wallet_rows.by_id, ids=await listener.next()))
            named = [(one, self._products.category(provider, one.category)) for one in wallets]
            shown = [(one, category) for one, category in named if one.provider == provider and category is not None]
            if frame := encoder.frame(shown, self._now()):
                await socket.send_bytes(frame)

    async def _answer_requests(self, socket: WebSocket, provider: str, listener: Listener) -> None:
        while True:
            for request in notice_records.requests(await socket.receive_bytes()):
                if isinstance(request, Login):
                    raise BadFrame("the access token was given before")
                listener.hear(await self._of_user(provider, request.username))

    async def _changed_since(self, provider: str, since: int) -> list[int]:
        return await self._database.read(
            lambda connection: wallet_rows.ids_of_provider(connection, provider, max(since, 0))
        )

    async def _of_user(self, provider: str, username: str) -> list[int]:
        """Nobody is a member of a project here, so these are the user's own."""

        def work(connection: Connection) -> list[int]:
            owner = wallet_rows.Owner(wallet_rows.USER, username.replace("\0", ""))
            return [one.id for one in wallet_rows.of_owner(connection, owner) if one.provider == provider]

        return await self._database.read(work)


def _login(frame: bytes) -> Login:
    first = next(notice_records.requests(frame), None)
    if not isinstance(first, Login):
        raise BadFrame("the first frame must bring the access token")
    return first


async def _either(*works: Coroutine[None, None, None]) -> None:
    """Runs them until the first ends, which is by an error: raises that."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
