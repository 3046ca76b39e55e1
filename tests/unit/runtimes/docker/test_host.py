"""What the daemon may give to a container."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtimes.docker import host


@pytest.fixture
def daemon_socket() -> Iterator[str]:
    """A socket that this very process listens on."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/s")
        listener.listen()
        yield f"unix://{folder}/s"


def fake_proc(folder: Path, capabilities: int, hard: str) -> Path:
    (folder / "sys/fs").mkdir(parents=True)
    (folder / "sys/fs/nr_open").write_text("1048576\n")
    process = folder / str(os.getpid())
    process.mkdir()
    (process / "status").write_text(f"Name:\tdockerd\nCapEff:\t{capabilities:016x}\n")
    (process / "limits").write_text(
        f"Limit    Soft  Hard  Units\nMax open files            1024     {hard}     files\n"
    )
    return folder


def test_a_daemon_without_the_capability_can_give_what_it_has(tmp_path: Path, daemon_socket: str) -> None:
    assert host.open_file_limit(daemon_socket, fake_proc(tmp_path, 0, "20000")) == 20_000


def test_a_daemon_with_the_capability_can_give_what_the_kernel_allows(tmp_path: Path, daemon_socket: str) -> None:
    assert host.open_file_limit(daemon_socket, fake_proc(tmp_path, 1 << 24, "20000")) == 1_048_576


def test_an_unlimited_daemon_is_limited_by_the_kernel(tmp_path: Path, daemon_socket: str) -> None:
    assert host.open_file_limit(daemon_socket, fake_proc(tmp_path, 0, "unlimited")) == 1_048_576


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:2375", "unix:///nonexistent/docker.sock"])
def test_a_daemon_that_cannot_be_looked_at_is_believed_to_have_the_kernels_limit(tmp_path: Path, url: str) -> None:
    assert host.open_file_limit(url, fake_proc(tmp_path, 0, "20000")) == 1_048_576
