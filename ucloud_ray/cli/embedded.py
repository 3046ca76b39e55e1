"""What `up` runs: Ray, provider and orchestrator of one machine as parts for the minder. Called by `up` only.

The settings in force are written to `<data>/ucloud-ray.effective.yaml`, and the parts are the same commands that an
operator would run by hand with that file.
"""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from ucloud_ray import config
from ucloud_ray.cli import minder, node_offer, output, parts, ports, registry_passwords, state_file
from ucloud_ray.cli.errors import CliError
from ucloud_ray.cli.orphans import stop_orphans
from ucloud_ray.cli.parts import python_command
from ucloud_ray.cli.settings_of import read_settings
from ucloud_ray.settings import Settings

HOST = "127.0.0.1"
RESPONSE_SECONDS = 3.0
"""A part that is busy may take so long; the other parts are not looked after meanwhile."""
EFFECTIVE_FILE = "ucloud-ray.effective.yaml"


@dataclass(frozen=True, slots=True)
class Plan:
    settings: Settings
    data: Path
    ray_listen: tuple[str, int] | None
    """Where our own Ray listens; None when an existing cluster is used."""
    host: str
    """Our name of this machine (D7)."""

    @property
    def orchestrator_url(self) -> str:
        return self.settings.core.url

    @property
    def provider_url(self) -> str:
        return self.settings.provider.public_url or f"http://{self.settings.provider.listen}"


def run(data: Path, file: Path | None, port: int, provider_port: int, ray_address: str, host: str) -> None:
    """Keep everything running until a signal. Raises `CliError` and `config.ConfigError`."""
    lock = minder.lock(data)
    try:
        before = state_file.read(data)
        if before is not None:
            stop_orphans(before)
        plan = _plan(data, file, port, provider_port, ray_address, host, before)
        _write_effective(plan)
        _mind(plan)
    finally:
        os.close(lock)


def _mind(plan: Plan) -> None:
    logs_dir = plan.data / "logs-of-services"
    logs_dir.mkdir(exist_ok=True)
    all_parts = [parts.Part(spec, logs_dir) for spec in _specs(plan)]

    def giving_up(reason: str) -> None:
        state_file.write(plan.data, replace(_state(plan, all_parts, ready=False), failure=reason))

    def changed(ready: bool) -> None:
        state_file.write(plan.data, _state(plan, all_parts, ready))
        if ready and sys.stderr.isatty():
            output.say(f"ready: {plan.orchestrator_url} (logs in {logs_dir}; Ctrl-C stops it, jobs go on)")

    hung_after = plan.settings.policy.watchdog_seconds
    minder.Minder(all_parts, changed, output.say, giving_up, hung_after=hung_after).run()


def _state(plan: Plan, all_parts: list[parts.Part], ready: bool) -> state_file.UpState:
    return state_file.UpState(
        minder=state_file.ProcessMark.of(os.getpid()),
        ready=ready,
        orchestrator_url=plan.orchestrator_url,
        provider_url=plan.provider_url,
        ray_address=plan.settings.ray.address,
        parts={part.spec.name: mark for part in all_parts if (mark := _mark(part.pid))},
    )


def _mark(pid: int | None) -> state_file.ProcessMark | None:
    try:
        return state_file.ProcessMark.of(pid) if pid else None
    except ProcessLookupError:
        return None


# -------------------------------------------------------------------------------------------------------- plan


def _plan(
    data: Path,
    file: Path | None,
    port: int,
    provider_port: int,
    ray_address: str,
    host: str,
    before: state_file.UpState | None,
) -> Plan:
    taken: set[int] = set()
    orchestrator = _port(port, before.orchestrator_url if before else None, taken, "--port")
    provider = _port(provider_port, before.provider_url if before else None, taken, "--provider-port")
    base = config.embedded_settings(data, f"http://{HOST}:{orchestrator}", f"{HOST}:{provider}", ray_address)
    settings = replace(read_settings(file, base), data_dir=data)
    ray_listen = None
    if ray_address == "local":
        ray_listen = _ray_listen(settings.ray.listen, before, taken)
        ray_address = "{}:{}".format(*ray_listen)
    settings = replace(settings, ray=replace(settings.ray, address=ray_address))
    return Plan(registry_passwords.put_aside(_with_credentials(settings, data), data), data, ray_listen, host)


def _ray_listen(wanted: str, before: state_file.UpState | None, taken: set[int]) -> tuple[str, int]:
    host, _, port = wanted.rpartition(":")
    url_before = f"ray://{before.ray_address}" if before else None
    return host, _port(int(port), url_before, taken, "ray.listen", host)


def _port(wanted: int, url_before: str | None, taken: set[int], option: str, host: str = HOST) -> int:
    before = urlsplit(url_before).port if url_before else None
    found = ports.settle(host, wanted, before, taken, option)
    taken.add(found)
    return found


def _with_credentials(settings: Settings, data: Path) -> Settings:
    """The orchestrator's own, unless a file names a UCloud/Core's."""
    if settings.core.refresh_token or settings.core.public_key:
        return settings
    from ucloud_ray.orchestrator.credentials import bootstrap_credentials

    made = bootstrap_credentials(data, settings.provider.id)
    core = replace(settings.core, refresh_token=made.refresh_token, public_key=made.public_key_base64)
    return replace(settings, core=core)


def _write_effective(plan: Plan) -> None:
    """Readable by us alone: it holds the refresh token."""
    target = plan.data / EFFECTIVE_FILE
    target.unlink(missing_ok=True)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("# Written by `ucloud-ray up`; changes are lost. Give it a file with --config instead.\n")
        file.write(config.dump(plan.settings))


# ------------------------------------------------------------------------------------------------------- parts


def _specs(plan: Plan) -> list[parts.PartSpec]:
    serve = ["serve", "--config", str(plan.data / EFFECTIVE_FILE)]
    environment = _environment(plan)
    settings = plan.settings
    condition = f"{plan.provider_url}/ucloud/{settings.provider.id}/integration/retrieveCondition"
    provider = parts.PartSpec(
        "provider",
        [*python_command(), "provider", *serve],
        environment,
        lambda: _answers(condition),
        responds=lambda: _answers(condition, RESPONSE_SECONDS),
        needs="ray",  # a connection to Ray does not survive the end of its cluster
    )
    orchestrator = parts.PartSpec(
        "orchestrator",
        [*python_command(), "orchestrator", *serve],
        environment,
        _sells_something(plan),
        responds=lambda: _answers(f"{plan.orchestrator_url}/api/status", RESPONSE_SECONDS),
    )
    return [*_ray(plan, environment), provider, orchestrator]


def _environment(plan: Plan) -> dict[str, str]:
    """Ours without the configuration: that is in the effective file already."""
    from ucloud_ray.cluster.local import ray_environment

    kept = {name: value for name, value in os.environ.items() if not name.startswith(("UCLOUD_RAY_", "UCLOUD_RAY__"))}
    return kept | ray_environment(plan.data)


def _ray(plan: Plan, environment: dict[str, str]) -> list[parts.PartSpec]:
    if plan.ray_listen is None:
        return []
    from ucloud_ray.cluster.local import ray_head_command

    (address, port), host, hardware = plan.ray_listen, plan.host, node_offer.hardware_here()
    resources = node_offer.resources(plan.settings, host, hardware)
    labels = node_offer.labels(plan.settings, host, hardware) | node_offer.visible_gpus(os.environ)
    gpus = node_offer.gpus(plan.settings, host, hardware)
    command = ray_head_command(plan.data, host, resources, labels, port, address, gpus)
    # Ray would wait 30 s for its work to move to other machines before it ends; there are none.
    at_once = environment | {"RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0"}
    return [parts.PartSpec("ray", command, at_once, lambda: ports.is_open(address, port), stop_seconds=20.0)]


def _answers(url: str, seconds: float = 1.0) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=seconds) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _sells_something(plan: Plan) -> Callable[[], bool]:
    """The orchestrator is of use once it knows what the provider supports: then a job can be created."""

    def answers() -> bool:
        from ucloud_ray.cli.connect import connect, token_of

        try:
            token = token_of(plan.data, "user", admin=True)  # users see what they were granted
            with connect(plan.orchestrator_url, token, None, plan.data) as client:
                return bool(client.raw.products.browse())
        except CliError:
            return False

    return answers
