"""Listens to what the Core tells of wallets, so that jobs of a locked one end at once (ACC-16, control-api 9).

Of use beside charging, not in its place: what a charge is answered says the same, later. So trouble here is borne: the
connection is made again after some seconds, and seldom where the Core has no such socket (late K and before).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus, WebSocketException

from ucloud_ray.core_client.client import CoreClient
from ucloud_ray.core_client.errors import CoreError
from ucloud_ray.core_client.notices import BadNotice, NoticeReader, WalletNotice, login

log = structlog.get_logger(__name__)

AGAIN_SECONDS = 5.0
SELDOM_SECONDS = 300.0
MOST_BYTES = 64 * 1024 * 1024
"""Of one frame: the first one holds every wallet."""


class NoticeStream:
    def __init__(self, core: CoreClient, url: str, told: Callable[[WalletNotice], None]) -> None:
        """`url`: of the Core. `told` hears of every wallet that changed, and of all when the provider starts."""
        self._core = core
        self._url = f"ws{url.removeprefix('http').rstrip('/')}/api/accounting/notifications"
        self._told = told
        self._since = 0

    async def run(self) -> None:
        """For ever; ends only by cancellation."""
        while True:
            pause = AGAIN_SECONDS
            try:
                await self._listen()
            except InvalidStatus as refused:
                pause = SELDOM_SECONDS
                log.info("UCloud/Core does not tell of wallets", status=refused.response.status_code)
            except (CoreError, BadNotice, WebSocketException, OSError, TimeoutError) as problem:
                log.info("UCloud/Core does not tell of wallets at the moment", problem=str(problem))
            await asyncio.sleep(pause)

    async def _listen(self) -> None:
        """One connection to its end."""
        token = await self._core.access_token()
        async with connect(self._url, max_size=MOST_BYTES, compression=None) as socket:
            await socket.send(login(token, self._since))
            reader = NoticeReader()
            async for frame in socket:
                if isinstance(frame, bytes):
                    self._tell(reader.wallets(frame))

    def _tell(self, wallets: list[WalletNotice]) -> None:
        for wallet in wallets:
            self._told(wallet)
            self._since = max(self._since, wallet.updated_at)
