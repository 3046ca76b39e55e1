"""Both versions of the kernel's interface, as files in an ordinary folder: what is written where, and what is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtimes.native import cgroup
from runtimes.types import Limits

LIMITS = Limits(cpu_milli=1500, memory_bytes=64_000_000, pids=100)


def _mounts(folder: Path, *lines: str) -> Path:
    file = folder / "mounts"
    file.write_text("".join(f"{line}\n" for line in lines))
    return file


def _version_1(folder: Path) -> Path:
    for tree, files in {
        "cpu,cpuacct": ["cpu.cfs_period_us", "cpu.cfs_quota_us", "cpuacct.usage"],
        "memory": ["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"],
        "pids": ["pids.max"],
    }.items():
        (folder / tree / "ours").mkdir(parents=True)
        for file in files:
            (folder / tree / "ours" / file).touch()
    return _mounts(
        folder,
        f"cgroup {folder}/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0",
        f"cgroup {folder}/memory cgroup rw,memory 0 0",
        f"cgroup {folder}/pids cgroup rw,pids 0 0",
        f"cgroup2 {folder}/unified cgroup2 rw 0 0",
    )


def _version_2(folder: Path) -> Path:
    (folder / "all" / "ours").mkdir(parents=True)
    for file in ("cpu.max", "memory.max", "memory.swap.max", "pids.max"):
        (folder / "all" / "ours" / file).touch()
    return _mounts(folder, f"cgroup2 {folder}/all cgroup2 rw 0 0")


def _written(parents: cgroup.Parents, monkeypatch: pytest.MonkeyPatch) -> dict[str, int | str]:
    written: dict[str, int | str] = {}
    monkeypatch.setattr(cgroup, "_set", lambda file, value: written.update({file.name: value}))
    cgroup.create(parents, "task", LIMITS)
    return written


def test_version_1_limits_processor_memory_with_swap_and_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENV-36, ENV-39."""
    parents = cgroup.open_parents("ours", _version_1(tmp_path))
    assert (parents.version, len(parents.folders)) == (1, 3)
    assert _written(parents, monkeypatch) == {
        "cpu.cfs_period_us": 100_000,
        "cpu.cfs_quota_us": 150_000,
        "memory.limit_in_bytes": 64_000_000,
        "memory.memsw.limit_in_bytes": 64_000_000,
        "pids.max": 100,
    }


def test_version_2_limits_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """ENV-36, ENV-39."""
    parents = cgroup.open_parents("ours", _version_2(tmp_path))
    assert parents.version == 2
    assert (tmp_path / "all" / "cgroup.subtree_control").read_text() == "+cpu +memory +pids"
    assert _written(parents, monkeypatch) == {
        "cpu.max": "150000 100000",
        "memory.max": 64_000_000,
        "memory.swap.max": 0,
        "pids.max": 100,
    }


def test_a_machine_without_controllers_says_so(tmp_path: Path) -> None:
    with pytest.raises(cgroup.NotWritable, match="not mounted"):
        cgroup.open_parents("ours", _mounts(tmp_path, "proc /proc proc rw 0 0"))


def test_a_tree_that_cannot_be_written_says_which(tmp_path: Path) -> None:
    (tmp_path / "all").write_text("a file, so that nothing can be made below it")
    with pytest.raises(cgroup.NotWritable, match="all"):
        cgroup.open_parents("ours", _mounts(tmp_path, f"cgroup2 {tmp_path}/all cgroup2 rw 0 0"))


def test_what_is_gone_counts_as_removed(tmp_path: Path) -> None:
    cgroup.remove([tmp_path / "gone"])
