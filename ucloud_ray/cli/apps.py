"""`ucloud-ray apps`: the catalogue of applications."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from ucloud_ray.cli import options, output, values
from ucloud_ray.cli.connect import connect
from ucloud_ray.cli.errors import CliError

app = typer.Typer(no_args_is_help=True, help="The catalogue of applications.", rich_markup_mode=None)


@app.command("list")
def list_applications(
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """List the applications that can be run.

    \b
    Example:
      ucloud-ray apps list
    """
    with connect(host, token, project, data) as api:
        found = list(api.applications())
    if as_json:
        output.show_json(found)
        return
    metadata = [entry["metadata"] for entry in found]
    rows = [(entry["name"], entry["version"], entry.get("title") or "") for entry in metadata]
    output.show_table(("NAME", "VERSION", "TITLE"), rows, "no applications; add one with `ucloud-ray apps add FILE`")


@app.command("show")
def show_application(
    application: Annotated[str, typer.Argument(metavar="APP", help="APP or APP@VERSION; the newest if none is named.")],
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Show one application: what it runs and which parameters it takes.

    \b
    Example:
      ucloud-ray apps show a-batch-application
    """
    from ucloud_ray.cli.run import find_application

    with connect(host, token, project, data) as api:
        found = find_application(api, application)
    if as_json:
        output.show_json(found)
        return
    output.show_pairs(_facts(found))
    parameters = found["invocation"].get("parameters") or []
    rows = [_parameter_row(parameter) for parameter in parameters]
    typer.echo("")
    output.show_table(("PARAMETER", "TYPE", "NEEDED", "DESCRIPTION"), rows, "it takes no parameters")


@app.command("add")
def add_applications(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="YAML of tools and applications, one or more.")],
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Add tools and applications to the catalogue, from UCloud's YAML. Several documents may be separated by ---.

    \b
    Example:
      ucloud-ray apps add my-application.yaml
    """
    from ucloud_ray.cli.catalogue_file import documents

    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{file} cannot be read ({error})", "name a YAML file of tools and applications") from error
    added = documents(text, str(file))
    with connect(host, token, project, data, admin=True) as api:
        for document in added:
            api.send_text("PUT", document.path, document.text, "application/yaml")
    if as_json:
        output.show_json([{"kind": document.kind, "name": document.name} for document in added])
    else:
        for document in added:
            output.say(f"added {document.kind} {document.name}")


def _facts(found: Mapping[str, Any]) -> list[tuple[str, object]]:
    metadata, invocation = found["metadata"], found["invocation"]
    tool = invocation["tool"]["tool"]["description"]
    return [
        ("application", f"{metadata['name']}@{metadata['version']}"),
        ("title", metadata.get("title")),
        ("description", metadata.get("description")),
        ("type", invocation.get("applicationType")),
        ("runs", f"{tool.get('backend')} {tool.get('image') or tool.get('container') or ''}".rstrip()),
        ("several nodes", "yes" if invocation.get("allowMultiNode") else "no"),
    ]


def _parameter_row(parameter: Mapping[str, Any]) -> tuple[object, ...]:
    kind = parameter["type"]
    if kind == "enumeration":
        kind = " | ".join(str(option["name"]) for option in parameter.get("options") or [])
    words = parameter.get("description") or parameter.get("title") or ""
    return (parameter["name"], kind, "yes" if values.mandatory(parameter) else "no", " ".join(words.split()))
