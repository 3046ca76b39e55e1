"""File and environment to `settings.Settings`, read once at the edge. Called by the command line, by nobody else.

Order (`design` surface): `--config FILE`, else `$UCLOUD_RAY_CONFIG`, else `./ucloud-ray.yaml`, else the defaults given.
Any key may be set by environment on top: `UCLOUD_RAY__CORE__URL`. Relative paths are relative to the file that they
stand in.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import yaml

from ucloud_ray import config_registries
from ucloud_ray.config_build import build_over, to_plain
from ucloud_ray.config_tree import ConfigError, Value, overlay_environment, read_yaml
from ucloud_ray.settings import (
    CapacitySettings,
    CoreSettings,
    NetworkSettings,
    NodeSettings,
    OrchestratorOptions,
    PolicySettings,
    ProductSettings,
    ProviderSettings,
    Settings,
)

__all__ = ["ConfigError", "dump", "embedded_settings", "find_file", "load"]

DEFAULT_FILE = "ucloud-ray.yaml"
MAX_GRANT = 10**15
"""Of one allocation, in millionths of the currency: every sum of wallets stays a number that JSON readers can hold."""


def find_file(option: Path | None, environ: Mapping[str, str], folder: Path) -> Path | None:
    """The file that is in force, or None for the defaults. Raises `ConfigError` if one was named and is not there."""
    named = option or (Path(environ["UCLOUD_RAY_CONFIG"]) if environ.get("UCLOUD_RAY_CONFIG") else None)
    if named is None:
        usual = folder / DEFAULT_FILE
        return usual if usual.exists() else None
    if not (folder / named).is_file():
        source = "--config" if option else "$UCLOUD_RAY_CONFIG"
        raise ConfigError(f"{named}: no such file; correct {source}, or write it as docs/configuration.md shows")
    return folder / named


def load(file: Path | None, environ: Mapping[str, str], folder: Path, base: Settings | None = None) -> Settings:
    """Read everything and check it. `base` holds the defaults: `Settings()`, or `embedded_settings` for `up`.

    Raises `ConfigError`, one line that says where and what to do.
    """
    tree = read_yaml(_text(file), file.name, file.parent.resolve()) if file else Value({}, "the environment", folder)
    tree = overlay_environment(tree, environ, folder)
    settings = build_over(base or Settings(), tree)
    _check(settings)
    return _with_secrets(settings)


def _text(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: cannot be read ({error}); it must be a readable UTF-8 file") from error


# ----------------------------------------------------------------------------------------------------- defaults


def embedded_settings(data_dir: Path, orchestrator_url: str, provider_listen: str, ray_address: str) -> Settings:
    """What `ucloud-ray up` runs without a file: the mission document's machine type on whatever machine this is.

    What a node sells is configuration and may exceed the hardware, so that a product of 10 cores and 20 GB can be
    placed on a laptop; a container's limit is the smaller of product and hardware.
    """
    category = "example-compute"
    return Settings(
        provider=ProviderSettings(listen=provider_listen, public_url=f"http://{provider_listen}"),
        core=CoreSettings(url=orchestrator_url),
        data_dir=data_dir,
        ray=replace(Settings().ray, address=ray_address),
        products=(
            ProductSettings("example-compute", category, 10, 20, description="An example compute product"),
            ProductSettings("example-small", category, 1, 2, price=100_000, description="A tenth of it"),
        ),
        nodes=(NodeSettings({"host": "*"}, (category,), {category: CapacitySettings(40, 80)}),),
        network=NetworkSettings(range=_range_of(data_dir)),
    )


def _range_of(data_dir: Path) -> str:
    """Of 1024 in 10.64.0.0/10, each with room for 16 machines: two installations on one machine must not meet."""
    number = int(hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:8], 16) % 1024
    return f"10.{64 + number // 16}.{number % 16 * 16}.0/20"


def dump(settings: Settings) -> str:
    """Settings as a file that `load` reads back to the same settings. Secrets that came from files are left there."""
    core = replace(
        settings.core,
        refresh_token=None if settings.core.refresh_token_file else settings.core.refresh_token,
        public_key=None if settings.core.public_key_file else settings.core.public_key,
    )
    plain: dict[str, Any] = to_plain(replace(settings, core=core))
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


# ------------------------------------------------------------------------------------------------------- checks


def _check(settings: Settings) -> None:
    _check_address("provider.listen", settings.provider.listen)
    _check_address("ray.listen", settings.ray.listen)
    _check_network(settings.network)
    for url, key in ((settings.core.url, "core.url"), (settings.provider.public_url, "provider.publicUrl")):
        if url is not None and not url.startswith(("http://", "https://")):
            raise ConfigError(f"'{key}' must start with http:// or https://, not '{url}'")
    _check_products(settings)
    _check_nodes(settings)
    _check_orchestrator(settings.orchestrator)
    _check_accounting(settings.policy)
    if settings.policy.watchdog_seconds < 1:
        raise ConfigError(f"'policy.watchdogSeconds' must be 1 or more, not {settings.policy.watchdog_seconds:g}")
    if settings.policy.reconcile_minutes < 1:
        raise ConfigError(f"'policy.reconcileMinutes' must be 1 or more, not {settings.policy.reconcile_minutes:g}")
    config_registries.check(settings.registries)


def _check_orchestrator(options: OrchestratorOptions) -> None:
    if not 0 <= options.initial_grant <= MAX_GRANT:
        raise ConfigError(f"'orchestrator.initialGrant' must be between 0 and {MAX_GRANT}, not {options.initial_grant}")
    shortest, longest = options.restart_pause_seconds, options.restart_pause_max_seconds
    if not 0 <= shortest <= longest <= 86_400:
        raise ConfigError(
            "'orchestrator.restartPauseSeconds' must be 0 or more, and not above 'restartPauseMaxSeconds', "
            "which may be a day at most"
        )


def _check_accounting(policy: PolicySettings) -> None:
    if policy.charge_interval_seconds < 1:
        raise ConfigError(f"'policy.chargeIntervalSeconds' must be 1 or more, not {policy.charge_interval_seconds:g}")
    if not 0 <= policy.min_final_unit_fraction <= 1:
        raise ConfigError("'policy.minFinalUnitFraction' must be between 0 and 1")
    if policy.max_uncharged_hours <= 0:
        raise ConfigError("'policy.maxUnchargedHours' must be above 0")


def _check_network(network: NetworkSettings) -> None:
    ranges = {"range": [network.range], "outbound": network.outbound, "denied": network.denied}
    for key, texts in ranges.items():
        for text in texts:
            if not _is_range(text):
                raise ConfigError(f"'network.{key}' must be IPv4 addresses such as 10.83.0.0/16, not '{text}'")
    smallest = IPv4Network(network.range).prefixlen
    if not max(smallest, 18) <= network.node_prefix <= 30:
        raise ConfigError(f"'network.nodePrefix' must be between {max(smallest, 18)} and 30, not {network.node_prefix}")


def _is_range(text: str) -> bool:
    try:
        IPv4Network(text)
    except ValueError:
        return False
    return True


def _check_address(key: str, address: str) -> None:
    host, colon, port = address.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ConfigError(f"'{key}' must be HOST:PORT, for example 127.0.0.1:8889, not '{address}'")


UNITS_OF_PRICE = (
    *(f"{kind}_PER_{unit}" for kind in ("CREDITS", "UNITS") for unit in ("MINUTE", "HOUR", "DAY")),
    "CREDITS_PER_UNIT",
    "PER_UNIT",
)


def _check_products(settings: Settings) -> None:
    seen: set[tuple[str, str]] = set()
    for product in settings.products:
        if (product.name, product.category) in seen:
            raise ConfigError(f"product '{product.name}' stands twice in category '{product.category}'; rename one")
        seen.add((product.name, product.category))
        if product.cpu <= 0 or product.memory_in_gigs <= 0 or product.gpu < 0:
            raise ConfigError(f"product '{product.name}': 'cpu' and 'memoryInGigs' must be above 0, 'gpu' 0 or more")
        if product.unit_of_price not in UNITS_OF_PRICE:
            known = ", ".join(UNITS_OF_PRICE)
            raise ConfigError(f"product '{product.name}': 'unitOfPrice' must be one of {known}")
        if not 0 < product.fraction <= 1:
            raise ConfigError(f"product '{product.name}': 'fraction' must be above 0 and at most 1")
        most = product.max_time_allocation
        if most is not None and (min(most.hours, most.minutes, most.seconds) < 0 or most.millis == 0):
            raise ConfigError(f"product '{product.name}': 'maxTimeAllocation' must be hours, minutes, seconds above 0")
        unknown = set(product.backends or ()) - {"docker", "native", "virtualMachine"}
        if unknown:
            names = ", ".join(sorted(unknown))
            raise ConfigError(f"product '{product.name}': backend '{names}' must be docker, native or virtualMachine")


def _check_nodes(settings: Settings) -> None:
    categories = {product.category for product in settings.products}
    for name in settings.categories:
        if name not in categories:
            known = ", ".join(sorted(categories)) or "none"
            raise ConfigError(f"'categories' names the category '{name}' that no product has; known are: {known}")
    for node in settings.nodes:
        for name in [*node.categories, *node.capacity]:
            if name not in categories:
                known = ", ".join(sorted(categories)) or "none"
                raise ConfigError(f"'nodes' names the category '{name}' that no product has; known are: {known}")
        for match in node.match:
            if match != "host":
                raise ConfigError(f"'nodes' matches by 'host' (a shell pattern on the host name), not by '{match}'")


# ------------------------------------------------------------------------------------------------------ secrets


def _with_secrets(settings: Settings) -> Settings:
    core = settings.core
    for value, file, key in (
        (core.refresh_token, core.refresh_token_file, "refreshToken"),
        (core.public_key, core.public_key_file, "publicKey"),
    ):
        if value is not None and file is not None:
            raise ConfigError(f"'core.{key}' and 'core.{key}File' are both given; remove one")
    if core.refresh_token_file:
        core = replace(core, refresh_token=_secret(core.refresh_token_file, "core.refreshTokenFile"))
    if core.public_key_file:
        core = replace(core, public_key=_secret(core.public_key_file, "core.publicKeyFile"))
    if core.public_key:
        core = replace(core, public_key=_bare_key(core.public_key))
    return replace(settings, core=core)


def _secret(file: Path, key: str) -> str:
    try:
        content = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text file"
        raise ConfigError(f"{file}: '{key}' cannot be read ({reason}); correct the path or its permissions") from error
    if not content:
        raise ConfigError(f"{file}: '{key}' is empty; put the value into it")
    return content


def _bare_key(text: str) -> str:
    """PEM or base64 to the base64 DER that UCloud/Core shows, without armour and line breaks."""
    bare = "".join(line.strip() for line in text.splitlines() if not line.startswith("-----"))
    try:
        base64.b64decode(bare, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ConfigError("'core.publicKey' is neither PEM nor base64; copy it whole from UCloud/Core") from error
    return bare
