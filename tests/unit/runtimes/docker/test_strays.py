"""What a killed Docker daemon has forgotten is recognised, by made-up processes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from runtimes.docker import strays
from runtimes.errors import StartFailed

ID, OTHER = "c53d259a", "1e1860c4"


def process(folder: Path, pid: int, comm: str, container: str = "", *words: str) -> None:
    (folder / str(pid)).mkdir()
    (folder / str(pid) / "comm").write_text(f"{comm}\n")
    (folder / str(pid) / "cgroup").write_text(f"4:memory:/docker/{container}\n" if container else "4:memory:/\n")
    (folder / str(pid) / "cmdline").write_bytes(b"\0".join(word.encode() for word in (*words, "")))


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """Shims that were killed; what was in their containers is gone then."""
    gone: list[int] = []

    def kill(pid: int, number: int) -> None:
        assert number == signal.SIGKILL
        gone.append(pid)
        for entry in list(tmp_path.iterdir()):
            (entry / "cgroup").write_text("4:memory:/\n")

    monkeypatch.setattr(os, "kill", kill)
    return gone


@pytest.mark.parametrize(("comm", "ran"), [("runc:[2:INIT]", False), ("sleep", True), ("docker-init", True)])
def test_a_program_that_began_is_told_from_one_that_did_not(
    tmp_path: Path, killed: list[int], comm: str, ran: bool
) -> None:
    """REC-3: only one that did not may be started."""
    process(tmp_path, 10, "containerd-shim", "", "/usr/bin/containerd-shim-runc-v2", "-namespace", "moby", "-id", ID)
    process(tmp_path, 11, comm, ID)
    process(tmp_path, 20, "containerd-shim", "", "/usr/bin/containerd-shim-runc-v2", "-namespace", "moby", "-id", OTHER)
    assert strays.end(ID, tmp_path) is ran
    assert killed == [10]


def test_nothing_is_done_where_nothing_is_left(tmp_path: Path, killed: list[int]) -> None:
    process(tmp_path, 12, "less", "", "less", ID)
    assert not strays.end(ID, tmp_path)
    assert killed == []


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (f"task {ID}: already exists", True),
        ("id already in use", True),
        (f'container "{ID}": already exists', True),
        (f"failed to start shim: mkdir /run/containerd/io.containerd.runtime.v2.task/moby/{ID}: file exists", True),
        ("Address already in use", False),
        ("mkdir /var/lib/docker/volumes/x: file exists", False),
        ("endpoint with name j-1-job-0 already exists in network x", False),
        ("no space left on device", False),
    ],
)
def test_the_refusal_is_told_from_others(words: str, meant: bool) -> None:
    assert strays.is_meant(StartFailed(words)) is meant
