"""`ucloud-ray apps`: the catalogue of applications."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ucloud_ray.cli import complete, options, output
from ucloud_ray.cli.connect import connect
from ucloud_ray.cli.errors import CliError, UsageMistake

if TYPE_CHECKING:
    from ucloud_ray.appfile.content import Document
    from ucloud_ray.cli.catalogue_file import Mistaken
    from ucloud_ray.client import Client

app = typer.Typer(no_args_is_help=True, help="The catalogue of applications.", rich_markup_mode=None)

Opened = Callable[[], AbstractContextManager["Client"]]


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
    with connect(host, token, project, data) as client:
        found = list(client.raw.apps.browse())
    if as_json:
        output.show_json(found)
        return
    metadata = [entry["metadata"] for entry in found]
    rows = [(entry["name"], entry["version"], entry.get("title") or "") for entry in metadata]
    output.show_table(("NAME", "VERSION", "TITLE"), rows, "no applications; add one with `ucloud-ray apps add FILE`")


@app.command("show")
def show_application(
    application: Annotated[
        str,
        typer.Argument(
            metavar="APP", help="APP or APP@VERSION; the newest if none is named.", autocompletion=complete.applications
        ),
    ],
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
    with connect(host, token, project, data) as client:
        found = client.raw.apps.retrieve(application)
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


def _send(text: str, documents: list[Document], file: Path, check: bool, open_client: Opened) -> bool:
    """Whether a catalogue has seen it. A check needs none, but says then what it could not see."""
    try:
        with open_client() as client:
            return _told(client, text, documents, file, check)
    except UsageMistake:
        raise
    except CliError:
        if check:
            return False
        raise


def _told(client: Client, text: str, documents: list[Document], file: Path, check: bool) -> bool:
    from ucloud_ray.cli import catalogue_file
    from ucloud_ray.client import Refused

    try:
        if check:
            client.apps.check(text)
            return True
        answer = client.apps.add(text, catalogue_file.kind_of(documents))
    except Refused as refused:
        if check and refused.status in (401, 403, 404, 405):
            return False
        catalogue_file.raise_mistakes(refused, str(file))
    if len(documents) > 1 and len(answer.get("added") or []) != len(documents):
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
    from ucloud_ray.client import values

    kind = parameter["type"]
    if kind == "enumeration":
        kind = " | ".join(str(option["name"]) for option in parameter.get("options") or [])
    words = parameter.get("description") or parameter.get("title") or ""
    return (parameter["name"], kind, "yes" if values.mandatory(parameter) else "no", " ".join(words.split()))
