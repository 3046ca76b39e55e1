"""`ucloud-ray nodes`: the machines of the cluster, their maintenance, and what was left over on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote

import typer

from ucloud_ray.cli import operator_api, options, output
from ucloud_ray.cli.errors import UsageMistake

app = typer.Typer(rich_markup_mode=None)

HostName = Annotated[str, typer.Argument(metavar="HOST", help="Name of the machine, as `nodes` shows it.")]


@app.callback(invoke_without_command=True)
def nodes(
    context: typer.Context,
    as_json: options.AsJson = False,
    config: options.Config = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """List the machines of the cluster, what can run on them, and what is wrong with them.

    \b
    Example:
      ucloud-ray nodes
    """
    if context.invoked_subcommand is not None:
        return
    found = operator_api.status(config, data).get("nodes") or []
    if as_json:
        output.show_json(found)
    else:
        show_nodes(found)


@app.command("drain")
def drain(
    host: HostName,
    message: Annotated[str, typer.Option(metavar="TEXT", help="Told to the users of the machine, once.")] = "",
    as_json: options.AsJson = False,
    config: options.Config = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Put nothing new on a machine. What runs there goes on, and its users are told.

    \b
    Example:
      ucloud-ray nodes drain node-7 --message "New disks on Friday at 8"
    """
    told = operator_api.call("PUT", _path(host), config, data, {"message": message})["told"]
    _done(as_json, host, told, "takes no new jobs")


@app.command("undrain")
def undrain(
    host: HostName,
    as_json: options.AsJson = False,
    config: options.Config = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Use a machine again. The users of what runs there are told.

    \b
    Example:
      ucloud-ray nodes undrain node-7
    """
    told = operator_api.call("DELETE", _path(host), config, data)["told"]
    _done(as_json, host, told, "takes jobs")


@app.command("leftovers")
def leftovers(
    collect: Annotated[bool, typer.Option("--collect", help="Destroy them now instead of after the grace.")] = False,
    as_json: options.AsJson = False,
    config: options.Config = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """List containers and processes that belong to no job. They are destroyed by themselves after a grace.

    \b
    Examples:
      ucloud-ray nodes leftovers
      ucloud-ray nodes leftovers --collect
    """
    found = operator_api.call("DELETE" if collect else "GET", "/leftovers", config, data)
    if as_json:
        output.show_json(found)
        return
    columns = ("NODE", "KIND", "TASK", "JOB", "GPUS", "SEEN FOR")
    output.show_table(columns, [_leftover(entry) for entry in found], "nothing is left over")
    if collect and found:
        output.say(f"{len(found)} destroyed")


# ------------------------------------------------------------------------------------------------- presentation


def show_nodes(found: Sequence[Mapping[str, Any]]) -> None:
    output.show_table(("NODE", "ADDRESS", "STATE", "RUNS", "PROBLEMS"), [_node(node) for node in found], "no nodes")


def _node(node: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        node["host"],
        node["address"],
        _state(node),
        ", ".join(node["backends"]) or "nothing",
        "; ".join(f"{topic}: {problem}" for topic, problem in node["problems"].items()) or "-",
    )


def _state(node: Mapping[str, Any]) -> str:
    state = "alive" if node["alive"] else "away"
    message = node.get("maintenance")
    if message is None:
        return state
    return f"{state}, in maintenance ({message})" if message else f"{state}, in maintenance"


def _leftover(entry: Mapping[str, Any]) -> tuple[object, ...]:
    gpus = ", ".join(entry["gpus"]) or "-"
    return entry["host"], entry["backend"], entry["task"], entry["job"], gpus, f"{entry['seenForSeconds']:g} s"


def _path(host: str) -> str:
    if not host.strip():
        raise UsageMistake("the name of the machine is empty", "`ucloud-ray nodes` lists them")
    return f"/nodes/{quote(host, safe='')}/drain"


def _done(as_json: bool, host: str, told: int, what: str) -> None:
    if as_json:
        output.show_json({"host": host, "told": told})
    else:
        output.say(f"{host} {what}; {told} job(s) there were told")
