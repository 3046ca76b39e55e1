"""`ucloud-ray files`: what lies on drives, and files to and from them (docs/files.md)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ucloud_ray.cli import options, output
from ucloud_ray.cli.connect import connect
from ucloud_ray.cli.errors import CliError, Refused, UsageMistake

if TYPE_CHECKING:
    from ucloud_ray.cli.api import Api

app = typer.Typer(no_args_is_help=True, help="Files of drives: list, upload, download.", rich_markup_mode=None)

DRIVES = "/api/files/collections/browse"
Place = Annotated[str, typer.Argument(metavar="DRIVE/PATH", help="Like home-user/inputs/data.csv.")]
Places = Annotated[list[str], typer.Argument(metavar="DRIVE/PATH...", help="Like home-user/inputs/data.csv.")]


@app.command("ls")
def list_files(
    place: Annotated[str, typer.Argument(metavar="[DRIVE[/PATH]]", help="Nothing: the drives themselves.")] = "",
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """List a folder, or the drives that you may use.

    \b
    Examples:
      ucloud-ray files ls
      ucloud-ray files ls home-user/Jobs
    """
    with connect(host, token, project, data) as api:
        found = api.every("/api/files/browse", {"path": _path(place)}) if place else api.every(DRIVES, {})
    if as_json:
        output.show_json(found)
    elif place:
        output.show_table(("SIZE", "MODIFIED", "NAME"), [_row(file) for file in found], "the folder is empty")
    else:
        rows = [(drive["id"], drive["specification"].get("title")) for drive in found]
        output.show_table(("DRIVE", "TITLE"), rows, "there are no drives for you; ask your administrator")


@app.command("put")
def put(
    source: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, readable=True)],
    place: Place,
    replace: Annotated[bool, typer.Option("--replace", help="Also if there is a file of this name.")] = False,
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Upload a file. One that broke off goes on when the command is given again.

    \b
    Examples:
      ucloud-ray files put data.csv home-user/inputs/
      ucloud-ray files put data.csv home-user/inputs/today.csv --replace
    """
    from ucloud_ray.cli.transfers import Transfers, fingerprint

    path = _path(place) + (f"/{source.name}" if place.endswith("/") else "")
    policy = "REPLACE" if replace else "REJECT"
    with connect(host, token, project, data) as api:
        item = {"id": path, "conflictPolicy": policy, "fingerprint": fingerprint(source)}
        with _taken_names(replace):
            permit = _permit(api, "upload", item)
    with closing(Transfers()) as transfers, _bar(source.stat().st_size, source.name) as bar:
        made = transfers.upload(source, permit, lambda there: bar.update(there - bar.pos))
    if as_json:
        output.show_json({"path": made})
    else:
        output.say(f"uploaded to {made.removeprefix('/')}")


@app.command("get")
def get(
    place: Place,
    target: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Else the same name, here.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Also if FILE exists.")] = False,
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Download a file. One that broke off goes on when the command is given again.

    \b
    Example:
      ucloud-ray files get home-user/Jobs/Example/7/result.csv
    """
    from ucloud_ray.cli.transfers import Transfers

    path = _path(place)
    file = _target(target, path.rsplit("/", 1)[-1], replace)
    with connect(host, token, project, data) as api:
        size = int(api.get("/api/files/retrieve", {"id": path})["status"].get("sizeInBytes") or 0)
        endpoint = _permit(api, "download", {"id": path})["endpoint"]
    with closing(Transfers()) as transfers, _bar(size, file.name) as bar:
        transfers.download(endpoint, file, lambda there: bar.update(there - bar.pos))
    if as_json:
        output.show_json({"file": str(file)})
    else:
        output.say(f"downloaded to {file}")


@app.command("mkdir")
def make_folders(
    places: Places,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Make folders, with those above them.

    \b
    Example:
      ucloud-ray files mkdir home-user/inputs/today
    """
    with connect(host, token, project, data) as api:
        api.post("/api/files/folder", {"items": [{"id": _path(place)} for place in places]})


@app.command("rm")
def remove(
    places: Places,
    for_good: Annotated[bool, typer.Option("--for-good", help="Not into the drive's folder Trash.")] = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Move files and folders to the Trash of their drive, or remove them for good.

    \b
    Examples:
      ucloud-ray files rm home-user/inputs/today
      ucloud-ray files rm home-user/Trash --for-good
    """
    items = {"items": [{"id": _path(place)} for place in places]}
    with connect(host, token, project, data) as api:
        if for_good:
            api.delete("/api/files", items)
        else:
            api.post("/api/files/trash", items)


@app.command("mv")
def move(
    place: Place,
    target: Annotated[str, typer.Argument(metavar="DRIVE/PATH", help="The new name; with / at its end a folder.")],
    replace: Annotated[bool, typer.Option("--replace", help="Also if there is a file of this name.")] = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Move or rename a file or folder.

    \b
    Example:
      ucloud-ray files mv home-user/result.csv home-user/results/
    """
    old = _path(place)
    new = _path(target) + (f"/{old.rsplit('/', 1)[-1]}" if target.endswith("/") else "")
    item = {"oldId": old, "newId": new, "conflictPolicy": "REPLACE" if replace else "REJECT"}
    with connect(host, token, project, data) as api, _taken_names(replace):
        api.post("/api/files/move", {"items": [item]})


def _path(place: str) -> str:
    """`DRIVE/PATH` as UCloud writes it."""
    path = "/" + place.strip("/")
    if path == "/":
        raise UsageMistake(
            f"'{place}' names no drive", "write it like home-user/inputs; `ucloud-ray files ls` lists them"
        )
    return path


def _target(given: Path | None, name: str, replace: bool) -> Path:
    file = Path(name) if given is None else given / name if given.is_dir() else given
    if file.exists() and not replace:
        raise CliError(f"{file} exists", "name another file, or add --replace")
    if not file.parent.is_dir():
        raise CliError(f"there is no folder {file.parent}", "make it first")
    return file


@contextmanager
def _taken_names(replace: bool) -> Iterator[None]:
    """Says with our option what the API says with its own."""
    try:
        yield
    except Refused as error:
        if error.status != HTTPStatus.CONFLICT or replace:
            raise
        raise Refused(
            "there is a file or folder of this name already", "choose another, or add --replace", 409
        ) from error


def _permit(api: Api, purpose: str, item: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = api.post(f"/api/files/{purpose}", {"items": [item]})["responses"][0]
    return found


def _bar(size: int, label: str) -> Any:
    """On a terminal only."""
    return typer.progressbar(length=size, label=label, file=sys.stderr, hidden=not sys.stderr.isatty())


def _row(file: dict[str, Any]) -> tuple[object, ...]:
    status, name = file["status"], file["id"].rsplit("/", 1)[-1]
    is_folder = status["type"] == "DIRECTORY"
    modified = datetime.fromtimestamp((status.get("modifiedAt") or 0) / 1000)
    size = "-" if is_folder else status.get("sizeInBytes")
    return (size, f"{modified:%Y-%m-%d %H:%M}", f"{name}/" if is_folder else name)
