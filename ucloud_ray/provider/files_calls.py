"""`files/...`: what UCloud/Core asks about files of drives for its users. Who may ask, the Core has found out.

Uploads and downloads are answered with an address here and a permit for one file; see `files_bytes`. Items of a request
are done one after another; the first that fails ends it.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import structlog

from ucloud_ray.control.errors import BadRequest
from ucloud_ray.domain.job import Owner
from ucloud_ray.provider import files_listing, files_paths
from ucloud_ray.provider.endpoint import Call, Endpoint
from ucloud_ray.provider.files_drives import FileDrives
from ucloud_ray.provider.files_errors import told
from ucloud_ray.provider.files_tokens import FileTokens, Permit
from ucloud_ray.provider.files_tree import DriveFolder, move
from ucloud_ray.wire.common import BulkRequest
from ucloud_ray.wire.files import BrowseRequest, Collection, ResolvedFileItem, ResolvedMoveItem, RetrieveRequest

log = structlog.get_logger("ucloud_ray.provider")

T = TypeVar("T")
TRASH = "Trash"
REMOVED_WITHIN_SECONDS = 2.0
"""The Core gives up after five (provider-api 1.2); a removal that takes longer is not waited for."""
_OBJECT = dict[str, Any]


class FileCalls:
    def __init__(self, drives: FileDrives, tokens: FileTokens, address: str) -> None:
        """`address`: what `files_bytes` is reached at, without a slash at the end."""
        self._drives = drives
        self._tokens = tokens
        self._address = address
        self._removing: set[asyncio.Future[None]] = set()

    def endpoints(self) -> list[Endpoint[Any]]:
        many, errors = BulkRequest[ResolvedFileItem], (400, 404, 409, 503, 507)
        moves, one = BulkRequest[ResolvedMoveItem], (400, 404, 503)
        return [
            Endpoint("POST", "files/browse", self.browse, "A folder, page by page", BrowseRequest, _OBJECT, errors=one),
            Endpoint("POST", "files/retrieve", self.retrieve, "One file", RetrieveRequest, _OBJECT, errors=one),
            Endpoint("POST", "files/folder", self.folder, "Make folders", many, _OBJECT, errors=errors),
            Endpoint("POST", "files/move", self.move, "Move or rename", moves, _OBJECT, errors=errors),
            Endpoint("POST", "files/trash", self.trash, "Move to the drive's trash", many, _OBJECT, errors=errors),
            Endpoint("POST", "files/emptyTrash", self.empty_trash, "Empty the trash", many, _OBJECT, errors=errors),
            Endpoint("DELETE", "files", self.delete, "Remove for good", many, _OBJECT, errors=errors),
            Endpoint("POST", "files/upload", self.upload, "Where to send a file", many, _OBJECT, errors=errors),
            Endpoint("POST", "files/download", self.download, "Where to fetch a file", many, _OBJECT, errors=errors),
        ]

    async def browse(self, call: Call[BrowseRequest]) -> _OBJECT:
        asked = call.content.browse
        path = files_paths.parse(asked.path or str(asked.flags.get("path") or ""))
        wanted = files_listing.wanted(asked.items_per_page, asked.next, asked.sort_by, asked.sort_direction)

        def read() -> _OBJECT:
            drive = self._drives.folder(path, _owner(call.content.resolved_collection))
            with told(str(path)):
                items, following = files_listing.page(drive, path, wanted)
            return {"itemsPerPage": wanted.size, "items": items, "next": following}

        return await self._in_thread(read)

    async def retrieve(self, call: Call[RetrieveRequest]) -> _OBJECT:
        path = files_paths.parse(call.content.retrieve.id)

        def read() -> _OBJECT:
            drive = self._drives.folder(path, _owner(call.content.resolved_collection))
            with told(str(path)):
                return files_listing.one(drive, path)

        return await self._in_thread(read)

    async def folder(self, call: Call[BulkRequest[ResolvedFileItem]]) -> _OBJECT:
        def make(item: ResolvedFileItem) -> _OBJECT:
            path = files_paths.parse(item.id)
            drive = self._drives.folder(path, _owner(item.resolved_collection))
            with told(item.id):
                name = drive.make_folder(path, item.conflict_policy, self._drives.maker(call.user or ""))
            return {"id": str(path.parent / name)}

        return await self._each(call.content.items, make)

    async def move(self, call: Call[BulkRequest[ResolvedMoveItem]]) -> _OBJECT:
        def one(item: ResolvedMoveItem) -> _OBJECT:
            old, new = files_paths.parse(item.old_id), files_paths.parse(item.new_id)
            origin = self._drives.folder(old, _owner(item.resolved_old_collection))
            target = self._drives.folder(new, _owner(item.resolved_new_collection))
            with told(item.old_id):
                origin.look(old)
            with told(item.new_id), origin.opened(old.parent) as out_of, target.opened(new.parent) as into:
                return {"id": str(new.parent / move(out_of, old.name, into, new.name, item.conflict_policy))}

        return await self._each(call.content.items, one)

    async def trash(self, call: Call[BulkRequest[ResolvedFileItem]]) -> _OBJECT:
        def one(item: ResolvedFileItem) -> _OBJECT:
            path = files_paths.parse(item.id)
            if path.parts[:1] == (TRASH,):
                raise BadRequest("That is the trash itself, or in it already. Delete it instead.")
            drive = self._drives.folder(path, _owner(item.resolved_collection))
            trash = files_paths.DrivePath(path.drive, (TRASH,))
            with told(item.id):
                drive.look(path)
                drive.make_folder(trash, "REPLACE", self._drives.maker(call.user or ""))
                with drive.opened(path.parent) as out_of, drive.opened(trash) as into:
                    return {"id": str(trash / move(out_of, path.name, into, path.name, "RENAME"))}

        return await self._each(call.content.items, one)

    async def delete(self, call: Call[BulkRequest[ResolvedFileItem]]) -> _OBJECT:
        return await self._remove([(item, files_paths.parse(item.id)) for item in call.content.items])

    async def empty_trash(self, call: Call[BulkRequest[ResolvedFileItem]]) -> _OBJECT:
        """Of the drive that the path is on."""
        trashes = [
            (item, files_paths.DrivePath(files_paths.parse(item.id).drive, (TRASH,))) for item in call.content.items
        ]
        return await self._remove(trashes)

    async def _remove(self, wanted: list[tuple[ResolvedFileItem, files_paths.DrivePath]]) -> _OBJECT:
        """Nothing of it is there any more when this is answered; what a large folder held is removed behind that."""

        def set_aside() -> list[tuple[str, DriveFolder, files_paths.DrivePath]]:
            left = []
            for item, path in wanted:
                drive = self._drives.folder(path, _owner(item.resolved_collection))
                with told(item.id):
                    if (aside := drive.set_aside(path)) is not None:
                        left.append((item.id, drive, aside))
            return left

        def remove(left: list[tuple[str, DriveFolder, files_paths.DrivePath]]) -> None:
            for shown, drive, aside in left:
                with told(shown):
                    drive.remove(aside)

        left = await self._in_thread(set_aside)
        if left:
            removal = asyncio.ensure_future(self._in_thread(lambda: remove(left), self._drives.removers))
            self._removing.add(removal)
            removal.add_done_callback(self._removed)
            await asyncio.wait({removal}, timeout=REMOVED_WITHIN_SECONDS)
            if removal.done():
                removal.result()
        return {"responses": [{} for _ in wanted]}

    def _removed(self, removal: asyncio.Future[None]) -> None:
        self._removing.discard(removal)
        if not removal.cancelled() and (problem := removal.exception()) is not None:
            log.warning("what was removed still takes room", problem=str(problem))

    async def upload(self, call: Call[BulkRequest[ResolvedFileItem]]) -> _OBJECT:
        def one(item: ResolvedFileItem) -> _OBJECT:
            path, owner = files_paths.parse_inside(item.id), _owner(item.resolved_collection)
            drive = self._drives.folder(path, owner)
            with told(str(path.parent)), drive.opened(path.parent):
                pass
            if item.conflict_policy == "REJECT":
                with told(item.id):
                    drive.require_free(path)
            mark = f"{call.user}\n{path}\n{item.fingerprint}" if item.fingerprint else str(uuid.uuid4())
            upload = hashlib.sha256(mark.encode()).hexdigest()[:32]
            permit = Permit(
                "upload", str(path), owner.created_by, owner.project, call.user or "", item.conflict_policy, upload
            )
            return {
                "endpoint": f"{self._address}/chunked",
                "protocol": "CHUNKED",
                "token": self._tokens.give(permit),
            }

        return await self._each(call.content.items, one)

    async def download(self, call: Call[BulkRequest[ResolvedFileItem]]) -> _OBJECT:
        def one(item: ResolvedFileItem) -> _OBJECT:
            path, owner = files_paths.parse(item.id), _owner(item.resolved_collection)
            drive = self._drives.folder(path, owner)
            with told(item.id):
                if files_listing.one(drive, path)["status"]["type"] == "DIRECTORY":
                    raise BadRequest("A folder cannot be downloaded; name a file.")
            token = self._tokens.give(Permit("download", str(path), owner.created_by, owner.project, call.user or ""))
            return {"endpoint": f"{self._address}/download?token={token}"}

        return await self._each(call.content.items, one)

    async def _each(
        self, items: list[T], do: Callable[[T], _OBJECT], threads: ThreadPoolExecutor | None = None
    ) -> _OBJECT:
        return {"responses": await self._in_thread(lambda: [do(item) for item in items], threads)}

    async def _in_thread(self, do: Callable[[], T], threads: ThreadPoolExecutor | None = None) -> T:
        return await asyncio.get_running_loop().run_in_executor(threads or self._drives.threads, do)


def _owner(collection: Collection) -> Owner:
    return Owner(collection.owner.created_by, collection.owner.project)
