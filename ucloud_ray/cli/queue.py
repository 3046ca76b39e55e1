"""`ucloud-ray jobs queue`, and the reason for waiting that `jobs list` and `jobs show` add to what they show."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from ucloud_ray.cli import durations, operator_api, options, output
from ucloud_ray.cli.errors import CliError


def queue(
    category: Annotated[str | None, typer.Argument(metavar="[CATEGORY]", help="Only this one.")] = None,
    as_json: options.AsJson = False,
    config: options.Config = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """List who waits for room, in order, and why. Asks the provider of this machine.

    \b
    Example:
      ucloud-ray jobs queue
    """
    entries = operator_api.call("GET", "/queue", config, data)
    chosen = [entry for entry in entries if category in (None, entry["category"])]
    if as_json:
        output.show_json(chosen)
        return
    columns = ("CATEGORY", "PLACE", "JOB", "OWNER", "PRODUCT", "NODES", "SINCE", "WHY")
    output.show_table(columns, [_row(entry) for entry in chosen], "nobody waits")


def reasons(core: str | None, data: Path) -> dict[str, str]:
    """Job id to why it waits, of the provider on this machine. Empty without one, or for another UCloud/Core's jobs."""
    if core is not None:
        return {}
    with suppress(CliError):
        return {entry["id"]: entry["why"] for entry in operator_api.call("GET", "/queue", None, data)}
    return {}


def _row(entry: Mapping[str, Any]) -> tuple[object, ...]:
    waited = durations.show(int(time.time() * 1000 - entry["since"]))
    fixed = (entry["category"], entry["place"], entry["id"], entry["owner"], entry["product"], entry["replicas"])
    return *fixed, waited, entry["why"]
