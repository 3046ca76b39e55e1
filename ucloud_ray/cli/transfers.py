"""The bytes of files, to and from a provider: in parts, and gone on with where a connection broke off.

The orchestrator hands out an address and a permit (docs/files.md); what happens here needs no token. Called by `files`.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx

from ucloud_ray.cli.errors import CliError, Refused, Unreachable

T = TypeVar("T")
PART = 32 * 1024 * 1024
"""Bytes of one request of an upload."""
PIECE = 1024 * 1024
ATTEMPTS = 5
"""In a row without a byte of progress."""
OFFSET = "Chunked-Upload-Offset"
AGAIN = frozenset({408, 409, 429, 502, 503, 504})
"""Answers after which a transfer goes on where it stopped; 409 tells where that is."""

Progress = Callable[[int], None]
"""Called with how many bytes are there now."""


class Transfers:
    def __init__(self, transport: httpx.BaseTransport | None = None, pause: float = 0.5) -> None:
        """`pause`: seconds before the second attempt, twice as long before each further one."""
        self._http = httpx.Client(timeout=60.0, transport=transport)
        self._pause = pause
        self._there = -1
        """Bytes that had come when we looked last."""
        self._in_vain = 0
        """Attempts since then."""

    def close(self) -> None:
        self._http.close()

    def upload(self, source: Path, permit: dict[str, Any], progress: Progress) -> str:
        """The path that the file has in the end. Raises `CliError`."""
        headers = {"Chunked-Upload-Token": permit["token"], "Chunked-Upload-Total-Size": str(source.stat().st_size)}
        with source.open("rb") as file:
            while True:
                offset = self._until_it_answers(partial(self._offset, permit, headers))
                self._came(offset, progress)
                answer = self._until_it_answers(partial(self._send, file, offset, permit, headers))
                if answer is not None and "id" in answer:
                    progress(source.stat().st_size)
                    return str(answer["id"])

    def download(self, endpoint: str, target: Path, progress: Progress) -> None:
        """Replaces `target` when everything is there; until then it grows as `target.part`, and a second call goes on
        with that if the file on the other side is the same still. Raises `CliError`."""
        part, mark = target.with_name(target.name + ".part"), target.with_name(target.name + ".part-of")
        with part.open("ab") as file:
            self._until_it_answers(partial(self._receive, endpoint, file, mark, progress))
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
        mark.unlink(missing_ok=True)

    # ----------------------------------------------------------------------------------------------------- internal

    def _offset(self, permit: dict[str, Any], headers: dict[str, str]) -> int:
        answer = self._http.head(permit["endpoint"], headers=headers)
        _check(answer)
        return int(answer.headers.get(OFFSET, "0"))

    def _send(self, file: Any, offset: int, permit: dict[str, Any], headers: dict[str, str]) -> Any:
        """The answer; None if the other side is elsewhere in the file."""
        answer = self._http.post(
            permit["endpoint"], headers={**headers, OFFSET: str(offset)}, content=_pieces(file, offset, PART)
        )
        if answer.status_code == httpx.codes.CONFLICT and OFFSET in answer.headers:
            return None
        _check(answer)
        return answer.json()

    def _receive(self, endpoint: str, file: Any, mark: Path, progress: Progress) -> None:
        """Returns when everything is there. What came before a connection broke off is kept."""
        held = file.seek(0, os.SEEK_END)
        headers = {"Range": f"bytes={held}-", "If-Range": mark.read_text()} if held and mark.exists() else {}
        with self._http.stream("GET", endpoint, headers=headers) as answer:
            if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # there is nothing beyond what we have
            if answer.is_error:
                answer.read()
            _check(answer)
            if answer.status_code != httpx.codes.PARTIAL_CONTENT:
                file.truncate(0)
                mark.write_text(answer.headers.get("ETag", ""))
            for piece in answer.iter_raw():
                file.write(piece)
                self._came(file.tell(), progress)

    def _came(self, count: int, progress: Progress) -> None:
        if count != self._there:
            self._there, self._in_vain = count, 0
        progress(count)

    def _until_it_answers(self, do: Callable[[], T]) -> T:
        self._in_vain = 0
        while True:
            try:
                return do()
            except httpx.TransportError as error:
                self._failed(
                    Unreachable("the provider that has the files does not answer", "try again: it goes on"), error
                )
            except Refused as error:
                self._failed(error, error)
            time.sleep(self._pause * 2 ** (self._in_vain - 1))

    def _failed(self, problem: CliError, cause: Exception) -> None:
        """Raises the problem if it is for good, or has been there for too long."""
        self._in_vain += 1
        if self._in_vain >= ATTEMPTS or (isinstance(problem, Refused) and problem.status not in AGAIN):
            raise problem from cause


def fingerprint(source: Path) -> str:
    """Of a local file: an upload goes on only with the same one."""
    found = source.stat()
    words = f"{source.resolve()} {found.st_size} {found.st_mtime_ns}"
    return hashlib.sha256(words.encode(errors="surrogateescape")).hexdigest()


def _pieces(file: Any, offset: int, length: int) -> Iterator[bytes]:
    file.seek(offset)
    while length and (piece := file.read(min(PIECE, length))):
        yield piece
        length -= len(piece)


def _check(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    try:
        why = answer.json()["why"]
    except (ValueError, KeyError, TypeError):
        why = f"the provider answered {answer.status_code} {answer.reason_phrase}"
    raise Refused(str(why), status=answer.status_code)
