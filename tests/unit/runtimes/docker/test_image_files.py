"""The accounts of an image are read out of it once, and nothing is left of the looking."""

from __future__ import annotations

import io
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from runtimes.docker import image_files
from runtimes.docker.users import Accounts
from runtimes.errors import RuntimeUnavailable, TaskNotFound

IMAGE = {"Id": "sha256:abc"}


class Daemon:
    """An image with these files; a value that begins with `->` is a link."""

    def __init__(self, files: dict[str, str]) -> None:
        self.files = files
        self.containers: dict[str, float] = {}
        self.made = 0
        self.away = False

    def create(self, name: str, config: dict[str, Any]) -> str:
        assert config["Image"] == "sha256:abc"
        self.containers[name] = time.time()
        self.made += 1
        return name

    def archive(self, container: str, path: str, limit: int) -> bytes:
        if self.away:
            raise RuntimeUnavailable("away")
        if path not in self.files:
            raise TaskNotFound(path)
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as tar:
            tar.addfile(*_entry(path.rpartition("/")[2], self.files[path]))
        return buffer.getvalue()[:limit]

    def remove(self, container: str) -> None:
        del self.containers[container]

    def list_containers(self, label: str) -> list[dict[str, Any]]:
        return [{"Id": name, "Created": created} for name, created in self.containers.items()]


def _entry(name: str, content: str) -> tuple[tarfile.TarInfo, io.BytesIO]:
    entry = tarfile.TarInfo(name)
    if content.startswith("->"):
        entry.type, entry.linkname = tarfile.SYMTYPE, content.removeprefix("->")
        return entry, io.BytesIO()
    entry.size = len(content)
    return entry, io.BytesIO(content.encode())


def test_both_files_are_read_once(tmp_path: Path) -> None:
    daemon = Daemon({"/etc/passwd": "a:x:1:1", "/etc/group": "g:x:1:"})
    for _ in range(2):
        assert image_files.accounts(daemon, tmp_path, IMAGE) == Accounts("a:x:1:1", "g:x:1:")
    assert (daemon.made, daemon.containers) == (1, {})


def test_links_are_followed_inside_the_image_and_loops_end(tmp_path: Path) -> None:
    daemon = Daemon({"/etc/passwd": "->../run/passwd", "/run/passwd": "a:x:1:1", "/etc/group": "->group"})
    assert image_files.accounts(daemon, tmp_path, IMAGE) == Accounts("a:x:1:1", "")


def test_an_image_without_accounts_has_none(tmp_path: Path) -> None:
    assert image_files.accounts(Daemon({}), tmp_path, IMAGE) == Accounts()


def test_what_was_kept_badly_is_read_again(tmp_path: Path) -> None:
    daemon = Daemon({"/etc/passwd": "a:x:1:1"})
    image_files.accounts(daemon, tmp_path, IMAGE)
    (kept,) = tmp_path.iterdir()
    kept.write_text("{")
    assert image_files.accounts(daemon, tmp_path, IMAGE) == Accounts("a:x:1:1")
    assert daemon.made == 2


def test_a_daemon_that_goes_away_leaves_nothing_kept_and_no_container(tmp_path: Path) -> None:
    daemon = Daemon({"/etc/passwd": "a:x:1:1"})
    daemon.away = True
    with pytest.raises(RuntimeUnavailable):
        image_files.accounts(daemon, tmp_path, IMAGE)
    assert (list(tmp_path.iterdir()), daemon.containers) == ([], {})


def test_containers_of_those_who_died_while_looking_are_removed(tmp_path: Path) -> None:
    daemon = Daemon({})
    daemon.containers = {"old": time.time() - 1_000, "new": time.time()}
    image_files.accounts(daemon, tmp_path, IMAGE)
    assert list(daemon.containers) == ["new"]
