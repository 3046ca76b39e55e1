"""Name of a driver to its object. The only file that lists all drivers; called by whoever composes a process.

A driver's module is imported when it is asked for, because its library (Docker's, libvirt's) need not be installed
on every machine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace

from runtimes.driver import Driver
from runtimes.errors import RuntimeUnavailable
from runtimes.settings import RuntimeSettings


def create(name: str, settings: RuntimeSettings) -> Driver:
    """A driver object. Opens nothing yet.

    Raises `ValueError` for a name that does not exist or has no settings, `errors.RuntimeUnavailable` (not retryable)
    when the driver's library is not installed.
    """
    factory = _FACTORIES.get(name)
    if factory is None:
        raise ValueError(f"there is no driver {name!r}; choose from {', '.join(sorted(_FACTORIES))}")
    try:
        return factory(settings)
    except ModuleNotFoundError as missing:
        raise RuntimeUnavailable(
            f"the {name} driver needs the Python package {missing.name!r}: install it, or take {name} out of the"
            " enabled drivers",
            retryable=False,
        ) from missing


def names() -> list[str]:
    """All drivers that exist, installed or not."""
    return sorted(_FACTORIES)


def _docker(settings: RuntimeSettings) -> Driver:
    from runtimes.docker.driver import DockerDriver

    # Read here and not where the settings are made: that is another machine's environment in a cluster.
    base_url = settings.docker.base_url or os.environ.get("DOCKER_HOST") or None
    return DockerDriver(replace(settings.docker, base_url=base_url))


def _native(settings: RuntimeSettings) -> Driver:
    from runtimes.native.driver import NativeDriver

    return NativeDriver(settings.native)


def _scripted(settings: RuntimeSettings) -> Driver:
    from runtimes.scripted.driver import ScriptedDriver

    if settings.scripted is None:
        raise ValueError("the scripted driver needs a state_dir: set RuntimeSettings.scripted")
    return ScriptedDriver(settings.scripted)


_FACTORIES: Mapping[str, Callable[[RuntimeSettings], Driver]] = {
    "docker": _docker,
    "native": _native,
    "scripted": _scripted,
}
