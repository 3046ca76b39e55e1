"""`ucloud-ray node`: this machine as one more of a cluster, in the foreground, for a service manager to run.

A raylet that was cut off from its head for a while ends itself when the link is back, and nothing in Ray starts it
again. So it is kept running here, whatever the head does meanwhile; jobs on this machine never notice (D1, D7).
"""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ucloud_ray.cli import minder, node_offer, options, output, parts, ports
from ucloud_ray.cli.embedded import EFFECTIVE_FILE
from ucloud_ray.cli.errors import CliError
from ucloud_ray.cli.membership import Membership
from ucloud_ray.cli.settings_of import read_settings
from ucloud_ray.settings import Settings

TOKEN_FILE = "ray-token"


def node(
    address: Annotated[str, typer.Option("--address", metavar="HOST:PORT", help="The cluster's Ray head.")],
    host: Annotated[
        str | None, typer.Option("--host", metavar="NAME", help="Name of this machine in the cluster; else its own.")
    ] = None,
    listen: Annotated[
        str | None,
        typer.Option("--listen", metavar="ADDRESS", help="This machine's address there; else as its routes say."),
    ] = None,
    config: options.Config = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Join a cluster with this machine, and stay in it until SIGTERM or Ctrl-C. Jobs go on.

    What it sells comes from `nodes` of the configuration: the cluster's own one, or that of `up` if the data folder is
    shared.

    \b
    Example:
      ucloud-ray node --address 10.0.0.1:6379 --data /srv/ucloud-ray
    """
    data = data.resolve()
    name = host or socket.gethostname()
    settings = _settings(config, data)
    folder = settings.state_of(name) / f"node-{name}"  # the machine's own, also where all of them share the rest
    lock = minder.lock(folder)
    try:
        _keep_joined(settings, address, name, listen or _address_towards(address), folder)
    finally:
        os.close(lock)


def _keep_joined(settings: Settings, head: str, host: str, address: str, folder: Path) -> None:
    from ucloud_ray.cluster.local import ray_node_command

    hardware = node_offer.hardware_here()
    resources, labels = node_offer.resources(settings, host, hardware), node_offer.labels(settings, host, hardware)
    labels |= node_offer.visible_gpus(os.environ)
    gpus = node_offer.gpus(settings, host, hardware)
    command = ray_node_command(head, folder, host, resources, labels, address, gpus)
    # Its stack traces when it is declared dead go to a file of their own.
    spec = parts.PartSpec("raylet", command, _environment(settings), lambda: True, stop_seconds=20.0)
    raylet = parts.Part(spec, folder)
    output.say(f"joining {head} as {host} with {address} (log: {raylet.log_file})")
    head_host, _, port = head.rpartition(":")
    Membership(raylet, lambda: ports.knock(head_host, int(port)), output.say).run()


def _settings(file: Path | None, data: Path) -> Settings:
    """The file that is named, else the one that `up` wrote into the data folder, else the usual one."""
    effective = data / EFFECTIVE_FILE
    settings = read_settings(effective if file is None and effective.exists() else file)
    if not settings.products:
        raise CliError(
            "there is no configuration that says what this machine sells",
            f"give the cluster's own with --config, or share {data} with the head",
        )
    return replace(settings, data_dir=data)


def _environment(settings: Settings) -> dict[str, str]:
    """With the token of `up` where the data folder is shared; else Ray's usual places count (RAY_AUTH_TOKEN_PATH)."""
    from ucloud_ray.cluster.local import shared_environment

    token = settings.data_dir / TOKEN_FILE
    ours = {"RAY_AUTH_MODE": "token", **({"RAY_AUTH_TOKEN_PATH": str(token)} if token.exists() else {})}
    # Ray would wait 30 s for its work to move to other machines before it ends; jobs do not move.
    at_once = {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}
    return {**os.environ, **shared_environment(), **ours, **at_once}


def _address_towards(head: str) -> str:
    """Of this machine, as the head sees it. Nothing is sent. Raises `CliError`."""
    host, _, port = head.rpartition(":")
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((host, int(port)))
            return str(probe.getsockname()[0])
    except (OSError, ValueError, OverflowError) as error:
        raise CliError(f"no way leads to {head} ({error})", "give --address HOST:PORT of the Ray head") from error
