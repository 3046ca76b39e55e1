"""What can come next on a command line, for the completion of shells. Says nothing when it does not know: a shell that
completes must neither wait for long nor print an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from ucloud_ray.client import Client

SECONDS = 2.0
"""The most that a key may take."""
JOBS = 50
STATES = ("IN_QUEUE", "RUNNING", "CANCELING", "SUSPENDED", "SUCCESS", "FAILURE", "EXPIRED")


def applications(context: typer.Context, incomplete: str) -> list[str]:
    """Names, then versions of a name that has its `@`."""

    def ask(client: Client) -> list[str]:
        known = [entry["metadata"] for entry in client.raw.apps.browse()]
        if "@" in incomplete:
            return [f"{entry['name']}@{entry['version']}" for entry in known]
        return list(dict.fromkeys(entry["name"] for entry in known))

    return _fitting(context, incomplete, ask)


def parameters(context: typer.Context, incomplete: str) -> list[str]:
    """`NAME=`, and after it the values that an enumeration or a truth value can have."""
    wanted = str(context.params.get("application") or "")

    def ask(client: Client) -> list[str]:
        declared = client.raw.apps.retrieve(wanted)["invocation"].get("parameters") or []
        name = incomplete.partition("=")[0]
        if "=" in incomplete:
            return [f"{name}={value}" for one in declared if one["name"] == name for value in _values(one)]
        return [f"{one['name']}=" for one in declared if one.get("type") != "readme"]

    return _fitting(context, incomplete, ask) if wanted else []


def products(context: typer.Context, incomplete: str) -> list[str]:
    def ask(client: Client) -> list[str]:
        return [entry["product"]["name"] for entry in client.raw.products.browse()]

    return _fitting(context, incomplete, ask)


def jobs(context: typer.Context, incomplete: str) -> list[tuple[str, str]]:
    """Ids of the newest, with what they are."""

    def ask(client: Client) -> list[tuple[str, str]]:
        return [(str(job["id"]), _about(job)) for job in client.raw.jobs.browse(at_most=JOBS)]

    return [(job_id, about) for job_id, about in _asked(context, ask) or [] if job_id.startswith(incomplete)]


def states(incomplete: str) -> list[str]:
    """In small letters, if it was begun with them."""
    shown = [state.lower() for state in STATES] if incomplete.islower() else STATES
    return [state for state in shown if state.startswith(incomplete)]


def _about(job: dict[str, Any]) -> str:
    return f"{job['status']['state']} {job['specification']['application']['name']}"


def _values(parameter: dict[str, Any]) -> list[str]:
    if parameter.get("type") == "boolean":
        return ["true", "false"]
    return [str(option["name"]) for option in parameter.get("options") or []]


def _fitting(context: typer.Context, incomplete: str, ask: Callable[[Client], list[str]]) -> list[str]:
    return [word for word in _asked(context, ask) or [] if word.startswith(incomplete)]


def _asked(context: typer.Context, ask: Callable[[Client], Any]) -> Any:
    """None when nobody answers, or nothing that can be used."""
    try:
        with _client(context) as client:
            return ask(client)
    except Exception:  # whatever it is, a shell is the wrong place to tell it
        return None


@contextmanager
def _client(context: typer.Context) -> Iterator[Client]:
    from ucloud_ray.cli.connect import client_of
    from ucloud_ray.cli.options import DEFAULT_DATA
    from ucloud_ray.client import Retry

    host, token, project = (context.params.get(name) for name in ("host", "token", "project"))
    data = context.params.get("data") or DEFAULT_DATA
    with client_of(host, token, project, data, timeout=SECONDS, retry=Retry(patience=0.0)) as client:
        yield client
