"""The composition root: the one file that names every concrete class. Called by the command line.

Three processes are put together here: the provider's front end, the supervisor (inside its Ray actor), and the
orchestrator. What runs in another process is handed over as a module-level function or a partial of one, so that it
can be pickled.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn
from urllib.parse import urlsplit

import structlog
import uvicorn

from runtimes import registry
from runtimes.driver import Driver
from runtimes.network.names import Names
from runtimes.network.node_network import NodeNetwork
from runtimes.settings import DockerSettings, NativeSettings, RegistryLogin, RuntimeSettings, ScriptedSettings
from ucloud_ray import __version__, garbage, telemetry, watchdog
from ucloud_ray.control.accounts import Accounts
from ucloud_ray.control.clock import Anchor, SystemClock
from ucloud_ray.control.credits import Credits
from ucloud_ray.control.drives import JOB_UID, Drives
from ucloud_ray.control.fabric import METADATA, Ground
from ucloud_ray.control.log_follow import RelayFollower
from ucloud_ray.control.log_parts import RelayParts
from ucloud_ray.control.offers import Offers
from ucloud_ray.control.overload import Limits
from ucloud_ray.control.performer import Patience
from ucloud_ray.control.reconciliation import Reconciliation
from ucloud_ray.control.requests import Requests
from ucloud_ray.control.supervisor import Parts, Supervisor
from ucloud_ray.control.task_spec import TaskFactory
from ucloud_ray.domain.ids import JobId, JobUid
from ucloud_ray.domain.job import Rules
from ucloud_ray.gateway.addresses import Page, WebAddresses
from ucloud_ray.settings import Settings

if TYPE_CHECKING:
    from ucloud_ray.cluster.factories import Built, ClusterSettings
    from ucloud_ray.cluster.ray_cluster import RayCluster
    from ucloud_ray.core_client import CoreClient
    from ucloud_ray.core_client.notice_stream import NoticeStream

log = structlog.get_logger(__name__)

LOST_RAY_STATUS = 75
"""Exit status of a front end that lost its cluster: whoever runs it starts it again (sysexits' "try again")."""

LOST_STORE_STATUS = 76
"""Exit status of a supervisor that another one replaced; Ray makes it again, and it finds out why it may not start."""

LOOK_SECONDS = 2.0
"""Between two looks at the supervisor; a user who starts everything waits for the first bad news."""
WATCH_SECONDS = 5.0
LOST_AFTER_SECONDS = 15.0
WATCHDOG_HEADSTART = 5.0
"""A supervisor whose loop hangs ends itself first, and tells where it hung."""


# ---------------------------------------------------------------------------------------------------- provider


def serve_provider(settings: Settings) -> None:
    """Serve the provider API until SIGTERM. Ends the process with one line on standard error if it cannot."""
    _run(_provider(_absolute(settings)))


async def _provider(settings: Settings) -> None:
    from ucloud_ray.cluster import connect
    from ucloud_ray.cluster.service import ActorService
    from ucloud_ray.provider import operator
    from ucloud_ray.provider.app import create_app
    from ucloud_ray.provider.auth import InvalidPublicKey, TokenVerifier

    try:
        verifier = TokenVerifier(_public_key(settings))
        await asyncio.to_thread(connect.connect, settings.ray.address, settings.ray.namespace)
        build = partial(build_supervisor, settings)
        actor = await connect.supervisor(build, cluster_settings(settings), _fingerprint(settings))
    except (connect.CannotConnect, InvalidPublicKey) as problem:
        _fail(str(problem))
    service = ActorService(actor)
    app = create_app(service, RelayFollower(service), RelayParts(service), settings, verifier)
    operator.install(app, service, operator.operator_token(settings.data_dir))
    server = _server(app, settings.provider.listen, settings.gateway.trusted_proxies)
    hung_after = settings.policy.watchdog_seconds
    watching = asyncio.create_task(_watch_cluster(actor, server, hung_after), name="watch the cluster")
    watchdog.guard(hung_after)
    await server.serve()
    if not watching.done():  # it was told to leave
        watching.cancel()
        connect.disconnect()
    elif refusal := watching.result():
        connect.disconnect()
        _fail(refusal)
    else:
        os._exit(LOST_RAY_STATUS)  # Ray's own threads may hang in a call to a cluster that is gone


async def _watch_cluster(actor: Any, server: uvicorn.Server, hung_after: float) -> str:
    """Why the supervisor cannot start, or nothing when the cluster is lost; the server is told to leave then. Endless
    while all is well.

    A connection to Ray does not survive the end of its cluster: leave, and be started again. A supervisor that is
    silent for so long that its own watchdog must have stopped, too, is replaced (REC-6), once until it answers again.
    """
    from ucloud_ray.cluster import calls, connect
    from ucloud_ray.control.ports import ClusterUnavailable

    loop = asyncio.get_running_loop()
    answered, replaced = loop.time(), False
    # A supervisor that is slow is waited for: starting anew would only add to what keeps it busy.
    while loop.time() - answered < LOST_AFTER_SECONDS or await connect.exists(actor):
        await asyncio.sleep(LOOK_SECONDS)
        try:
            _, problem, _ = await calls.answer(actor.about.remote(), timeout=WATCH_SECONDS, what="the supervisor")
            answered, replaced = loop.time(), False
        except ClusterUnavailable as unavailable:
            log.warning("the supervisor does not answer", problem=str(unavailable))
            if not replaced and loop.time() - answered >= hung_after + WATCHDOG_HEADSTART:
                replaced = await connect.replace(actor)
            continue
        if problem:
            server.should_exit = True
            return str(problem)
    log.error("the Ray cluster is lost; leaving to be started again")
    server.should_exit = True
    return ""


# -------------------------------------------------------------------------------------------------- supervisor


async def build_supervisor(settings: Settings, cluster: RayCluster) -> Built:
    """Inside the supervisor actor: the store, the Core client, and the engine around them."""
    from ucloud_ray.cluster.factories import Built
    from ucloud_ray.core_client import CoreClient, Publisher
    from ucloud_ray.core_client.access import CoreAccess
    from ucloud_ray.core_client.accounting import Accounting
    from ucloud_ray.core_client.listing import ListedJobs
    from ucloud_ray.store.open import open_store

    telemetry.configure_logging("supervisor")
    garbage.collect_less_often()
    watchdog.guard(settings.policy.watchdog_seconds)
    clock = SystemClock()
    store = await open_store(settings.store_url, clock, patience=20.0, lost=_leave_to_another)
    clock.count_from(await store.anchor(Anchor.now()))
    core = CoreClient(settings.core)
    unknown: asyncio.Queue[JobUid] = asyncio.Queue()
    publisher = Publisher(core, store, clock, on_unknown=unknown.put_nowait)
    accounting = Accounting(core, settings.provider.id)
    relay_key = await store.secret("relay")
    supervisor = Supervisor(
        Parts(
            store=store,
            updates=publisher,
            cluster=cluster,
            clock=clock,
            tasks=_task_factory(settings),
            offers=Offers(settings.provider.id, settings.products),
            rules=rules_of(settings),
            patience=Patience(host_grace=settings.policy.node_loss_grace_seconds),
            starvation_age=round(settings.policy.starvation_age_seconds * 1000),
            orphan_grace=settings.policy.orphan_grace_seconds,
            access=CoreAccess(core),
            accounting=accounting,
            funds=accounting,
            charge_interval=settings.policy.charge_interval_seconds,
            max_uncharged=settings.policy.max_uncharged_hours * 3600,
            limits=Limits(settings.policy.max_live_jobs, settings.policy.max_waiting_updates),
            access_check=settings.policy.access_check_seconds,
            log_replay_bytes=settings.policy.log_replay_bytes,
            relay_key=relay_key,
            ground=_ground(settings),
        )
    )
    requests = Requests(supervisor)
    every = settings.policy.reconcile_minutes * 60
    reconciliation = Reconciliation(supervisor, requests.verification, ListedJobs(core), every)
    await cluster.start(relay_key)
    background = (
        asyncio.create_task(publisher.run(), name="publisher"),
        asyncio.create_task(_forget(unknown, supervisor), name="forget"),
        asyncio.create_task(reconciliation.run(), name="reconciliation"),
        asyncio.create_task(_notices(settings, core, supervisor.credits).run(), name="notices"),
    )

    async def close() -> None:
        for task in background:
            task.cancel()
        await cluster.close()
        await core.close()
        await store.close()

    return Built(supervisor, requests, close)


def _leave_to_another() -> None:
    """Another supervisor writes the database now, and what this one remembers is out of date: it must not go on."""
    log.error("another process has taken over the database; leaving")
    os._exit(LOST_STORE_STATUS)


def _notices(settings: Settings, core: CoreClient, credits: Credits) -> NoticeStream:
    from ucloud_ray.core_client.notice_stream import NoticeStream
    from ucloud_ray.core_client.notices import WalletNotice

    def told(wallet: WalletNotice) -> None:
        if wallet.provider == settings.provider.id:
            (credits.locked if wallet.locked else credits.unlocked)(wallet.owner, wallet.category)

    return NoticeStream(core, settings.core.url, told)


async def _forget(unknown: asyncio.Queue[JobUid], supervisor: Supervisor) -> None:
    while True:
        supervisor.forget(await unknown.get())


def rules_of(settings: Settings) -> Rules:
    policy = settings.policy
    return Rules(
        canceling_state=policy.canceling_state,
        exit_code_policy=policy.exit_code_policy,
        replica_end_policy=policy.replica_end_policy,
        replica_linger=round(policy.replica_linger_seconds * 1000),
        stop_grace=round(policy.stop_grace_seconds * 1000),
        max_start_attempts=policy.max_start_attempts,
        suspended_time_counts=policy.suspended_time_counts,
        vm_on_lock=policy.vm_on_lock,
        accounting_style=settings.accounting.style,
        min_final_unit_fraction=policy.min_final_unit_fraction,
    )


def _task_factory(settings: Settings) -> TaskFactory:
    homes = settings.data_dir / "drives" if settings.policy.automatic_homes else None
    return TaskFactory(
        provider_id=settings.provider.id,
        drives=Drives(settings.drives, homes),
        logs_dir=settings.state_of("{host}") / "logs",
        pids_limit=settings.policy.pids_limit,
        open_files_limit=settings.policy.open_files_limit,
        accounts=Accounts(_job_user(), settings.policy.native_accounts, settings.accounts),
        container_root=settings.policy.container_root,
        sensitive_projects=frozenset(settings.policy.sensitive_projects),
        page_of=_pages(settings),
    )


def _pages(settings: Settings) -> Callable[[JobId, int], str]:
    addresses = WebAddresses.of(settings)
    return lambda job, rank: addresses.origin(Page(job, rank))


def _job_user() -> tuple[int, int] | None:
    return (JOB_UID, JOB_UID) if os.geteuid() == 0 else None


# ------------------------------------------------------------------------------------------------------ network


def _ground(settings: Settings) -> Ground:
    """What of the configuration shapes every machine's network (D14)."""
    name = network_name(settings)
    denied = (*METADATA, *_addresses_of_store(settings.store_url))
    return Ground(name, 1 + int(name[1:], 16) % 0xFFFFFE, settings.network, denied)


def network_name(settings: Settings) -> str:
    """The same on all machines and for ever, and another one for each installation on a machine."""
    return "u" + hashlib.sha256(f"{settings.provider.id} {settings.data_dir}".encode()).hexdigest()[:7]


def remove_network(settings: Settings) -> None:
    """Take this machine's network away, once no job is left. Nothing there is success. Raises `DriverError`."""

    async def remove() -> None:
        network = _node_network()
        try:
            if os.geteuid() == 0 and await network.recall(network_name(settings)) is not None:
                await network.remove(network_name(settings))
        finally:
            network.close()

    asyncio.run(remove())


def _node_network() -> NodeNetwork:
    """Called on the machine whose network it is, whose environment counts."""
    return NodeNetwork(os.environ.get("DOCKER_HOST") or None)


def _docker_network(settings: Settings) -> str:
    return Names(network_name(settings)).docker if settings.network.mode == "bridge" else "none"


def _addresses_of_store(url: str) -> list[str]:
    """Of the database's machine, which no job may reach (ENV-44); looked up once, when the supervisor starts."""
    host = urlsplit(url).hostname
    if host is None:
        return []
    try:
        found = socket.getaddrinfo(host, None, socket.AF_INET, socket.SOCK_STREAM)
    except OSError as problem:
        log.warning("the database's machine is not known by name and is not kept from jobs", problem=str(problem))
        return []
    return sorted({str(address[0]) for *_, address in found})


# ------------------------------------------------------------------------------------------------------ drivers


def cluster_settings(settings: Settings) -> ClusterSettings:
    from ucloud_ray.cluster.factories import ClusterSettings

    return ClusterSettings(
        namespace=settings.ray.namespace,
        logs_dir=settings.state_of("{host}") / "logs",
        drivers=("docker", "native"),
        driver_of=partial(make_driver, settings),
        network_of=_node_network if settings.network.mode == "bridge" else None,
        network_name=network_name(settings),
        replicas_per_actor=settings.policy.replicas_per_actor,
        warm_replica_actors=settings.policy.warm_replica_actors,
        log_max_bytes=settings.policy.log_max_bytes,
        sample_usage=settings.policy.follow_channels,
    )


def runtime_settings(settings: Settings, host: str) -> RuntimeSettings:
    tasks = settings.state_of(host) / "tasks"
    return RuntimeSettings(
        native=NativeSettings(tasks / "native"),
        docker=DockerSettings(
            tasks / "docker",
            job_user=_job_user(),
            container_root=settings.policy.container_root,
            scratch_bytes=settings.policy.scratch_bytes,
            network=_docker_network(settings),
            dns=settings.network.dns,
            pull_retry_seconds=settings.policy.pull_retry_seconds,
            registries=tuple(
                RegistryLogin(one.host, one.username, one.password, one.password_file) for one in settings.registries
            ),
        ),
        scripted=ScriptedSettings(tasks / "scripted"),
    )


def make_driver(settings: Settings, host: str, name: str) -> Driver:
    return registry.create(name, runtime_settings(settings, host))


# ------------------------------------------------------------------------------------------------ orchestrator


def serve_orchestrator(settings: Settings) -> None:
    """Serve the miniature Core until SIGTERM. Ends the process with one line on standard error if it cannot."""
    _run(_orchestrator(_absolute(settings)))


async def _orchestrator(settings: Settings) -> None:
    from ucloud_ray.db.errors import StoreError
    from ucloud_ray.orchestrator.serve import serve
    from ucloud_ray.orchestrator.settings import orchestrator_settings

    watchdog.guard(settings.policy.watchdog_seconds)
    try:
        await serve(orchestrator_settings(settings))
    except StoreError as problem:
        _fail(str(problem))


# ------------------------------------------------------------------------------------------------------- common


def _absolute(settings: Settings) -> Settings:
    """Actors run in other working directories."""
    node_dir = settings.node_dir and settings.node_dir.absolute()
    return replace(settings, data_dir=settings.data_dir.resolve(), node_dir=node_dir)


def _fingerprint(settings: Settings) -> str:
    # Passwords are no part of what settings show of themselves.
    passwords = [registry.password for registry in settings.registries]
    return hashlib.sha256(f"{__version__} {settings!r} {passwords!r}".encode()).hexdigest()


def _public_key(settings: Settings) -> str:
    core = settings.core
    if core.public_key:
        return core.public_key
    if core.public_key_file is None:
        _fail("there is no public key of UCloud/Core: set core.publicKey or core.publicKeyFile")
    try:
        return core.public_key_file.read_text()
    except OSError as problem:
        _fail(f"the public key cannot be read from {core.public_key_file}: {problem.strerror}")


def _server(app: Any, listen: str, trusted_proxies: Sequence[str] = ()) -> uvicorn.Server:
    """`trusted_proxies`: who may say on whose behalf it asks; uvicorn by itself believes everybody on this machine."""
    host, _, port = listen.rpartition(":")
    config = uvicorn.Config(
        app,
        host.strip("[]"),
        int(port),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=5,
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        ws="websockets-sansio",
        ws_per_message_deflate=False,  # costs more than all the rest of the way of a log
    )
    return uvicorn.Server(config)


def _run(work: Coroutine[Any, Any, None]) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until uvicorn installs its own
    garbage.collect_less_often()
    asyncio.run(work)


def _fail(problem: str) -> NoReturn:
    print(f"error: {problem}", file=sys.stderr)  # noqa: T201  # the one line of a process that cannot start
    raise SystemExit(1)
