"""Docker's part of the network: a bridge with our name and subnet, on which Docker filters and translates nothing.

Blocking; called by `node_network` in a thread.
"""

from __future__ import annotations

import contextlib
from typing import Any

from runtimes.docker.client import Conflict, DockerClient
from runtimes.errors import StartFailed, TaskNotFound
from runtimes.network import names
from runtimes.network.names import Names
from runtimes.network.plan import NetworkPlan

_LABEL = "ucloud-ray/network"
_MTU = "com.docker.network.driver.mtu"
_SINCE_GUARDED = (1, 48)
"""Version of Docker's interface (28.0) since when it drops what other machines send to containers."""


def ensure(client: DockerClient, plan: NetworkPlan, mtu: int) -> None:
    """Make it, or make it anew where it differs and nobody uses it.

    Raises `errors.StartFailed` where it differs and is in use, or where Docker refuses; `errors.RuntimeUnavailable`.
    """
    made = Names(plan.name)
    wanted = config(plan, mtu, _version(client))
    found = _inspect(client, made)
    if found is not None and _as_wanted(found, wanted):
        return
    if found is not None:
        remove(client, plan.name)
    # Somebody may have been faster; whoever it was wanted the same, or the next look will tell.
    with contextlib.suppress(Conflict):
        client.create_network(wanted)


def remove(client: DockerClient, name: str) -> None:
    """None there is success. Raises `errors.StartFailed` while a container is on it."""
    made = Names(name)
    found = _inspect(client, made)
    if found is None:
        return
    if users := sorted(one["Name"] for one in found["Containers"].values()):
        raise StartFailed(
            f"The Docker network {made.docker} is in use by {', '.join(users[:5])} and cannot be changed or removed: "
            "end those containers first."
        )
    with contextlib.suppress(TaskNotFound):
        client.remove_network(made.docker)


def config(plan: NetworkPlan, mtu: int, version: tuple[int, ...] = ()) -> dict[str, Any]:
    """Body of Docker's "create network" call.

    No masquerade and no separation by Docker: our rules do both, whether or not the daemon may touch the firewall.
    """
    made, subnet = Names(plan.name), names.subnet(plan.subnet)
    options = {
        "com.docker.network.bridge.name": made.bridge,
        "com.docker.network.bridge.enable_ip_masquerade": "false",
        "com.docker.network.bridge.enable_icc": "true",
        _MTU: str(mtu),
    }
    if version >= _SINCE_GUARDED:
        options["com.docker.network.bridge.gateway_mode_ipv4"] = "nat-unprotected"
    return {
        "Name": made.docker,
        "CheckDuplicate": True,
        "Driver": "bridge",
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Config": [{"Subnet": str(subnet), "Gateway": str(names.gateway(subnet))}]},
        "Options": options,
        "Labels": {_LABEL: plan.name},
    }


def _inspect(client: DockerClient, made: Names) -> dict[str, Any] | None:
    """Raises `errors.StartFailed` for a network of that name that is not ours."""
    try:
        found = client.inspect_network(made.docker)
    except TaskNotFound:
        return None
    if (found.get("Labels") or {}).get(_LABEL) != made.name:
        raise StartFailed(
            f"A Docker network called {made.docker} is there already and is not ours: remove it, "
            "or call the cluster's network otherwise."
        )
    return found


def _as_wanted(found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """A smaller packet size than could be is no reason to make it anew."""
    ours, options = wanted["Options"], found["Options"]
    same = all(options.get(key) == value for key, value in ours.items() if key != _MTU)
    fits = int(options.get(_MTU, "0")) <= int(ours[_MTU])
    return same and fits and found["IPAM"]["Config"] == wanted["IPAM"]["Config"]


def _version(client: DockerClient) -> tuple[int, ...]:
    return tuple(int(part) for part in str(client.version()["ApiVersion"]).split("."))
