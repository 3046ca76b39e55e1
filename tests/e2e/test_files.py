"""Files over the end-user API, as real processes: an input is uploaded, a job reads it, its result is downloaded.

The bytes go between `curl` and the provider; who may have them, the orchestrator says (docs/files.md).
"""

from __future__ import annotations

import json
import subprocess
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.support.stack import DOCKER_SHELL, Stack
from tests.support.wait import wait_until

INPUT = b"0123456789abcdef" * 100_000
OFFSET = "Chunked-Upload-Offset"


def permit(stack: Stack, what: str, path: str, **more: str) -> dict[str, Any]:
    given: dict[str, Any] = stack.post(f"/api/files/{what}", {"id": path, **more})["responses"][0]
    return given


def curl(*arguments: str, body: bytes = b"") -> bytes:
    command = ["curl", "--silent", "--show-error", "--fail-with-body", *arguments]
    return subprocess.run(command, input=body, capture_output=True, timeout=30, check=True).stdout


def headers_of(given: dict[str, Any], offset: int) -> dict[str, str]:
    return {
        "Chunked-Upload-Token": given["token"],
        OFFSET: str(offset),
        "Chunked-Upload-Total-Size": str(len(INPUT)),
    }


def part(given: dict[str, Any], offset: int) -> list[str]:
    return [word for header in headers_of(given, offset).items() for word in ("--header", ": ".join(header))]


def upload(given: dict[str, Any], offset: int = 0) -> Any:
    body = INPUT[offset:]
    return json.loads(curl(*part(given, offset), "--data-binary", "@-", given["endpoint"], body=body))


def test_an_uploaded_file_is_a_jobs_input_and_its_result_is_downloaded(shells: Stack, needs_docker: None) -> None:
    """ENV-1, ENV-7."""
    given = permit(shells, "upload", "/home-user/data.txt", conflictPolicy="REPLACE")
    assert upload(given)["id"] == "/home-user/data.txt"
    wanted = [{"type": "file", "path": "/home-user/data.txt", "readOnly": True}]
    job = shells.run(DOCKER_SHELL, var="tr a-f A-F < data.txt > result", resources=wanted)
    [folder] = [update["outputFolder"] for update in job["updates"] if update["outputFolder"]]
    listed = shells.http.get("/api/files/browse", params={"path": folder}).json()["items"]
    [result] = [file for file in listed if file["id"].endswith("/result")]
    assert result["status"]["sizeInBytes"] == len(INPUT)
    address = permit(shells, "download", result["id"])["endpoint"]
    assert curl(address) == INPUT.upper()
    assert curl("--range", "10-25", address) == INPUT.upper()[10:26]


def test_another_user_has_neither_the_files_nor_their_names(shells: Stack) -> None:
    """End-user-api 1.2: the same answer as for what is not there."""
    upload(permit(shells, "upload", "/home-user/secret.txt", conflictPolicy="REPLACE"))
    headers = {"Authorization": f"Bearer {shells.token('stranger')}"}
    with httpx.Client(base_url=shells.url, headers=headers) as stranger:
        for drive in ("home-user", "no-such-drive"):
            path = f"/{drive}/secret.txt"
            answers = [
                stranger.get("/api/files/browse", params={"path": f"/{drive}"}),
                stranger.get("/api/files/retrieve", params={"id": path}),
                stranger.post("/api/files/download", json={"items": [{"id": path}]}),
                stranger.post("/api/files/upload", json={"items": [{"id": path}]}),
                stranger.request("DELETE", "/api/files", json={"items": [{"id": path}]}),
            ]
            assert [answer.status_code for answer in answers] == [404] * len(answers)
            assert all("secret" not in answer.text for answer in answers)
    assert shells.get("/api/files/retrieve", id="/home-user/secret.txt")["status"]["sizeInBytes"] == len(INPUT)


def test_an_upload_that_is_cut_goes_on_where_it_stopped(shells: Stack) -> None:
    path = "/home-user/cut.txt"
    given = permit(shells, "upload", path, fingerprint="cut.txt of today")
    came = len(INPUT) // 2
    address = urlsplit(given["endpoint"])
    with closing(HTTPConnection(address.netloc, timeout=30)) as sender:
        headers = {**headers_of(given, 0), "Content-Length": str(len(INPUT))}
        sender.request("POST", address.path, INPUT[:came], headers)

    again = permit(shells, "upload", path, fingerprint="cut.txt of today")
    told = {"Chunked-Upload-Token": again["token"]}
    wait_until(lambda: httpx.head(again["endpoint"], headers=told).headers[OFFSET] == str(came), "what came to be kept")
    assert shells.http.get("/api/files/retrieve", params={"id": path}).status_code == 404
    wait_until(lambda: _went_on(again, came), "the cut part to be over")
    assert curl(permit(shells, "download", path)["endpoint"]) == INPUT


def _went_on(given: dict[str, Any], offset: int) -> bool:
    """False while the provider has not yet let go of the part that was cut."""
    command = ["curl", "--silent", *part(given, offset), "--data-binary", "@-", given["endpoint"]]
    answer = json.loads(subprocess.run(command, input=INPUT[offset:], capture_output=True, timeout=30).stdout)
    assert "id" in answer or "being received" in answer["why"], answer
    return "id" in answer


def test_the_command_line_puts_lists_moves_gets_and_removes(shells: Stack, tmp_path: Path) -> None:
    source, got = tmp_path / "numbers.bin", tmp_path / "got.bin"
    source.write_bytes(INPUT)

    def files(*words: str) -> str:
        done = shells.cli("files", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    files("mkdir", "home-user/by hand/deep")
    files("put", str(source), "home-user/by hand/")
    files("mv", "home-user/by hand/numbers.bin", "home-user/by hand/deep/")
    files("get", "home-user/by hand/deep/numbers.bin", str(got))
    assert got.read_bytes() == INPUT
    [row] = files("ls", "home-user/by hand/deep").splitlines()[1:]
    assert (row.split()[0], row.split()[-1]) == (str(len(INPUT)), "numbers.bin")
    taken = shells.cli("files", "put", str(source), "home-user/by hand/deep/")
    assert taken.returncode == 1
    assert taken.stderr == (
        "ucloud-ray: /home-user/by hand/deep/numbers.bin exists already; name another, or add --replace\n"
    )
    files("rm", "home-user/by hand", "--for-good")
    missing = shells.cli("files", "ls", "home-user/by hand")
    assert (missing.returncode, "Traceback" in missing.stderr) == (1, False)
