"""Which control groups a container is in, told by the kernel of its first process."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtimes.docker import stats
from runtimes.types import Usage
from tests.unit.runtimes.test_gauges import write

NETWORK = {"proc/7/net/dev": "\n\n  lo: 1 0 0 0 0 0 0 0 1 0 0 0 0 0 0 0\n  eth0: 9 0 0 0 0 0 0 0 8 0 0 0 0 0 0 0\n"}


def test_version_1_is_read_from_each_controllers_own_folder(tmp_path: Path) -> None:
    groups = "5:pids:/docker/x\n4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n1:name=systemd:/docker/x\n0::/docker/x\n"
    files = {
        "proc/7/cgroup": groups,
        "cg/memory/docker/x/memory.usage_in_bytes": "5000\n",
        "cg/memory/docker/x/memory.stat": "inactive_file 1\ntotal_inactive_file 2000\n",
        "cg/cpuacct/docker/x/cpuacct.usage": "1500000000\n",
        "cg/pids/docker/x/pids.current": "3\n",
    }
    write(tmp_path, files | NETWORK)
    expected = Usage(1.5, 3000, 3, network_received=9, network_sent=8)
    assert stats.gauge(7, tmp_path / "proc", tmp_path / "cg").read() == expected


def test_version_2_is_read_from_the_one_folder(tmp_path: Path) -> None:
    files = {
        "proc/7/cgroup": "0::/system.slice/docker-x.scope\n",
        "cg/system.slice/docker-x.scope/memory.current": "5000\n",
        "cg/system.slice/docker-x.scope/cpu.stat": "usage_usec 1500000\nuser_usec 1\n",
        "cg/system.slice/docker-x.scope/pids.current": "3\n",
    }
    write(tmp_path, files | NETWORK)
    expected = Usage(1.5, 5000, 3, network_received=9, network_sent=8)
    assert stats.gauge(7, tmp_path / "proc", tmp_path / "cg").read() == expected


def test_a_process_that_is_gone_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        stats.gauge(7, tmp_path, tmp_path)
