"""What a control group uses, read from the files of either version of the kernel's interface."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtimes.gauges import Gauge, Gauges
from runtimes.types import TaskId, Usage

ID = TaskId("j-1-job-0", "1")

VERSION_1 = {
    "cpu/cpuacct.usage": "1500000000\n",
    "memory/memory.usage_in_bytes": "5000\n",
    "memory/memory.stat": "inactive_file 1\ntotal_inactive_file 2000\n",
    "pids/pids.current": "3\n",
    "blkio/blkio.throttle.io_service_bytes": "8:0 Read 100\n8:0 Write 7\n8:16 Read 11\n8:0 Total 107\nTotal 118\n",
}
VERSION_2 = {
    "all/cpu.stat": "usage_usec 1500000\nuser_usec 1\n",
    "all/memory.current": "5000\n",
    "all/memory.stat": "anon 1\ninactive_file 2000\n",
    "all/pids.current": "3\n",
    "all/io.stat": "8:0 rbytes=100 wbytes=7 rios=1\n8:16 rbytes=11 wbytes=0\n",
}


def write(folder: Path, files: dict[str, str]) -> list[Path]:
    """The folders of the group."""
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return sorted({folder / name.split("/")[0] for name in files if not name.startswith("proc")})


@pytest.mark.parametrize("files", [VERSION_1, VERSION_2], ids=["version 1", "version 2"])
def test_the_use_is_read_from_either_version(tmp_path: Path, files: dict[str, str]) -> None:
    """ENV-36, SCH-2; memory is without the cache that could be dropped."""
    gauge = Gauge(write(tmp_path, files))
    assert gauge.read() == Usage(1.5, 3000, 3, disk_read=111, disk_written=7)
    write(tmp_path, {name: content.replace("3", "4") for name, content in files.items() if "pids" in name})
    assert gauge.read().processes == 4


def test_what_is_not_counted_is_not_told(tmp_path: Path) -> None:
    """No controller of disks and no network of its own; processes are counted one by one."""
    files = {"cg/cpuacct.usage": "0\n", "cg/memory.usage_in_bytes": "1\n", "cg/cgroup.procs": "70\n71\n"}
    assert Gauge(write(tmp_path, files), proc=tmp_path / "proc").read() == Usage(0.0, 1, 2)


def test_the_disk_is_also_what_the_processes_did(tmp_path: Path) -> None:
    """Version 1 does not charge a group for what the kernel writes later."""
    files = VERSION_1 | {
        "pids/cgroup.procs": "70\n71\n72\n",
        "proc/70/io": "rchar: 9\nread_bytes: 10\nwrite_bytes: 5000\ncancelled_write_bytes: 0\n",
        "proc/71/io": "read_bytes: 20\nwrite_bytes: 1\n",
    }
    usage = Gauge(write(tmp_path, files), proc=tmp_path / "proc").read()
    assert (usage.disk_read, usage.disk_written) == (111, 5001)


def test_the_network_is_every_interface_but_the_loopback(tmp_path: Path) -> None:
    header = "Inter-|   Receive  |  Transmit\n face |bytes packets | bytes packets\n"
    loopback = "    lo: 999 1 0 0 0 0 0 0 999 1 0 0 0 0 0 0\n"
    ethernet = "  eth0: 100 1 0 0 0 0 0 0 30 1 0 0 0 0 0 0\n  eth1:200 1 0 0 0 0 0 0 4 1 0 0 0 0 0 0\n"
    folders = write(tmp_path, VERSION_1 | {"proc/7/net/dev": header + loopback + ethernet})
    usage = Gauge(folders, 7, tmp_path / "proc").read()
    assert (usage.network_received, usage.network_sent) == (300, 34)
    write(tmp_path, {"proc/7/net/dev": header + loopback})
    usage = Gauge(folders, 7, tmp_path / "proc").read()
    assert (usage.network_received, usage.network_sent) == (None, None)


def test_a_group_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Gauge([tmp_path])


def test_a_group_that_is_gone_or_empty_is_not_measured_and_not_remembered(tmp_path: Path) -> None:
    """Its task has ended, most likely: the runtime knows."""
    gauges = Gauges()
    assert gauges.read(ID) is None
    gauges.keep(ID, Gauge(write(tmp_path, VERSION_2)))
    assert gauges.read(ID) is not None
    write(tmp_path, {"all/pids.current": "0\n"})
    assert gauges.read(ID) is None
    write(tmp_path, {"all/pids.current": "1\n"})
    assert gauges.read(ID) is None
    gauges.keep(ID, Gauge([tmp_path / "all"]))
    (tmp_path / "all/memory.current").unlink()
    assert gauges.read(ID) is None
