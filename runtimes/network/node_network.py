"""The network of one machine's containers, as the plan says (D14, ENV-44). Called by the machine's agent.

Everything that it makes belongs to the kernel and to dockerd: it outlives this object and its process, and the next
one finds it. It is not asked when a container starts or ends.

    apply ──▶ rules ──▶ bridge ──▶ way to other machines ──▶ applied
              first: nothing may ever be on the bridge without them
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from runtimes.docker.client import DockerClient
from runtimes.errors import DriverError, RuntimeUnavailable
from runtimes.network import docker_bridge, links, nft, ruleset, strays
from runtimes.network.names import Names
from runtimes.network.plan import NetworkPlan
from runtimes.types import Capabilities

P = ParamSpec("P")
T = TypeVar("T")


class NodeNetwork:
    """`docker_url`: the daemon's socket; None as for the Docker driver."""

    def __init__(self, docker_url: str | None = None) -> None:
        self._client = DockerClient(docker_url)
        self._one_at_a_time = threading.Lock()
        self._plan: NetworkPlan | None = None
        self._applied: str | None = None
        self._kernel_can = False

    @property
    def applied(self) -> str | None:
        """`NetworkPlan.digest` of what is in force, as `apply` or `recall` last saw it."""
        return self._applied

    async def possible(self) -> Capabilities:
        """Try whether a machine like this can have the network. Never raises."""
        return await self._run(self._possible)

    async def apply(self, plan: NetworkPlan) -> None:
        """Make the machine as the plan says, whatever it is like now; the same plan again repairs what is missing.

        A caller that leaves does not stop it half way. Raises `errors.InvalidTask` for a plan with wrong addresses,
        `errors.StartFailed` where something of others is in the way, `errors.RuntimeUnavailable`.
        """
        await self._run(self._apply, plan)

    async def recall(self, name: str) -> str | None:
        """Ask the kernel which plan is in force, after a restart of ours; None if none is."""
        return await self._run(self._recall, name)

    async def tidy(self, name: str) -> tuple[str, ...]:
        """Take away devices that a killed Docker left on the bridge; returns what they were called.

        To be asked now and again. Raises `errors.RuntimeUnavailable`.
        """
        return await self._run(strays.remove, self._client, name)

    async def remove(self, name: str) -> None:
        """Take everything away again; nothing there is success. Raises `errors.StartFailed` while it is in use."""
        await self._run(self._remove, name)

    def close(self) -> None:
        """Let go of the daemon. The network stays."""
        self._client.close()

    async def _run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        def alone() -> T:
            with self._one_at_a_time:
                return function(*args, **kwargs)

        return await asyncio.to_thread(alone)

    def _possible(self) -> Capabilities:
        if reason := _missing():
            return Capabilities(available=False, reason=reason)
        try:
            self._try_kernel()
            version = self._client.version()
        except DriverError as error:
            return Capabilities(available=False, reason=error.message)
        return Capabilities(available=True, details={"docker": str(version.get("Version", ""))})

    def _try_kernel(self) -> None:
        """Until it worked once: this is asked every few seconds."""
        if not self._kernel_can:
            nft.apply(ruleset.trial(f"ucloud_ray_trial_{os.getpid()}"))
            self._kernel_can = True

    def _apply(self, plan: NetworkPlan) -> None:
        self._applied = None
        self._apply_rules(plan)
        links.forward()
        docker_bridge.ensure(self._client, plan, links.mtu(plan))
        links.connect(plan)
        nft.admit_to_bridge(Names(plan.name).bridge)
        self._plan, self._applied = plan, plan.digest

    def _apply_rules(self, plan: NetworkPlan) -> None:
        """Whole plans take as long as they are large; a few pairs more or less take a few milliseconds."""
        there = _marks(nft.chains(Names(plan.name).table))
        if there == {ruleset.mark(plan)}:
            return
        known = self._plan if self._plan is not None and there == {ruleset.mark(self._plan)} else None
        script = None if known is None else ruleset.difference(known, plan)
        try:
            nft.apply(script or ruleset.whole(plan))
        except RuntimeUnavailable:
            if script is None:
                raise
            # Somebody changed the elements by hand; what is there does not matter to a whole plan.
            nft.apply(ruleset.whole(plan))

    def _recall(self, name: str) -> str | None:
        """A plan of which something is missing is not in force; to apply it is to repair it."""
        self._applied = None
        chains, made = nft.chains(Names(name).table), Names(name)
        marks = _marks(chains)
        devices = [made.bridge, *([made.tunnel] if ("inet", ruleset.TUNNEL) in chains else [])]
        if len(marks) == 1 and all(map(_exists, devices)) and nft.admitted_to_bridge(made.bridge):
            self._applied = marks.pop().removeprefix(ruleset.MARK)
        return self._applied

    def _remove(self, name: str) -> None:
        made = Names(name)
        self._plan = self._applied = None
        docker_bridge.remove(self._client, name)
        links.disconnect(name)
        nft.no_longer_admit(made.bridge)
        nft.apply(ruleset.gone(name))


def _missing() -> str | None:
    if os.geteuid() != 0:
        return "Containers have no network here, because only root can set one up: run as root."
    if shutil.which("nft") is None:
        return "Containers have no network here, because nft is not installed: install the package nftables."
    return None


def _marks(chains: set[tuple[str, str]]) -> set[str]:
    """Of the plans that both tables follow; one that only one of them has counts as none."""
    in_bridge, in_inet = ({name for of, name in chains if of == family} for family in ruleset.FAMILIES)
    return {name for name in in_bridge & in_inet if name.startswith(ruleset.MARK)}


def _exists(device: str) -> bool:
    """Asked of the kernel, because `/sys` may show another network than ours."""
    return device in {name for _, name in socket.if_nameindex()}
