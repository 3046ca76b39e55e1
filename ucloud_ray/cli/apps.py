"""`ucloud-ray apps`: the catalogue of applications."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ucloud_ray.cli import options, output, values
from ucloud_ray.cli.connect import connect
from ucloud_ray.cli.errors import CliError, Refused

if TYPE_CHECKING:
    from ucloud_ray.appfile.content import Document
    from ucloud_ray.cli.api import Api
    from ucloud_ray.cli.catalogue_file import Mistaken

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
    check: Annotated[bool, typer.Option("--check", help="Only say what is wrong with the file; add nothing.")] = False,
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Add tools and applications to the catalogue, from UCloud's YAML. Several documents may be separated by ---.

    Every mistake is told with its line, and a file with mistakes adds nothing (exit status 2).

    \b
    Example:
      ucloud-ray apps add my-application.yaml
      ucloud-ray apps add --check my-application.yaml
    """
    from ucloud_ray.cli import catalogue_file

    try:
        text, documents = catalogue_file.load(file)
        known = _send(text, documents, file, check, lambda: connect(host, token, project, data, admin=True))
    except catalogue_file.Mistaken as mistaken:
        _show_mistakes(mistaken, as_json)
        raise
    _show_added(documents, check, known, as_json)


def _send(text: str, documents: list[Document], file: Path, check: bool, open_api: Callable[[], Api]) -> bool:
    """Whether a catalogue has seen it. A check needs none, but says then what it could not see."""
    from ucloud_ray.cli import catalogue_file

    try:
        with open_api() as api:
            path = catalogue_file.path_of(documents, check=check)
            answer = api.send_text("PUT", path, text, "application/yaml")
    except Refused as refused:
        if check and refused.status in (401, 403, 404, 405):
            return False
        catalogue_file.raise_mistakes(refused, str(file))
    except CliError:
        if check:
            return False
        raise
    else:
        if not check and len(documents) > 1 and len(answer.get("added") or []) != len(documents):
            raise CliError("the server takes one document at a time", "put each into a file of its own, tools first")
    return True


def _show_mistakes(mistaken: Mistaken, as_json: bool) -> None:
    if as_json:
        found = [mistake.to_json(mistaken.file) for mistake in mistaken.mistakes]
        output.show_json({"added": [], "mistakes": found})
        return
    for mistake in mistaken.mistakes:
        output.say(mistake.shown(mistaken.file))


def _show_added(documents: list[Document], check: bool, known: bool, as_json: bool) -> None:
    names = [{"kind": d.kind, "name": f"{d.key.name}@{d.key.version}"} for d in documents]
    if as_json:
        output.show_json({"added": [] if check else names, "mistakes": []})
        return
    for name in names:
        output.say(f"{'correct:' if check else 'added'} {name['kind']} {name['name']}")
    if not known:
        output.say("no catalogue was asked whether the tools exist and the versions are new")


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
