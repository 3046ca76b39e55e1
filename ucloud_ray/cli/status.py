"""`ucloud-ray status`: parts, nodes, products, queue, outbox and charges in one screen."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

from ucloud_ray.cli import capacity, durations, nodes, operator_api, options, output, state_file
from ucloud_ray.cli.connect import connect
from ucloud_ray.cli.errors import CliError


def status(
    as_json: options.AsJson = False, config: options.Config = None, data: options.Data = options.DEFAULT_DATA
) -> None:
    """Show whether everything runs: parts, nodes, machine types, queue, and what UCloud/Core has not taken yet.

    The exit status is 1 if a part does not answer.

    \b
    Example:
      ucloud-ray status --json
    """
    data = data.resolve()
    problems: list[str] = []
    report = _tried(lambda: operator_api.status(config, data), problems) or {}
    up = state_file.read(data)
    supported = _tried(lambda: _products(data), problems) or [] if up else []
    parts = _parts(up)
    problems += [f"{part['name']} does not run; `ucloud-ray up` starts it again" for part in parts if not part["alive"]]
    if as_json:
        output.show_json({"parts": parts, "provider": report, "products": supported, "problems": problems})
    else:
        _show(parts, report, supported)
    for problem in [*problems, *(report.get("problems") or [])]:
        output.say(f"ucloud-ray: {problem}")
    if problems:
        raise typer.Exit(1)


def _tried(ask: Callable[[], Any], problems: list[str]) -> Any:
    try:
        return ask()
    except CliError as error:
        problems.append(str(error))
        return None


def _products(data: Path) -> list[dict[str, Any]]:
    with connect(None, None, None, data) as client:
        found: list[dict[str, Any]] = client.raw.products.browse()
        return found


def _parts(up: state_file.UpState | None) -> list[dict[str, Any]]:
    if up is None:
        return []
    addresses = {"ray": up.ray_address, "provider": up.provider_url, "orchestrator": up.orchestrator_url}
    marks = {"minder": up.minder, **up.parts}
    return [
        {"name": name, "pid": mark.pid, "alive": mark.alive(), "address": addresses.get(name)}
        for name, mark in marks.items()
    ]


def _show(parts: list[dict[str, Any]], report: dict[str, Any], supported: list[dict[str, Any]]) -> None:
    rows = [(part["name"], "alive" if part["alive"] else "gone", part["pid"], part["address"]) for part in parts]
    output.show_table(("PART", "STATE", "PID", "ADDRESS"), rows, "no parts were started here by `ucloud-ray up`")
    if report:
        typer.echo("")
        nodes.show_nodes(report.get("nodes") or [])
        typer.echo("")
        capacity.show_categories(report.get("categories") or {})
    if supported:
        typer.echo("")
        capacity.show_products(supported)
    if report:
        typer.echo("")
        output.show_pairs(_numbers(report))


def _numbers(report: dict[str, Any]) -> list[tuple[str, object]]:
    outbox = report.get("outbox") or {}
    queues = report.get("queues") or {}
    return [
        ("supervisor", "ready" if report.get("ready") else "recovering"),
        ("active jobs", report.get("activeJobs")),
        ("queue", ", ".join(f"{name}: {_length(queue)}" for name, queue in queues.items()) or "empty"),
        ("outbox", _waiting(outbox, "update")),
        ("charges", _waiting(report.get("charges") or {}, "charge")),
    ]


def _length(queue: object) -> object:
    return len(queue) if isinstance(queue, list | dict) else queue


def _waiting(backlog: dict[str, Any], what: str) -> str:
    """For UCloud/Core to take them."""
    waiting, oldest = backlog.get("waiting") or 0, backlog.get("oldestAt")
    if not waiting or not oldest:
        return f"{waiting} {what}(s) wait"
    return f"{waiting} {what}(s) wait, the oldest for {durations.show(int(time.time() * 1000 - oldest))}"
