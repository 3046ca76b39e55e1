"""`ucloud-ray files`: what lies on drives, and files to and from them (docs/files.md)."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from ucloud_ray.cli import options, output
from ucloud_ray.cli.connect import connect
from ucloud_ray.cli.errors import CliError, UsageMistake

NO_DRIVES = "no drives are configured for you; your home is `home-` and your user name"

app = typer.Typer(no_args_is_help=True, help="Files of drives: list, upload, download.", rich_markup_mode=None)

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
    with connect(host, token, project, data) as client:
        found = list(client.raw.files.browse(_path(place)) if place else client.raw.drives.browse())
    if as_json:
        output.show_json(found)
    elif place:
        output.show_table(("SIZE", "MODIFIED", "NAME"), [_row(file) for file in found], "the folder is empty")
    else:
        rows = [(drive["id"], drive["specification"].get("title")) for drive in found]
        output.show_table(("DRIVE", "TITLE"), rows, NO_DRIVES)


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
    bar = _Bar(source.stat().st_size, source.name)
    with connect(host, token, project, data) as client, bar, _replaceable():
        made = client.files.upload(source, _place(place), replace=replace, progress=bar.show)
    output.show_json({"path": made}) if as_json else output.say(f"uploaded to {made.removeprefix('/')}")


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
    path = _path(place)
    file = _target(target, path.rsplit("/", 1)[-1], replace)
    with connect(host, token, project, data) as client, _Bar(0, file.name) as bar:
        bar.size = client.files.retrieve(path).status.size_in_bytes or 0
        client.files.download(path, file, replace=True, progress=bar.show)
    output.show_json({"file": str(file)}) if as_json else output.say(f"downloaded to {file}")


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
    with connect(host, token, project, data) as client:
        client.files.mkdir([_path(place) for place in places])


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
    paths = [_path(place) for place in places]
    with connect(host, token, project, data) as client:
        if for_good:
            client.files.delete(paths)
        else:
            client.files.trash(paths)


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
    with connect(host, token, project, data) as client, _replaceable():
        client.files.move(_path(place), _place(target), replace=replace)


def _path(place: str) -> str:
    """`DRIVE/PATH` as UCloud writes it."""
    path = "/" + place.strip("/")
    if path == "/":
        raise UsageMistake(
            f"'{place}' names no drive", "write it like home-user/inputs; `ucloud-ray files ls` lists them"
        )
    return path


def _place(text: str) -> str:
    """The same, with the slash at its end that says that it is a folder."""
    return _path(text) + ("/" if text.endswith("/") else "")


def _target(given: Path | None, name: str, replace: bool) -> Path:
    file = Path(name) if given is None else given / name if given.is_dir() else given
    if file.exists() and not replace:
        raise CliError(f"{file} exists", "name another file, or add --replace")
    if not file.parent.is_dir():
        raise CliError(f"there is no folder {file.parent}", "make it first")
    return file


@contextmanager
def _replaceable() -> Iterator[None]:
    from ucloud_ray.client import Taken

    try:
        yield
    except Taken as error:
        what = error.why.rpartition(". ")[0] or error.why  # without the advice for programs
        raise CliError(what, "name another, or add --replace") from error


class _Bar:
    """How far a transfer is; on a terminal only, and not before there is something to show."""

    def __init__(self, size: int, label: str) -> None:
        self.size, self._label = size, label
        self._open = ExitStack()
        self._bar: Any = None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def show(self, there: int) -> None:
        if self._bar is None:
            hidden = not sys.stderr.isatty()
            made = typer.progressbar(length=self.size, label=self._label, file=sys.stderr, hidden=hidden)
            self._bar = self._open.enter_context(made)
        self._bar.update(there - self._bar.pos)


def _row(file: dict[str, Any]) -> tuple[object, ...]:
    status, name = file["status"], file["id"].rsplit("/", 1)[-1]
    is_folder = status["type"] == "DIRECTORY"
    modified = datetime.fromtimestamp((status.get("modifiedAt") or 0) / 1000)
    size = "-" if is_folder else status.get("sizeInBytes")
    return (size, f"{modified:%Y-%m-%d %H:%M}", f"{name}/" if is_folder else name)
