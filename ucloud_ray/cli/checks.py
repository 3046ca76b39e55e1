"""What `doctor` checks on this machine. Every check tries the thing, never raises, and changes nothing.

`ok` True: works; False: does not, and is needed; None: good to know.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ucloud_ray.cli import ports
from ucloud_ray.cli.errors import CliError
from ucloud_ray.config_tree import ConfigError
from ucloud_ray.settings import PolicySettings, Settings

MIN_DISK_BYTES = 2_000_000_000
MIN_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    ok: bool | None
    detail: str
    remedy: str = ""
    runs_jobs: bool = False
    """Whether jobs can run through it."""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def all_checks(config: Path | None, data: Path, port: int, provider_port: int) -> list[Check]:
    """In the order in which they are shown."""
    from ucloud_ray.cli import clock_checks, driver_checks, machine_checks, ray_checks

    steps: list[Callable[[], Iterator[Check]]] = [
        lambda: driver_checks.drivers(_policy(config).scratch_bytes),
        machine_checks.kernel,
        machine_checks.virtual_machines,
        machine_checks.gpus,
        lambda: ray_checks.ray(_policy(config).node_loss_grace_seconds),
        lambda: _ports(port, provider_port, data),
        clock_checks.clock,
        lambda: _configuration(config),
        lambda: _disk(data),
        _versions,
    ]
    return [check for step in steps for check in step()]


def _ports(port: int, provider_port: int, data: Path) -> Iterator[Check]:
    from ucloud_ray.cli import state_file

    up = state_file.read(data)
    if up is not None and up.minder.alive():
        yield Check("ports", True, f"in use by what runs on {data}")
        return
    for number, part, option in ((port, "orchestrator", "--port"), (provider_port, "provider", "--provider-port")):
        if number == 0 or ports.is_free("127.0.0.1", number):
            yield Check("ports", True, f"{number} is free for the {part}")
        else:
            yield Check("ports", False, f"{number} is taken", f"start the {part} with {option} 0 or another number")


def _configuration(config: Path | None) -> Iterator[Check]:
    from ucloud_ray.cli import clock_checks
    from ucloud_ray.cli.settings_of import read_settings
    from ucloud_ray.config import find_file

    try:
        settings = read_settings(config)
        file = find_file(config, os.environ, Path.cwd())
    except (ConfigError, CliError) as error:
        yield Check("configuration", False, str(error))
        return
    yield Check("configuration", True, str(file) if file else "none: the embedded defaults of `up` are used")
    yield from clock_checks.clock_of_core(settings.core.url)
    yield from _products(settings)
    if settings.core.public_key:
        yield _public_key(settings.core.public_key)


def _products(settings: Settings) -> Iterator[Check]:
    """SCH-3. Another machine of the cluster may have room for what does not fit here."""
    import socket

    from ucloud_ray.cli import node_offer

    sold = node_offer.offers(settings, socket.gethostname(), node_offer.hardware_here())
    for product in settings.products:
        here = sold.get(product.category)
        cpu = product.cpu * (1 if product.gpu else product.fraction)
        if here and not (cpu <= here.cpu and product.memory_in_gigs <= here.memory_in_gigs and product.gpu <= here.gpu):
            words = f"{product.name} does not fit this machine, which sells {here.cpu:g} cores, "
            words += f"{here.memory_in_gigs:.4g} GB and {here.gpu} GPUs of {product.category}"
            yield Check("products", None, words, "nodes[].capacity says what it sells; it may exceed the hardware")


def _policy(config: Path | None) -> PolicySettings:
    """The usual one where the configuration cannot be read, which has a line of its own."""
    from ucloud_ray.cli.settings_of import read_settings

    try:
        return read_settings(config).policy
    except (ConfigError, CliError):
        return PolicySettings()


def _public_key(key: str) -> Check:
    from ucloud_ray.provider.auth import InvalidPublicKey, TokenVerifier

    try:
        TokenVerifier(key)
    except InvalidPublicKey as error:
        return Check("keys", False, str(error), "copy core.publicKey again from UCloud/Core")
    return Check("keys", True, "core.publicKey is a public key")


def _disk(data: Path) -> Iterator[Check]:
    folder = data.absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    detail = f"{free / 1e9:.1f} GB free at {folder}"
    if not os.access(folder, os.W_OK):
        yield Check("disk", False, f"{folder} cannot be written", "choose another folder with --data")
    elif free < MIN_DISK_BYTES:
        yield Check("disk", False, detail, "free some, or choose another folder with --data")
    else:
        yield Check("disk", True, detail)


def _versions() -> Iterator[Check]:
    from importlib.metadata import PackageNotFoundError, version

    python = platform.python_version()
    if sys.version_info < MIN_PYTHON:
        yield Check("python", False, python, "use Python 3.11 or newer")
    else:
        yield Check("python", True, python)
    try:
        yield Check("ray", True, version("ray"))
    except PackageNotFoundError:
        yield Check("ray", False, "not installed", "install it with `pip install .` in the project's folder")
