"""Bytes of files, over a provider whose connections break off (docs/files.md)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.client.conftest import session
from ucloud_ray.client import transfers
from ucloud_ray.client.awaiting import Awaiting
from ucloud_ray.client.blocking import Blocking
from ucloud_ray.client.calls import as_it_is
from ucloud_ray.client.errors import Mistake, Refused, Unavailable
from ucloud_ray.client.transfers import OFFSET, Download, Progress, Upload, fingerprint, target_of

PERMIT = {"endpoint": "http://provider/chunked", "token": "t0ken"}
ENDPOINT = "http://provider/download?token=t0ken"
CONTENT = bytes(range(256)) * 40


class Broken(httpx.SyncByteStream, httpx.AsyncByteStream):
    """An answer that breaks off after some bytes."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self.content
        raise httpx.ReadError("the connection broke off")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece


@dataclass
class Provider:
    """Keeps one file. `breaks`: after how many bytes the next transfers break off."""

    content: bytes = b""
    etag: str = '"1"'
    breaks: list[int] = field(default_factory=list)
    refuse: list[tuple[int, str]] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    """Method, and offset or range."""
    is_awaited: bool = False

    def upload(self, source: Path, progress: Progress) -> str:
        with source.open("rb") as file:
            return str(self.carry_out(Upload(file, source.stat().st_size, PERMIT, progress).run()))

    def download(self, target: Path, progress: Progress) -> None:
        self.carry_out(Download(ENDPOINT, target, progress).run())

    def carry_out(self, plan: Generator[Any, Any, Any]) -> Any:
        if not self.is_awaited:
            with httpx.Client(transport=httpx.MockTransport(self.answer)) as http:
                return Blocking(session(), http).call(plan, as_it_is)

        async def run() -> Any:
            async with httpx.AsyncClient(transport=httpx.MockTransport(self.answer)) as http:
                return await Awaiting(session(), http).call(plan, as_it_is)

        return asyncio.run(run())

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.method, request.headers.get(OFFSET) or request.headers.get("Range", "")))
        if self.refuse:
            status, why = self.refuse.pop(0)
            return httpx.Response(status, json={"why": why})
        if request.method == "GET":
            return self._sent(request)
        assert request.headers["Chunked-Upload-Token"] == PERMIT["token"]
        return self._received(request)

    def _sent(self, request: httpx.Request) -> httpx.Response:
        wanted = request.headers.get("Range", "")
        same = request.headers.get("If-Range") == self.etag
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and same else 0
        if start and start >= len(self.content):
            return httpx.Response(416)
        status, rest = (206 if start else 200), self.content[start:]
        headers = {"ETag": self.etag}
        if self.breaks:
            return httpx.Response(status, headers=headers, stream=Broken(rest[: self.breaks.pop(0)]))
        return httpx.Response(status, headers=headers, stream=httpx.ByteStream(rest))

    def _received(self, request: httpx.Request) -> httpx.Response:
        there = {OFFSET: str(len(self.content))}
        if request.method == "HEAD":
            return httpx.Response(200, headers=there)
        if int(request.headers[OFFSET]) != len(self.content):
            return httpx.Response(409, headers=there, json={"why": "a gap"})
        body = request.read()
        if self.breaks:
            self.content += body[: self.breaks.pop(0)]
            raise httpx.WriteError("the connection broke off")
        self.content += body
        done = len(self.content) == int(request.headers["Chunked-Upload-Total-Size"])
        return httpx.Response(200, json={"id": "/home/data"} if done else {})


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(transfers, "PART", 4096)
    file = tmp_path / "data"
    file.write_bytes(CONTENT)
    return file


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "PAUSE_SECONDS", 0.0)


@pytest.fixture
def told() -> list[int]:
    return []


both = pytest.mark.parametrize("is_awaited", [False, True], ids=["waited for", "awaited"])


def test_a_file_is_sent_in_parts(source: Path, told: list[int]) -> None:
    provider = Provider()
    assert provider.upload(source, told.append) == "/home/data"
    assert provider.content == CONTENT
    assert [offset for method, offset in provider.asked if method == "POST"] == ["0", "4096", "8192"]
    assert told == sorted(told)
    assert told[-1] == len(CONTENT)


@both
def test_an_upload_goes_on_where_each_connection_broke_off(source: Path, told: list[int], is_awaited: bool) -> None:
    provider = Provider(breaks=[100, 0, 1, 4000, 17, 5, 1], is_awaited=is_awaited)
    provider.upload(source, told.append)
    assert provider.content == CONTENT


def test_an_upload_that_was_begun_earlier_goes_on_from_there(source: Path, told: list[int]) -> None:
    provider = Provider(content=CONTENT[:9000])
    provider.upload(source, told.append)
    assert provider.content == CONTENT
    assert [offset for method, offset in provider.asked if method == "POST"] == ["9000"]


def test_an_empty_file_is_sent(source: Path, told: list[int]) -> None:
    source.write_bytes(b"")
    assert Provider().upload(source, told.append) == "/home/data"


def test_what_never_gets_further_is_given_up_with_what_to_do(source: Path, told: list[int]) -> None:
    provider = Provider(breaks=[0] * 100)
    with pytest.raises(Unavailable, match="the transfer goes on"):
        provider.upload(source, told.append)
    assert len([1 for method, _ in provider.asked if method == "POST"]) <= transfers.ATTEMPTS


def test_a_refusal_for_good_is_told_at_once_and_one_for_now_is_waited_for(source: Path, told: list[int]) -> None:
    busy = (503, "too many")
    provider = Provider(refuse=[busy, busy, (403, "the permit has expired")])
    with pytest.raises(Refused, match="expired"):
        provider.upload(source, told.append)
    assert len(provider.asked) == 3
    again = Provider(refuse=[busy, busy])
    assert again.upload(source, told.append) == "/home/data"


# ------------------------------------------------------------------------------------------------------- download


@both
def test_a_download_goes_on_where_each_connection_broke_off(tmp_path: Path, told: list[int], is_awaited: bool) -> None:
    target = tmp_path / "got"
    provider = Provider(CONTENT, breaks=[100, 1, 3000, 2, 2, 2, 2], is_awaited=is_awaited)
    provider.download(target, told.append)
    assert target.read_bytes() == CONTENT
    assert provider.asked[1] == ("GET", "bytes=100-")
    assert list(tmp_path.iterdir()) == [target]


def test_a_download_that_was_given_up_keeps_what_came_and_goes_on_later(tmp_path: Path, told: list[int]) -> None:
    target = tmp_path / "got"
    provider = Provider(CONTENT, breaks=[100] + [0] * transfers.ATTEMPTS)
    with pytest.raises(Unavailable):
        provider.download(target, told.append)
    assert not target.exists()
    provider.breaks.clear()
    provider.asked.clear()
    provider.download(target, told.append)
    assert target.read_bytes() == CONTENT
    assert provider.asked == [("GET", "bytes=100-")]


def test_a_file_that_changed_meanwhile_is_downloaded_from_its_beginning(tmp_path: Path, told: list[int]) -> None:
    target = tmp_path / "got"
    provider = Provider(CONTENT, breaks=[100] + [0] * transfers.ATTEMPTS)
    with pytest.raises(Unavailable):
        provider.download(target, told.append)
    provider.content, provider.etag, provider.breaks = b"another", '"2"', []
    provider.download(target, told.append)
    assert target.read_bytes() == b"another"


def test_a_download_that_had_everything_but_its_name_is_finished(tmp_path: Path, told: list[int]) -> None:
    target = tmp_path / "got"
    (tmp_path / "got.part").write_bytes(CONTENT)
    (tmp_path / "got.part-of").write_text('"1"')
    Provider(CONTENT).download(target, told.append)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("content", [b"", CONTENT])
def test_a_download_replaces_the_target_in_one_step(tmp_path: Path, told: list[int], content: bytes) -> None:
    target = tmp_path / "got"
    target.write_bytes(b"old")
    Provider(content).download(target, lambda _: told.append(len(target.read_bytes())))
    assert target.read_bytes() == content
    assert set(told) <= {3}


def test_files_are_told_apart_by_place_size_and_time(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for file in (one, other):
        file.write_bytes(b"same")
    seen = {fingerprint(one), fingerprint(other)}
    one.write_bytes(b"longer")
    assert len(seen | {fingerprint(one)}) == 3


def test_a_target_is_never_replaced_unasked(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"")
    assert target_of(tmp_path, "new", False) == tmp_path / "new"
    assert target_of(tmp_path / "there", "new", True) == tmp_path / "there"
    for given, why in ((tmp_path / "there", "exists"), (tmp_path / "no" / "x", "there is no folder")):
        with pytest.raises(Mistake, match=why):
            target_of(given, "new", False)


def test_the_content_that_is_sent_has_the_announced_length(source: Path, told: list[int]) -> None:
    """So that whoever receives a part that was cut knows it."""
    provider, lengths = Provider(), []
    answer = provider.answer

    def noted(request: httpx.Request) -> httpx.Response:
        lengths.append((request.method, request.headers.get("content-length"), "transfer-encoding" in request.headers))
        return answer(request)

    provider.answer = noted  # type: ignore[method-assign]
    provider.upload(source, told.append)
    assert [entry for entry in lengths if entry[0] == "POST"] == [
        ("POST", "4096", False),
        ("POST", "4096", False),
        ("POST", "2048", False),
    ]
