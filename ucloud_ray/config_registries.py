"""Checks the `registries` of a configuration (ENV-55). Called by `config` only."""

from __future__ import annotations

from collections.abc import Sequence

from ucloud_ray.config_tree import ConfigError
from ucloud_ray.settings import RegistrySettings


def check(registries: Sequence[RegistrySettings]) -> None:
    """Raises `ConfigError`. Whether a password file can be read is seen on the machine that pulls."""
    seen: set[str] = set()
    for registry in registries:
        _check_host(registry.host)
        if registry.host.lower() in seen:
            raise ConfigError(f"the registry '{registry.host}' stands in 'registries' twice; remove one")
        seen.add(registry.host.lower())
        _check_login(registry)


def _check_host(host: str) -> None:
    if "://" in host or "/" in host or not host:
        example = host.partition("://")[2].partition("/")[0] or "registry.example.com:5000"
        raise ConfigError(
            f"'host' of a registry is HOST or HOST:PORT as in the names of images, '{example}', not '{host}'"
        )


def _check_login(registry: RegistrySettings) -> None:
    given = registry.password is not None, registry.password_file is not None
    if all(given):
        raise ConfigError(f"registry '{registry.host}': 'password' and 'passwordFile' are both given; remove one")
    if registry.username is None and any(given):
        raise ConfigError(f"registry '{registry.host}': a password needs a 'username'; add it")
    if registry.username is not None and not any(given):
        raise ConfigError(f"registry '{registry.host}': the username needs 'password' or 'passwordFile'; add one")
