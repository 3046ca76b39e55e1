"""Why no container can run here, in words that say what to do."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from runtimes.docker import capabilities, opener
from runtimes.errors import RuntimeUnavailable


class Daemon:
    def __init__(self, base_url: str, *, answers: bool = True, **more: Any) -> None:
        self.base_url = base_url
        self.more = more
        self._answers = answers

    def version(self) -> Mapping[str, Any]:
        if not self._answers:
            raise RuntimeUnavailable("no answer")
        return {"Version": "20.10.24", "ApiVersion": "1.41"}

    def info(self) -> Mapping[str, Any]:
        return {"LiveRestoreEnabled": True, **self.more}


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    return listener


def test_a_missing_socket_asks_for_an_installation() -> None:
    found = capabilities.probe(Daemon("unix:///nonexistent/docker.sock"))
    assert not found.available
    assert (
        found.reason == "Docker's socket /nonexistent/docker.sock does not exist: install Docker and start its daemon."
    )


def test_a_socket_without_listener_asks_for_a_start(folder: Path) -> None:
    listen(folder / "s").close()
    found = capabilities.probe(Daemon(f"unix://{folder}/s"))
    assert not found.available
    assert "start the Docker daemon" in found.reason


def test_a_daemon_that_listens_and_does_not_answer_is_not_available(folder: Path) -> None:
    with listen(folder / "s"):
        found = capabilities.probe(Daemon(f"unix://{folder}/s", answers=False))
    assert not found.available
    assert "does not answer" in found.reason


def test_a_machine_without_a_static_busybox_is_told_what_to_install(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Containers write their output with it."""
    monkeypatch.setattr(opener, "find_busybox", lambda: None)
    with listen(folder / "s"):
        found = capabilities.probe(Daemon(f"unix://{folder}/s"))
    assert not found.available
    assert "install busybox-static" in found.reason


def test_a_name_too_long_for_a_socket_is_a_reason_and_no_crash() -> None:
    found = capabilities.probe(Daemon("unix:///" + "x" * 200))
    assert not found.available
    assert found.reason


def test_a_daemon_that_answers_tells_its_version(folder: Path) -> None:
    with listen(folder / "s"):
        found = capabilities.probe(Daemon(f"unix://{folder}/s"))
    assert found.available
    assert found.reason == ""
    held = "held" if os.geteuid() == 0 else "checked"
    assert found.details == {
        "version": "20.10.24",
        "api": "1.41",
        "liveRestore": "true",
        "rootInside": "confined",
        "mounts": held,
    }


def test_a_daemon_that_maps_users_tells_whom_root_becomes(folder: Path) -> None:
    """ENV-34."""
    more = {"SecurityOptions": ["name=seccomp,profile=default", "name=userns"], "DockerRootDir": "/x/11042.11042"}
    with listen(folder / "s"):
        found = capabilities.probe(Daemon(f"unix://{folder}/s", **more))
    assert found.details["rootInside"] == "mapped to 11042:11042"


@pytest.mark.parametrize(
    ("storage", "can"),
    [
        ({"Driver": "overlay2", "DriverStatus": [["Backing Filesystem", "xfs"]]}, True),
        ({"Driver": "btrfs"}, True),
        ({"Driver": "overlay2", "DriverStatus": [["Backing Filesystem", "extfs"]]}, False),
        ({"Driver": "vfs"}, False),
    ],
)
def test_a_limit_of_scratch_that_storage_cannot_keep_is_refused_at_once(
    folder: Path, storage: dict[str, Any], can: bool
) -> None:
    """ENV-40."""
    with listen(folder / "s"):
        daemon = Daemon(f"unix://{folder}/s", **storage)
        assert capabilities.probe(daemon).available
        found = capabilities.probe(daemon, scratch_bytes=10**9)
    assert found.available is can
    assert ("policy.scratchBytes" in found.reason) is not can


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open every socket")
def test_a_closed_socket_asks_for_membership_of_the_group(folder: Path) -> None:
    with listen(folder / "s"):
        (folder / "s").chmod(0)
        assert "group docker" in capabilities.probe(Daemon(f"unix://{folder}/s")).reason
