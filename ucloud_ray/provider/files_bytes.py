"""The bytes of files, between a user and this provider, without the Core: `GET download` and `POST chunked`.

Upload: UCloud's chunked protocol. Each POST has `Chunked-Upload-Token`, `Chunked-Upload-Offset` and
`Chunked-Upload-Total-Size`; a HEAD with the token tells in `Chunked-Upload-Offset` how much has come. Memory is that of
one buffer a transfer, whatever the size.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from email.utils import formatdate
from typing import Any, TypeVar
from urllib.parse import quote

import structlog
from fastapi import FastAPI
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from ucloud_ray.control.errors import BadRequest, Busy, Refused
from ucloud_ray.domain.job import Owner
from ucloud_ray.provider import files_paths
from ucloud_ray.provider.errors import JsonResponse, bug, failure, refused
from ucloud_ray.provider.files_drives import FileDrives
from ucloud_ray.provider.files_errors import PartTooSlow, WrongOffset, told
from ucloud_ray.provider.files_range import OutOfRange, asked_for
from ucloud_ray.provider.files_tokens import FileTokens, Permit
from ucloud_ray.provider.files_tree import open_file
from ucloud_ray.provider.files_uploads import Part, Upload, is_full

log = structlog.get_logger("ucloud_ray.provider")

T = TypeVar("T")
TRANSFERS = 64
"""At the same time; more are answered 503."""
TRANSFERS_OF_ONE = 16
"""User, who may let all of them stand still."""
BUFFER = 1024 * 1024
IDLE_SECONDS = 60.0
"""Without a byte from a sender."""
OFFSET = "Chunked-Upload-Offset"


class Shrunk(Exception):
    """A file became shorter while it was sent."""


class FileBytes:
    def __init__(self, drives: FileDrives, tokens: FileTokens) -> None:
        self._drives = drives
        self._tokens = tokens
        self._under_way: Counter[str] = Counter()

    def install(self, app: FastAPI, base: str) -> None:
        """Serve them below `base`."""
        for path, methods, serve in (
            ("download", ["GET", "HEAD"], self.download),
            ("chunked", ["POST", "HEAD"], self.chunked),
        ):
            route = _guarded(serve)
            app.add_api_route(f"{base}/{path}", route, methods=methods, response_model=None, include_in_schema=False)

    async def download(self, request: Request) -> Response:
        permit = self._tokens.read(request.query_params.get("token", ""), "download")
        file = await self._in_thread(lambda: self._open(permit))
        try:
            answer = self._answer(request, permit, file)
        except BaseException:
            os.close(file)
            raise
        if not isinstance(answer, _Sent):
            os.close(file)
        return answer

    async def chunked(self, request: Request) -> Response:
        permit = self._tokens.read(request.headers.get("chunked-upload-token", ""), "upload")
        path = files_paths.parse(permit.path)
        with told(permit.path):
            upload = await self._in_thread(lambda: self._upload(permit, path))
            if request.method == "HEAD":
                return Response(headers={OFFSET: str(await self._in_thread(upload.offset))})
            offset, total = _size(request, OFFSET), _size(request, "Chunked-Upload-Total-Size")
            if offset > total:
                raise BadRequest("Chunked-Upload-Offset lies behind Chunked-Upload-Total-Size.")
            self._take(permit.user)
            try:
                return await self._receive(request, upload, offset, total)
            finally:
                self._let_go(permit.user)

    # ------------------------------------------------------------------------------------------------ internal

    def _open(self, permit: Permit) -> int:
        path = files_paths.parse(permit.path)
        drive = self._drives.folder(path, Owner(permit.created_by, permit.project))
        with told(permit.path):
            return open_file(drive, path)

    def _answer(self, request: Request, permit: Permit, file: int) -> Response:
        found = os.fstat(file)
        etag = f'"{found.st_ino:x}-{found.st_mtime_ns:x}-{found.st_size:x}"'
        headers = _headers(permit.path.rsplit("/", 1)[-1], etag, found.st_mtime)
        try:
            part = asked_for(request.headers, found.st_size, etag)
        except OutOfRange:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{found.st_size}"})
        headers["Content-Length"] = str(part.length)
        if part.partial:
            headers["Content-Range"] = f"bytes {part.start}-{part.start + part.length - 1}/{found.st_size}"
        status = 206 if part.partial else 200
        if request.method == "HEAD":
            return Response(status_code=status, headers=headers)
        self._take(permit.user)

        def over() -> None:
            os.close(file)
            self._let_go(permit.user)

        return _Sent(self._pieces(file, part.start, part.length), status, headers, over)

    async def _pieces(self, file: int, offset: int, left: int) -> AsyncIterator[bytes]:
        """Up to the length that was announced: a log may grow meanwhile. Raises `Shrunk`, which ends the connection:
        its reader must not take what came for the whole."""
        while left:
            piece = await self._in_thread(os.pread, file, min(left, BUFFER), offset)
            if not piece:
                raise Shrunk(f"the file ends at byte {offset}, {left} before what was announced")
            yield piece
            offset, left = offset + len(piece), left - len(piece)

    def _upload(self, permit: Permit, path: files_paths.DrivePath) -> Upload:
        drive = self._drives.folder(path, Owner(permit.created_by, permit.project))
        return Upload(drive, permit.upload_id, path, permit.policy, self._drives.maker(permit.user))

    async def _receive(self, request: Request, upload: Upload, offset: int, total: int) -> Response:
        part = await self._in_thread(upload.begin, offset, total)
        try:
            came = offset + await self._copy(request, part, total - offset)
            if came < total:
                return JsonResponse({}, headers={OFFSET: str(came)})
            checksum = request.headers.get("chunked-upload-sha256")
            name = await self._in_thread(upload.complete, part, total, checksum)
        except OSError as problem:
            if is_full(problem):
                await self._in_thread(upload.discard)
            raise
        finally:
            await self._in_thread(part.close)
        return JsonResponse({"id": str(upload.path.parent / name)}, headers={OFFSET: str(total)})

    async def _copy(self, request: Request, part: Part, room: int) -> int:
        pieces: list[bytes] = []
        held = came = 0
        stream = request.stream()
        try:
            while (piece := await _next(stream)) is not None:
                came, held = came + len(piece), held + len(piece)
                if came > room:
                    raise BadRequest("More bytes came than Chunked-Upload-Total-Size says.")
                pieces.append(piece)
                if held >= BUFFER:
                    full, pieces, held = pieces, [], 0  # never written twice, also if this fails half way
                    await self._in_thread(part.write, full)
        finally:
            if pieces:  # also of a sender that was cut off: the upload goes on from here
                await self._in_thread(part.write, pieces)
        return came

    def _take(self, user: str) -> None:
        if self._under_way[user] >= TRANSFERS_OF_ONE or self._under_way.total() >= TRANSFERS:
            raise Busy("Too many files are being transferred at the moment. Try again in a few seconds.")
        self._under_way[user] += 1

    def _let_go(self, user: str) -> None:
        self._under_way[user] -= 1
        if not self._under_way[user]:
            del self._under_way[user]

    async def _in_thread(self, do: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._drives.threads, do, *arguments)


class _Sent(StreamingResponse):
    """Calls `over` once, however it ends: a generator that was never begun has no end of its own."""

    def __init__(
        self, pieces: AsyncIterator[bytes], status: int, headers: dict[str, str], over: Callable[[], None]
    ) -> None:
        super().__init__(pieces, status, headers)
        self._over = over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except Shrunk as shrunk:  # what is missing is not sent: the server then ends the connection
            log.info("a download was broken off", reason=str(shrunk))
        finally:
            self._over()


async def _next(stream: AsyncIterator[bytes]) -> bytes | None:
    try:
        async with asyncio.timeout(IDLE_SECONDS):
            return await anext(stream, None)
    except TimeoutError:
        raise PartTooSlow("Nothing has come for a minute. Go on where it stopped.") from None


def _guarded(serve: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    async def route(request: Request) -> Response:
        try:
            return await serve(request)
        except WrongOffset as error:
            return failure(409, error.why, None, {OFFSET: str(error.offset), "Connection": "close"})
        except Refused as error:
            answer = refused(error)
            answer.headers["Connection"] = "close"  # its body was not read
            return answer
        except ClientDisconnect:
            return failure(400, "The caller left before its request was complete")
        except Exception as error:
            return bug(error, request.url.path)

    return route


def _headers(name: str, etag: str, modified: float) -> dict[str, str]:
    """Nothing of a user's is ever shown or run as a page of this provider's."""
    return {
        "Content-Type": "application/octet-stream",
        "X-Content-Type-Options": "nosniff",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "Cache-Control": "private, no-store",
        "Accept-Ranges": "bytes",
        "ETag": etag,
        **_last_modified(modified),
    }


def _last_modified(modified: float) -> dict[str, str]:
    """Not of a time that has no date: users may give their files any."""
    with suppress(ValueError, OverflowError, OSError):
        return {"Last-Modified": formatdate(modified, usegmt=True)}
    return {}


def _size(request: Request, name: str) -> int:
    text = request.headers.get(name, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise BadRequest(f"The header {name} must be a whole number.")
    return int(text)
