"""Files of drives over the provider's own HTTP: nothing leaves the drive, and a transfer that is cut goes on."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.swapping import swapping
from tests.support.wait import async_wait_until
from tests.unit.provider.conftest import SETTINGS
from tests.unit.provider.fakes import RecordingService, ScriptedFollower, ScriptedReader
from ucloud_ray.provider import files_bytes, files_calls, files_removal, files_tokens, files_uploads
from ucloud_ray.provider.app import create_app
from ucloud_ray.provider.auth import TokenVerifier
from ucloud_ray.settings import DriveOwner, DriveSettings

ALICE = {"id": "87", "owner": {"createdBy": "alice", "project": None}}
UPLOADS = ".ucloud-ray-uploads"
ODD = ["100%.txt", "a'\"b", "new\nline", "😀", "å" * 127, "..x", "-rf", " ", "<b>"]


@dataclass
class Files:
    http: httpx.AsyncClient
    headers: dict[str, str]
    root: Path

    async def call(self, name: str, *items: dict[str, Any], method: str = "POST") -> httpx.Response:
        content = {"items": [{"resolvedCollection": ALICE, **item} for item in items]}
        path = f"/ucloud/example/{name}"
        return await self.http.request(method, path, json=content, headers=self.headers)

    async def done(self, name: str, *items: dict[str, Any], method: str = "POST") -> list[Any]:
        answer = await self.call(name, *items, method=method)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["responses"])

    async def browse(self, path: str, **more: Any) -> httpx.Response:
        content = {"resolvedCollection": ALICE, "browse": {"path": path, **more}}
        return await self.http.post("/ucloud/example/files/browse", json=content, headers=self.headers)

    async def names(self, path: str, **more: Any) -> list[str]:
        answer = await self.browse(path, **more)
        assert answer.status_code == 200, answer.text
        return [file["id"] for file in answer.json()["items"]]

    async def permit(self, path: str, policy: str = "REJECT", **more: Any) -> str:
        [given] = await self.done("files/upload", {"id": path, "conflictPolicy": policy, **more})
        assert given["endpoint"].endswith("/ucloud/example/chunked")
        return str(given["token"])

    async def send(self, token: str, data: bytes, offset: int = 0, total: int | None = None, **more: str) -> Any:
        headers = {
            "Chunked-Upload-Token": token,
            "Chunked-Upload-Offset": str(offset),
            "Chunked-Upload-Total-Size": str(len(data) if total is None else total),
            **more,
        }
        return await self.http.post("/ucloud/example/chunked", content=data, headers=headers)

    async def fetch(self, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        [given] = await self.done("files/download", {"id": path})
        return await self.http.request(method, given["endpoint"], headers=headers)


@pytest.fixture
async def files(tmp_path: Path, verifier: TokenVerifier, core_headers: dict[str, str]) -> AsyncIterator[Files]:
    root = tmp_path / "drive"
    root.mkdir()
    drives = (DriveSettings("87", "Home", root, DriveOwner("user", "alice")),)
    settings = replace(SETTINGS, data_dir=tmp_path / "data", drives=drives)
    app = create_app(RecordingService(), ScriptedFollower(), ScriptedReader(), settings, verifier)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://provider") as http:
        yield Files(http, core_headers, root)


async def test_a_name_is_a_name_whatever_is_in_it(files: Files) -> None:
    for name in ODD:
        assert (await files.send(await files.permit(f"/87/{name}"), name.encode())).status_code == 200
    assert sorted(await files.names("/87")) == sorted(f"/87/{name}" for name in ODD)
    for name in ODD:
        answer = await files.fetch(f"/87/{name}")
        assert (answer.status_code, answer.content) == (200, name.encode())
        assert answer.headers["content-type"] == "application/octet-stream"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_a_name_that_is_not_unicode_is_listed_with_its_bytes(files: Files) -> None:
    os.mknod(os.fsencode(files.root) + b"/a\xff")
    [file] = (await files.browse("/87")).json()["items"]
    assert (file["id"], file["status"]["nameBytes"]) == ("/87/a�", "Yf8=")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/87/../secret", 400), ("/87/out/file", 400), ("/87/absolute", 400), ("/88/x", 404), ("87/x", 400),
        ("/87/" + "x" * 256, 400), (f"/87/{UPLOADS}/x", 404), ("/87/none", 404), ("/87/a\0b", 400),
    ],
)  # fmt: skip
async def test_what_is_not_on_the_drive_cannot_be_reached(files: Files, path: str, status: int) -> None:
    secret = files.root.parent / "secret"
    secret.mkdir()
    (secret / "file").write_text("secret")
    (files.root / "out").symlink_to("../secret")
    (files.root / "absolute").symlink_to(secret / "file")
    if path == "/87/absolute":  # a link may be named; what it leads to may not be read
        answer = await files.fetch(path)
    else:
        answer = await files.call("files/download", {"id": path})
    assert (answer.status_code, "secret" in answer.text.replace("/87/../secret", "")) == (status, False)
    assert [entry.name for entry in secret.iterdir()] == ["file"]


async def test_nothing_is_written_through_a_folder_that_is_swapped_for_a_link(files: Files) -> None:
    """ENV-18."""
    elsewhere = files.root.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_text("kept")
    (files.root / "data").mkdir()
    answered = set()
    with swapping(files.root / "data", elsewhere):
        for number in range(150):
            made = await files.call("files/folder", {"id": f"/87/data/{number}"})
            gone = await files.call("files", {"id": "/87/data/kept"}, method="DELETE")
            answered |= {made.status_code, gone.status_code}
    assert [entry.name for entry in elsewhere.iterdir()] == ["kept"]
    assert answered <= {200, 400, 404}
    assert 200 in answered


async def test_a_folder_comes_in_pages_that_stay_in_order_while_it_changes(files: Files) -> None:
    for number in range(25):
        (files.root / f"{number:02}").touch()
    first = (await files.browse("/87", itemsPerPage=10)).json()
    (files.root / "00a").touch()
    (files.root / "05").unlink()
    second = (await files.browse("/87", itemsPerPage=10, next=first["next"])).json()
    third = (await files.browse("/87", itemsPerPage=10, next=second["next"])).json()
    seen = [file["id"] for page in (first, second, third) for file in page["items"]]
    assert (seen, third["next"]) == ([f"/87/{number:02}" for number in range(25)], None)
    assert (await files.browse("/87", next="nonsense")).status_code == 400


async def test_an_upload_that_is_cut_leaves_the_old_file_and_goes_on(files: Files) -> None:
    (files.root / "a").write_text("old")
    token = await files.permit("/87/a", "REPLACE", fingerprint="f")
    assert (await files.send(token, b"hello ", total=11)).status_code == 200
    assert ((files.root / "a").read_text(), await files.names("/87")) == ("old", ["/87/a"])
    again = await files.permit("/87/a", "REPLACE", fingerprint="f")
    told = await files.http.head("/ucloud/example/chunked", headers={"Chunked-Upload-Token": again})
    assert told.headers["chunked-upload-offset"] == "6"
    gap = await files.send(again, b"!", offset=9, total=11)
    assert (gap.status_code, gap.headers["chunked-upload-offset"]) == (409, "6")
    assert (await files.send(again, b"world", offset=6, total=11)).json()["id"] == "/87/a"
    assert ((files.root / "a").read_text(), list((files.root / UPLOADS).iterdir())) == ("hello world", [])


@pytest.mark.parametrize(
    ("policy", "status", "content"),
    [("REJECT", 409, {"a.txt": "old"}), ("REPLACE", 200, {"a.txt": "new"}),
     ("RENAME", 200, {"a.txt": "old", "a(1).txt": "new"})],
)  # fmt: skip
async def test_what_is_there_already_is_treated_as_asked(
    files: Files, policy: str, status: int, content: dict[str, str]
) -> None:
    """Also a file that came after the permit was given."""
    token = await files.permit("/87/a.txt", policy)
    (files.root / "a.txt").write_text("old")
    assert (await files.send(token, b"new")).status_code == status
    assert {file.name: file.read_text() for file in files.root.iterdir() if file.is_file()} == content
    assert list(files.root.glob(f"{UPLOADS}/*")) == []


async def test_nobody_gets_a_permit_for_a_name_that_is_taken_and_must_stay(files: Files) -> None:
    """So that nothing is sent, or tried again, for nothing."""
    (files.root / "a").write_text("old")
    answers = [
        (await files.call("files/upload", {"id": "/87/a", "conflictPolicy": policy})).status_code
        for policy in ("REJECT", "REPLACE", "RENAME")
    ]
    assert answers == [409, 200, 200]


async def test_an_upload_whose_name_is_taken_on_the_way_is_kept_for_another_policy(files: Files) -> None:
    token = await files.permit("/87/a", fingerprint="f")
    assert (await files.send(token, b"ne", total=3)).status_code == 200
    (files.root / "a").write_text("old")
    assert (await files.send(token, b"w", offset=2, total=3)).status_code == 409
    assert (files.root / "a").read_text() == "old"
    again = await files.permit("/87/a", "REPLACE", fingerprint="f")
    assert (await files.send(again, b"", offset=3, total=3)).status_code == 200
    assert (files.root / "a").read_text() == "new"


async def test_what_arrives_damaged_is_not_kept(files: Files) -> None:
    token = await files.permit("/87/a")
    right = hashlib.sha256(b"data").hexdigest()
    assert (await files.send(token, b"dat4", **{"Chunked-Upload-Sha256": right})).status_code == 400
    assert (list((files.root / UPLOADS).iterdir()), await files.names("/87")) == ([], [])
    assert (await files.send(token, b"data", **{"Chunked-Upload-Sha256": right})).status_code == 200


async def test_a_file_for_which_there_is_no_room_is_refused_and_nothing_of_it_stays(files: Files) -> None:
    answer = await files.send(await files.permit("/87/a"), b"x", total=2**59)
    assert answer.status_code == 507
    assert list((files.root / UPLOADS).iterdir()) == []


async def test_an_empty_file_is_a_file(files: Files) -> None:
    assert (await files.send(await files.permit("/87/empty"), b"")).status_code == 200
    assert (files.root / "empty").stat().st_size == 0


@pytest.mark.parametrize(
    ("asked", "status", "content", "where"),
    [
        ("bytes=2-4", 206, b"234", "bytes 2-4/10"), ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=-3", 206, b"789", "bytes 7-9/10"), ("bytes=8-99", 206, b"89", "bytes 8-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"), ("bytes=-0", 416, b"", "bytes */10"),
        ("bytes=5-2", 200, b"0123456789", None), ("bytes=0-1,3-4", 200, b"0123456789", None),
    ],
)  # fmt: skip
async def test_a_part_of_a_file(files: Files, asked: str, status: int, content: bytes, where: str | None) -> None:
    """RFC 9110, 14."""
    (files.root / "a").write_bytes(b"0123456789")
    answer = await files.fetch("/87/a", Range=asked)
    assert (answer.status_code, answer.content, answer.headers.get("content-range")) == (status, content, where)


async def test_a_download_goes_on_only_if_the_file_is_still_the_same(files: Files) -> None:
    (files.root / "a").write_bytes(b"0123456789")
    etag = (await files.fetch("/87/a", "HEAD")).headers["etag"]
    part = {"Range": "bytes=5-", "If-Range": etag}
    assert (await files.fetch("/87/a", **part)).content == b"56789"
    (files.root / "a").write_bytes(b"abc")
    assert (await files.fetch("/87/a", **part)).content == b"abc"


async def test_what_is_neither_file_nor_folder_holds_nobody_up(files: Files) -> None:
    os.mkfifo(files.root / "pipe")
    assert (await files.fetch("/87/pipe")).status_code == 400


async def test_files_are_moved_trashed_and_removed(files: Files) -> None:
    await files.done("files/folder", {"id": "/87/x/y"})
    (files.root / "x/y/a").write_text("a")
    both = {"resolvedOldCollection": ALICE, "resolvedNewCollection": ALICE}
    await files.done("files/move", {**both, "oldId": "/87/x/y/a", "newId": "/87/b"})
    assert (files.root / "b").read_text() == "a"
    assert await files.done("files/trash", {"id": "/87/b"}) == [{"id": "/87/Trash/b"}]
    (files.root / "x/link").symlink_to("../Trash")
    await files.done("files", {"id": "/87/x"}, method="DELETE")
    assert await files.names("/87/Trash") == ["/87/Trash/b"]
    assert (await files.call("files", {"id": "/87"}, method="DELETE")).status_code == 400


async def test_the_trash_is_emptied(files: Files) -> None:
    await files.done("files/folder", {"id": "/87/x/y"})
    await files.done("files/trash", {"id": "/87/x"})
    assert await files.names("/87/Trash") == ["/87/Trash/x"]
    for _ in range(2):
        assert await files.done("files/emptyTrash", {"id": "/87/Trash"}) == [{}]
    assert list(files.root.iterdir()) == []
    assert await files.done("files/emptyTrash", {"id": "/87"}) == [{}]


async def test_a_removal_that_takes_long_is_answered_when_nothing_is_to_be_seen_any_more(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the Core gives up; what is left is removed behind the answer."""
    await files.done("files/folder", {"id": "/87/x/y"})
    begun, go_on = threading.Event(), threading.Event()
    remove = files_removal.remove

    def slowly(parent: int, name: str) -> None:
        begun.set()
        go_on.wait(10)
        remove(parent, name)

    monkeypatch.setattr(files_removal, "remove", slowly)
    monkeypatch.setattr(files_calls, "REMOVED_WITHIN_SECONDS", 0.01)
    assert await files.done("files", {"id": "/87/x"}, method="DELETE") == [{}]
    assert begun.wait(10)
    assert not (files.root / "x").exists()
    assert len(list(files.root.iterdir())) == 1
    go_on.set()

    async def gone() -> bool:
        return list(files.root.iterdir()) == []

    await async_wait_until(gone, "the rest to be removed")


@pytest.mark.parametrize("token", ["", "nonsense", "other"])
async def test_no_byte_without_a_permit_for_it(files: Files, token: str) -> None:
    (files.root / "a").write_text("a")
    shown = await files.permit("/87/b") if token == "other" else token
    assert (await files.http.get("/ucloud/example/download", params={"token": shown})).status_code == 401
    [given] = await files.done("files/download", {"id": "/87/a"})
    assert (await files.send(given["endpoint"].partition("=")[2], b"x")).status_code == 401
    assert await files.names("/87") == ["/87/a"]


async def test_a_permit_ends_after_a_while(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that a right that was taken back does not live on in it."""
    (files.root / "a").write_text("a")
    monkeypatch.setattr(files_tokens, "LIFETIME_SECONDS", -1)
    assert (await files.fetch("/87/a")).status_code == 401
    assert (await files.send(await files.permit("/87/b"), b"x")).status_code == 401
    assert await files.names("/87") == ["/87/a"]


async def test_a_tree_deeper_than_calls_may_nest_is_made_and_removed(files: Files) -> None:
    both = {"resolvedOldCollection": ALICE, "resolvedNewCollection": ALICE}
    deep = "/87/0" + "/d" * 1100
    await files.done("files/folder", {"id": deep})
    (files.root / deep.removeprefix("/87/") / "file").touch()
    await files.done("files/folder", {"id": "/87/top" + "/d" * 1100})  # together deeper than a path may be long
    await files.done("files/move", {**both, "oldId": "/87/0", "newId": "/87/top" + "/d" * 1100 + "/0"})
    assert await files.done("files", {"id": "/87/top"}, method="DELETE") == [{}]
    assert await files.names("/87") == []


async def test_an_upload_that_another_sender_completes_is_not_written_to(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the opening of the incomplete file and its lock."""
    token = await files.permit("/87/a")
    lock = files_uploads.fcntl.flock

    def completed_before(file: int, how: int) -> None:
        [incomplete] = (files.root / UPLOADS).iterdir()
        incomplete.write_text("whole")
        incomplete.rename(files.root / "a")
        lock(file, how)

    monkeypatch.setattr(files_uploads.fcntl, "flock", completed_before)
    assert (await files.send(token, b"x")).status_code == 409
    assert (files.root / "a").read_text() == "whole"


async def test_nothing_stays_of_an_upload_for_which_the_room_ends_on_the_way(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(file: int, data: memoryview) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (files.root / "a").write_text("old")
    token = await files.permit("/87/a", "REPLACE")
    monkeypatch.setattr(files_uploads.os, "write", full)
    assert (await files.send(token, b"new")).status_code == 507
    assert ((files.root / "a").read_text(), list((files.root / UPLOADS).iterdir())) == ("old", [])


async def test_a_download_of_a_file_that_becomes_shorter_does_not_end_well(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = files.root / "a"
    file.write_text("0123456789")
    read = os.pread

    def shrinking(opened: int, size: int, offset: int) -> bytes:
        found = read(opened, size, offset)
        os.truncate(file, 4)
        return found

    monkeypatch.setattr(files_bytes, "BUFFER", 4)
    monkeypatch.setattr(files_bytes.os, "pread", shrinking)
    with pytest.raises(AssertionError):  # of httpx, which stands for the server here: the answer has no end
        await files.fetch("/87/a")
    monkeypatch.undo()
    assert (await files.fetch("/87/a")).text == "0123"


async def test_one_user_cannot_take_all_transfers(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    (files.root / "a").touch()
    monkeypatch.setattr(files_bytes, "TRANSFERS_OF_ONE", 0)
    assert (await files.fetch("/87/a")).status_code == 503
    monkeypatch.undo()
    for _ in range(files_bytes.TRANSFERS + 1):  # each gives its place back
        assert (await files.fetch("/87/a")).status_code == 200
