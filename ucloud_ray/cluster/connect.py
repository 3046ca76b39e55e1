"""Joins this process to the Ray cluster and makes sure that its supervisor runs. Used by the front end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import ray
import structlog

from ucloud_ray.cluster import calls, names
from ucloud_ray.cluster.factories import BuildSupervisor, ClusterSettings
from ucloud_ray.cluster.job_supervisor import JobSupervisor
from ucloud_ray.control.ports import ClusterUnavailable

log = structlog.get_logger(__name__)

CONCURRENCY = 10_000
ABOUT_SECONDS = 10.0
LEAVE_SECONDS = 20.0
EXISTS_SECONDS = 5.0


class CannotConnect(Exception):
    """One line that says what to do."""


def connect(address: str, namespace: str) -> None:
    """Raises `CannotConnect`."""
    try:
        ray.init(address=address, namespace=namespace, log_to_driver=False, configure_logging=False)
    except Exception as problem:  # Ray raises a different class for each way in which this can fail
        raise CannotConnect(f"no Ray cluster answers at {address}: {_first_line(problem)}") from problem


def disconnect() -> None:
    ray.shutdown()


async def exists(actor: Any) -> bool:
    """Whether this supervisor is still to be waited for: neither ended for good nor lost with its cluster."""
    try:
        async with asyncio.timeout(EXISTS_SECONDS):
            return await asyncio.to_thread(_exists, actor)
    except Exception as problem:  # Ray raises its own and grpc's errors here, and a call to a lost cluster may hang
        log.warning("the Ray cluster does not tell of the supervisor", problem=repr(problem))
        return False


def _exists(actor: Any) -> bool:
    """A cluster that was started anew does not know the node of this process. Raises `ValueError` if there is none."""
    mine = ray.get_runtime_context().get_node_id()
    alive = any(node["NodeID"] == mine and node["Alive"] for node in ray.nodes())
    return alive and bool(ray.get_actor(names.SUPERVISOR) == actor)


async def replace(actor: Any) -> bool:
    """End a supervisor that hangs, so that Ray starts it again; whether Ray was told. Its process is gone before: there
    is never a second one that writes (D2). Workloads go on."""
    log.error("the supervisor hangs; it is started again")
    try:
        async with asyncio.timeout(EXISTS_SECONDS):
            await asyncio.to_thread(ray.kill, actor, no_restart=False)
    except Exception as problem:  # Ray raises its own and grpc's errors here
        log.warning("Ray does not end the supervisor", problem=repr(problem))
        return False
    return True


async def supervisor(build: BuildSupervisor, settings: ClusterSettings, fingerprint: str) -> Any:
    """The supervisor actor, made if there is none, replaced if it runs with another configuration.

    It stays on the machine where it was made. Raises `CannotConnect`.
    """
    with contextlib.suppress(ValueError):  # none there yet
        await _end_if_other(ray.get_actor(names.SUPERVISOR), fingerprint)
    return (
        ray.remote(JobSupervisor)
        .options(
            name=names.SUPERVISOR,
            lifetime="detached",
            get_if_exists=True,
            num_cpus=0,
            max_restarts=-1,
            max_concurrency=CONCURRENCY,
            label_selector=_here(),
        )
        .remote(build, settings, fingerprint)
    )


def _here() -> dict[str, str]:
    """The machine of this process: the store may be a file of it, and one elsewhere could be cut off from it."""
    mine = ray.get_runtime_context().get_node_id()
    labels: dict[str, str] = next((node["Labels"] for node in ray.nodes() if node["NodeID"] == mine), {})
    return {names.HOST_LABEL: labels[names.HOST_LABEL]} if names.HOST_LABEL in labels else {}


async def _end_if_other(actor: Any, fingerprint: str) -> None:
    try:
        theirs, problem, _ = await calls.answer(actor.about.remote(), timeout=ABOUT_SECONDS, what="the supervisor")
    except ClusterUnavailable:
        return  # being restarted; it will answer
    if theirs == fingerprint and not problem:
        return
    log.info("the supervisor runs with another configuration; replacing it")
    with contextlib.suppress(ClusterUnavailable):
        await calls.answer(actor.leave.remote(), timeout=LEAVE_SECONDS, what="the supervisor's leave")
    ray.kill(actor)


def _first_line(problem: Exception) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]
