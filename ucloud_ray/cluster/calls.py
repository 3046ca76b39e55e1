"""Every wait for an answer of Ray, and the translation of its errors into ours.

what Ray raises                                    what we raise
RayTaskError (our code in the actor raised)        its cause: driver errors and refusals pass through
ActorDiedError, ActorUnavailableError, timeouts,   ClusterUnavailable: unknown, not gone (D4)
connection errors, anything else of Ray
the machine left the cluster while we waited       HostGone
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import Any

import ray
from ray import exceptions as ray_errors

from runtimes.errors import DriverError
from ucloud_ray.control.errors import Refused
from ucloud_ray.control.ports import ClusterUnavailable, HostGone

OURS = (DriverError, Refused)


async def answer(
    reference: Any, *, gone: asyncio.Future[None] | None = None, timeout: float | None = None, what: str = "the call"
) -> Any:
    """Wait for an object reference. `gone` is done when the machine that answers has left the cluster.

    Raises driver errors and refusals as the actor raised them, else `ClusterUnavailable` or `HostGone`. A caller that
    is cancelled cancels the call, too; that touches no workload.
    """
    waiting: asyncio.Future[Any] = asyncio.ensure_future(_awaitable(reference))
    others = {gone} if gone is not None else set()
    try:
        done, _ = await asyncio.wait({waiting, *others}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    except asyncio.CancelledError:
        _cancel(reference, waiting)
        raise
    if waiting in done:
        return _result(waiting, what)
    _cancel(reference, waiting)
    if done:
        raise HostGone(f"{what}: the machine is not in the cluster at the moment")
    raise ClusterUnavailable(f"{what}: no answer in {timeout:g} seconds")


async def _awaitable(reference: Awaitable[Any]) -> Any:
    return await reference


def _result(waiting: asyncio.Future[Any], what: str) -> Any:
    try:
        return waiting.result()
    except ray_errors.RayTaskError as raised:
        if isinstance(raised.cause, OURS):
            raise raised.cause from None
        raise ClusterUnavailable(f"{what} failed: {raised.cause!r}") from raised
    except ray_errors.RayError as problem:
        raise ClusterUnavailable(f"{what}: {type(problem).__name__}") from problem
    except (ConnectionError, TimeoutError) as problem:
        raise ClusterUnavailable(f"{what}: {problem}") from problem


def _cancel(reference: Any, waiting: asyncio.Future[Any]) -> None:
    waiting.cancel()
    with contextlib.suppress(Exception):  # nobody waits for it any more; a failed cancellation changes nothing
        ray.cancel(reference)
