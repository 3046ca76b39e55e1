"""`client.drives` and `client.files`: what lies on drives, and files to and from them (docs/files.md).

A place is `DRIVE/PATH`, with or without a slash before it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ucloud_ray.client import paging, transfers
from ucloud_ray.client.calls import Group, R, call, each, nothing, reads
from ucloud_ray.client.effects import Events, Json, Plan
from ucloud_ray.client.transfers import Progress
from ucloud_ray.client.values import drive_path
from ucloud_ray.wire.drives import Drive, File


class Drives(Group[R]):
    @each(reads(Drive))
    def browse(self) -> Events:
        """The configured drives that one may use. A home that is made on demand is not among them: it is `home-` and
        the user's name."""
        yield from paging.items(self._session, "/api/files/collections/browse", {})


class Files(Group[R]):
    @each(reads(File))
    def browse(self, place: str | Path) -> Events:
        """What lies in a folder. Raises `NotFound`."""
        yield from paging.items(self._session, "/api/files/browse", {"path": drive_path(place)})

    @call(reads(File))
    def retrieve(self, place: str | Path) -> Plan[Json]:
        """One file or folder. Raises `NotFound`."""
        return (yield from self._session.ask("GET", "/api/files/retrieve", {"id": drive_path(place)}))

    @call(str)
    def upload(
        self, source: str | Path, place: str | Path, *, replace: bool = False, progress: Progress | None = None
    ) -> Plan[str]:
        """Send a file; the path that it has in the end. `place` with a slash at its end is a folder.

        Goes on through broken connections, and where an earlier call for the same file was cut. `progress` is called
        with how many bytes are there. Raises `Taken` for a name that is there unless `replace`, `Unavailable`.
        """
        return (yield from transfers.upload(self._session, source, place, replace, progress))

    @call(Path)
    def download(
        self,
        place: str | Path,
        target: str | Path | None = None,
        *,
        replace: bool = False,
        progress: Progress | None = None,
    ) -> Plan[Path]:
        """Fetch a file to `target`, a folder or a name, or to its own name here; where it is in the end.

        Goes on through broken connections; until everything is there it grows as `TARGET.part`, which a later call goes
        on with. Raises `Mistake` for a target that is there unless `replace`, `NotFound`, `Unavailable`.
        """
        return (yield from transfers.download(self._session, place, target, replace, progress))

    @call(nothing)
    def mkdir(self, places: str | Path | Iterable[str | Path]) -> Plan[None]:
        """Make folders, with those above them."""
        body = _items(places)
        yield from self._session.ask("POST", "/api/files/folder", body=body, repeatable=True)

    @call(nothing)
    def move(self, place: str | Path, target: str | Path, *, replace: bool = False) -> Plan[None]:
        """Move or rename. `target` with a slash at its end is a folder. Raises `Taken` unless `replace`."""
        old, new = drive_path(place), drive_path(target)
        if str(target).endswith("/"):
            new += f"/{old.rpartition('/')[2]}"
        item = {"oldId": old, "newId": new, "conflictPolicy": "REPLACE" if replace else "REJECT"}
        yield from self._session.ask("POST", "/api/files/move", body={"items": [item]})

    @call(nothing)
    def trash(self, places: str | Path | Iterable[str | Path]) -> Plan[None]:
        """Move to the folder Trash of their drive."""
        yield from self._session.ask("POST", "/api/files/trash", body=_items(places))

    @call(nothing)
    def delete(self, places: str | Path | Iterable[str | Path]) -> Plan[None]:
        """Remove for good, folders with everything in them. What is gone already is success."""
        yield from self._session.ask("DELETE", "/api/files", body=_items(places), repeatable=True)


def _items(places: str | Path | Iterable[str | Path]) -> Json:
    several = [places] if isinstance(places, str | Path) else places
    return {"items": [{"id": drive_path(place)} for place in several]}
