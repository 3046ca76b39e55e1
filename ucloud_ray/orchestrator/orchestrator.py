"""The orchestrator as one object: its parts, wired, and its life from `open` to `close`. No HTTP of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable

import httpx

from ucloud_ray.db import Database, open_database
from ucloud_ray.orchestrator import job_rows
from ucloud_ray.orchestrator.attaching import Attaching
from ucloud_ray.orchestrator.catalogue import Catalogue
from ucloud_ray.orchestrator.charging import Charging
from ucloud_ray.orchestrator.control import Control
from ucloud_ray.orchestrator.drives import SharedDrives
from ucloud_ray.orchestrator.dynamic_parameters import DynamicParameters
from ucloud_ray.orchestrator.files import Files
from ucloud_ray.orchestrator.follow import Following
from ucloud_ray.orchestrator.hub import Hub
from ucloud_ray.orchestrator.job_actions import JobActions
from ucloud_ray.orchestrator.job_creation import JobCreation
from ucloud_ray.orchestrator.job_output import JobOutput
from ucloud_ray.orchestrator.job_reading import JobReading
from ucloud_ray.orchestrator.job_removal import JobRemoval
from ucloud_ray.orchestrator.job_settings import JobSettingsBook
from ucloud_ray.orchestrator.keys import ProviderKeys, UserKey
from ucloud_ray.orchestrator.ledger import Ledger
from ucloud_ray.orchestrator.notice_socket import Notices
from ucloud_ray.orchestrator.products import ProductBook
from ucloud_ray.orchestrator.projects import Projects
from ucloud_ray.orchestrator.provider_client import CallSettings, ProviderClient
from ucloud_ray.orchestrator.registration import Registration
from ucloud_ray.orchestrator.restarts import Restarts
from ucloud_ray.orchestrator.room import FollowRoom
from ucloud_ray.orchestrator.settings import OrchestratorSettings
from ucloud_ray.orchestrator.support import SupportLoop
from ucloud_ray.orchestrator.tokens import Gate, ServiceToken
from ucloud_ray.orchestrator.update_rules import RestartPace
from ucloud_ray.orchestrator.users import Users
from ucloud_ray.orchestrator.view import JobView
from ucloud_ray.orchestrator.wallet_feed import WalletFeed
from ucloud_ray.orchestrator.wallets import Wallets
from ucloud_ray.settings import OrchestratorOptions

MIGRATIONS = "ucloud_ray.orchestrator.migrations"
MAX_CONNECTIONS = 32
MAX_IDLE_CONNECTIONS = 8
"""The pool looks at every idle connection before each request."""
_log = logging.getLogger(__name__)


def now_millis() -> int:
    return time.time_ns() // 1_000_000


class Orchestrator:
    """Made by `open`."""

    def __init__(
        self,
        settings: OrchestratorSettings,
        database: Database,
        http: httpx.AsyncClient,
        now: Callable[[], int] = now_millis,
    ) -> None:
        self.settings = settings
        self.keys = ProviderKeys(settings.data_dir, settings.provider_id)
        user_key = UserKey(settings.data_dir)
        self.gate = Gate(user_key, {settings.provider_id: self.keys})
        self.users = Users(database, user_key, self.gate.blocked, now)
        self.projects = Projects(database, self.gate.directory, now)
        self.catalogue = Catalogue(database, now)
        self.products = ProductBook(settings.products, settings.provider_id)
        calls = CallSettings(
            settings.provider_id,
            settings.provider_url.rstrip("/"),
            settings.call_timeout_seconds,
            settings.retry_pause_seconds,
        )
        provider = ProviderClient(http, calls, ServiceToken(self.keys))
        view = JobView(self.catalogue, self.products)
        hub = Hub()
        domain = settings.provider_domain
        self.support = SupportLoop(provider, self.products, settings, now)
        feed, books = WalletFeed(), lambda connection: Ledger(connection, settings.options.initial_grant, now())
        self.wallets = Wallets(database, self.products, books, settings.options.initial_grant, feed, now)
        self.charging = Charging(database, self.products, books, feed, now)
        self.notices = Notices(database, self.products, feed, self.gate, now)
        self.drives = SharedDrives(database, settings.drives, settings.automatic_homes, provider, now)
        self.files = Files(self.drives, provider)
        self.creation = JobCreation(
            database, self.catalogue, self.products, self.drives, provider, view, books, feed, now
        )
        self.reading = JobReading(database, view)
        pace = _pace(settings.options)
        self.control = Control(database, self.reading, hub, pace, now)
        self.restarts = Restarts(database, self.control, self.products, provider, view, pace, now)
        self.attaching = Attaching(database, provider, view)
        self.dynamic_parameters = DynamicParameters(self.catalogue, provider)
        self.actions = JobActions(database, self.catalogue, self.products, provider, view, self.restarts, domain, now)
        self.removal = JobRemoval(database, hub)
        self.registration = Registration(database, self.catalogue, now)
        self.job_settings = JobSettingsBook(database)
        self.output = JobOutput(database, provider)
        room = FollowRoom(settings.options.max_follows)
        self.following = Following(
            database, hub, view, self.catalogue, self.products, provider, room, settings.follow_drain_seconds
        )
        self._database = database
        self._http = http
        self._loops: list[asyncio.Task[None]] = []

    @classmethod
    async def open(
        cls, settings: OrchestratorSettings, transport: httpx.AsyncBaseTransport | None = None
    ) -> Orchestrator:
        """Raises `db.errors.StoreError` when the database cannot be used; nothing is started then.

        `transport`: for tests that answer as the provider.
        """
        database = await open_database(settings.database_url, MIGRATIONS, readers=2)
        limits = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_IDLE_CONNECTIONS)
        http = httpx.AsyncClient(
            transport=transport, limits=limits, timeout=settings.call_timeout_seconds, trust_env=False
        )
        try:
            orchestrator = await asyncio.to_thread(cls, settings, database, http)
            await orchestrator._start()
        except BaseException:
            await http.aclose()
            await database.close()
            raise
        return orchestrator

    async def close(self) -> None:
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        await self._http.aclose()
        await self._database.close()

    async def _start(self) -> None:
        removed = await self._database.write(job_rows.remove_unconfirmed)
        if removed:
            _log.warning("forgot %d jobs whose creation was cut off", removed)
        await self.catalogue.load(self.settings.catalogue)
        await self.drives.remember()
        await self.users.load()
        await self.projects.load()
        self._loops = [
            asyncio.create_task(self.support.run(), name="support-loop"),
            asyncio.create_task(self.wallets.watch(), name="wallet-watch"),
            asyncio.create_task(self.restarts.run(), name="restarts"),
        ]
        # At most this long: a provider that starts later is noticed by the loop.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.settings.support_wait_seconds):
                await self.support.first_answer.wait()


def _pace(options: OrchestratorOptions) -> RestartPace:
    return RestartPace(
        shortest=round(options.restart_pause_seconds * 1000),
        longest=round(options.restart_pause_max_seconds * 1000),
        calm=round(options.restart_calm_seconds * 1000),
    )
