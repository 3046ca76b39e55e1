"""What a container uses, read from control groups of either version."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtimes.docker import stats
from runtimes.types import Usage


def write(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def test_version_1_is_read_from_each_controllers_own_folder(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "proc/7/cgroup": "5:pids:/docker/x\n4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n0::/docker/x\n",
            "cg/memory/docker/x/memory.usage_in_bytes": "5000\n",
            "cg/memory/docker/x/memory.stat": "inactive_file 1\ntotal_inactive_file 2000\n",
            "cg/cpuacct/docker/x/cpuacct.usage": "1500000000\n",
            "cg/pids/docker/x/pids.current": "3\n",
        },
    )
    assert stats.usage(7, tmp_path / "proc", tmp_path / "cg") == Usage(1.5, 3000, 3)


def test_version_2_is_read_from_the_one_folder(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "proc/7/cgroup": "0::/system.slice/docker-x.scope\n",
            "cg/system.slice/docker-x.scope/memory.current": "5000\n",
            "cg/system.slice/docker-x.scope/memory.stat": "anon 1\ninactive_file 2000\n",
            "cg/system.slice/docker-x.scope/cpu.stat": "usage_usec 1500000\nuser_usec 1\n",
            "cg/system.slice/docker-x.scope/pids.current": "3\n",
        },
    )
    assert stats.usage(7, tmp_path / "proc", tmp_path / "cg") == Usage(1.5, 3000, 3)


def test_a_process_that_is_gone_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        stats.usage(7, tmp_path, tmp_path)
