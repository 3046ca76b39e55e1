"""The bytes of files, to and from a provider: in parts, and gone on with where a connection broke off.

UCloud/Core hands out an address and a permit (docs/files.md); what happens here needs no token. Behind `files`, and
`download` of a job.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from ucloud_ray.client.effects import Fetch, Json, NoAnswer, NotReached, Plan, Reply, Send, Sleep, Slice
from ucloud_ray.client.errors import ClientError, Mistake, StrangeAnswer, Unavailable, refused
from ucloud_ray.client.session import Session, first_response
from ucloud_ray.client.values import drive_path

T = TypeVar("T")
PART = 32 * 1024 * 1024
"""Bytes of one request of an upload."""
ATTEMPTS = 5
"""In a row without a byte of progress."""
PAUSE_SECONDS = 0.5
"""Before the second attempt, twice as long before each further one."""
OFFSET = "Chunked-Upload-Offset"
AGAIN = frozenset({408, 409, 429, 502, 503, 504})
"""Answers after which a transfer goes on where it stopped; 409 tells where that is."""

GONE = "the provider that has the files does not answer; ask again later: the transfer goes on"

Progress = Callable[[int], None]
"""Called with how many bytes are there now."""


def upload(
    session: Session, source: str | Path, place: str | Path, replace: bool, progress: Progress | None
) -> Plan[str]:
    """The path that the file has in the end. A `place` that ends with a slash is a folder. Raises `ClientError`."""
    file, path = Path(source), drive_path(place)
    if str(place).endswith("/"):
        path += f"/{file.name}"
    try:
        opened = file.open("rb")
    except OSError as error:
        raise Mistake(f"{file} cannot be read ({error.strerror})") from error
    with opened:
        policy = "REPLACE" if replace else "REJECT"
        item = {"id": path, "conflictPolicy": policy, "fingerprint": fingerprint(file)}
        given = yield from permit(session, "upload", item)
        size = os.fstat(opened.fileno()).st_size
        return (yield from Upload(opened, size, given, progress or _silent).run())


def download(
    session: Session, place: str | Path, target: str | Path | None, replace: bool, progress: Progress | None
) -> Plan[Path]:
    """Where the file is in the end. A `target` that is a folder gets it under its own name. Raises `ClientError`."""
    path = drive_path(place)
    file = target_of(None if target is None else Path(target), path.rpartition("/")[2], replace)
    given = yield from permit(session, "download", {"id": path})
    yield from Download(given["endpoint"], file, progress or _silent).run()
    return file


def permit(session: Session, purpose: str, item: dict[str, Any]) -> Plan[Json]:
    """Asking twice does no harm: a permit is only that."""
    answer = yield from session.ask("POST", f"/api/files/{purpose}", body={"items": [item]}, repeatable=True)
    return first_response(answer)


def target_of(given: Path | None, name: str, replace: bool) -> Path:
    file = Path(name) if given is None else given / name if given.is_dir() else given
    if file.exists() and not replace:
        raise Mistake(f"{file} exists", "name another file, or ask to replace it")
    if not file.parent.is_dir():
        raise Mistake(f"there is no folder {file.parent}", "make it first")
    return file


def fingerprint(source: Path) -> str:
    """Of a local file: an upload goes on only with the same one."""
    found = source.stat()
    words = f"{source.resolve()} {found.st_size} {found.st_mtime_ns}"
    return hashlib.sha256(words.encode(errors="surrogateescape")).hexdigest()


class _Transfer:
    """Counts what came, and the attempts that brought nothing."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._there = -1
        """Bytes that had come when we looked last."""
        self._in_vain = 0
        """Attempts since then."""

    def _came(self, count: int) -> None:
        if count != self._there:
            self._there, self._in_vain = count, 0
        self._progress(count)

    def _until_it_answers(self, attempt: Callable[[], Plan[Reply]]) -> Plan[Reply]:
        """An answer that is final in some way. What broke off, or is refused for now, is tried again."""
        self._in_vain = 0
        while True:
            try:
                reply = yield from attempt()
            except (NotReached, NoAnswer):
                problem: ClientError = Unavailable(GONE)
            else:
                if reply.status not in AGAIN or (reply.status == 409 and OFFSET.lower() in reply.headers):
                    return reply
                problem = _refusal(reply)
            self._in_vain += 1
            if self._in_vain >= ATTEMPTS:
                raise problem
            yield Sleep(PAUSE_SECONDS * 2 ** (self._in_vain - 1))


class Upload(_Transfer):
    def __init__(self, file: BinaryIO, size: int, permit: Json, progress: Progress) -> None:
        super().__init__(progress)
        self._file, self._size = file, size
        self._endpoint = str(permit["endpoint"])
        self._headers = {"Chunked-Upload-Token": str(permit["token"]), "Chunked-Upload-Total-Size": str(size)}

    def run(self) -> Plan[str]:
        while True:
            offset = yield from self._offset()
            self._came(offset)
            reply = yield from self._until_it_answers(partial(self._send, offset))
            if reply.status == 409:
                continue  # the other side is elsewhere in the file
            answer = json.loads(_good(reply).content or b"{}")
            if "id" in answer:
                self._progress(self._size)
                return str(answer["id"])

    def _offset(self) -> Plan[int]:
        """How much has come."""

        def ask() -> Plan[Reply]:
            reply: Reply = yield Send("HEAD", self._endpoint, self._headers)
            return reply

        reply = yield from self._until_it_answers(ask)
        return int(_good(reply).headers.get(OFFSET.lower(), "0"))

    def _send(self, offset: int) -> Plan[Reply]:
        length = max(0, min(PART, self._size - offset))
        headers = {**self._headers, OFFSET: str(offset), "Content-Length": str(length)}
        reply: Reply = yield Send("POST", self._endpoint, headers, content=Slice(self._file, offset, length))
        return reply


class Download(_Transfer):
    """Replaces the target when everything is there; until then it grows as `target.part`, and a second call goes on
    with that if the file on the other side is the same still."""

    def __init__(self, endpoint: str, target: Path, progress: Progress) -> None:
        super().__init__(progress)
        self._endpoint, self._target = endpoint, target
        self._part = target.with_name(target.name + ".part")
        self._mark = target.with_name(target.name + ".part-of")

    def run(self) -> Plan[None]:
        with self._part.open("ab") as file:
            reply = yield from self._until_it_answers(lambda: self._receive(file))
            if reply.status != 416:  # then there is nothing beyond what we have
                _good(reply)
            file.flush()
            os.fsync(file.fileno())
        self._part.replace(self._target)
        self._mark.unlink(missing_ok=True)

    def _receive(self, file: BinaryIO) -> Plan[Reply]:
        """What came before a connection broke off is kept."""

        def begin(head: Reply) -> None:
            if head.status != 206:
                file.truncate(0)
                self._mark.write_text(head.headers.get("etag", ""))

        def sink(piece: bytes) -> None:
            file.write(piece)
            self._came(file.tell())

        held = file.seek(0, os.SEEK_END)
        known = held and self._mark.exists()
        headers = {"Range": f"bytes={held}-", "If-Range": self._mark.read_text()} if known else {}
        reply: Reply = yield Fetch(self._endpoint, headers, begin, sink)
        return reply


def _good(reply: Reply) -> Reply:
    if not reply.is_success:
        raise _refusal(reply)
    return reply


def _refusal(reply: Reply) -> ClientError:
    try:
        body = json.loads(reply.content)
    except ValueError:
        body = None
    problem = refused(reply.status, body, reply.reason)
    return problem if reply.status >= 400 else StrangeAnswer(problem.why)


def _silent(count: int) -> None:
    pass
