"""The peer of the container benchmark gets every option that a container of ours has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.peers.docker_options import same_options

HOST: dict[str, Any] = {
    "Memory": 10**9,
    "MemorySwap": 10**9,
    "ShmSize": 10**9,
    "PidsLimit": 100,
    "NanoCpus": 500_000_000,
    "Ulimits": [{"Name": "nofile", "Soft": 10, "Hard": 20}],
    "CapDrop": ["ALL"],
    "CapAdd": None,
    "GroupAdd": ["11042"],
    "SecurityOpt": ["no-new-privileges", 'seccomp={"defaultAction": "SCMP_ACT_ALLOW"}'],
    "Init": True,
    "LogConfig": {"Type": "local", "Config": {"compress": "false"}},
    "NetworkMode": "none",
}
CONFIG = {"Hostname": "j-1-job-0", "User": "11042:11042", "WorkingDir": "/work", "Env": ["A=b"], "Labels": {"x": "y"}}


def container(mounts: list[dict[str, Any]]) -> dict[str, Any]:
    return {"HostConfig": HOST, "Config": CONFIG, "Mounts": mounts}


def test_limits_privileges_log_and_identity_are_the_same(tmp_path: Path) -> None:
    assert same_options(container([]), tmp_path) == [
        "--memory=1000000000",
        "--memory-swap=1000000000",
        "--shm-size=1000000000",
        "--pids-limit=100",
        "--cpus=0.5",
        "--ulimit=nofile=10:20",
        "--cap-drop=ALL",
        "--group-add=11042",
        "--security-opt=no-new-privileges",
        f"--security-opt=seccomp={tmp_path}/seccomp.json",
        "--init",
        "--log-driver=local",
        "--log-opt=compress=false",
        "--network=none",
        "--hostname=j-1-job-0",
        "--user=11042:11042",
        "--workdir=/work",
        "--env=A=b",
        "--label=x=y",
    ]
    assert (tmp_path / "seccomp.json").read_text() == '{"defaultAction": "SCMP_ACT_ALLOW"}'


def test_files_and_folders_of_its_own_are_mounted_instead_of_ours(tmp_path: Path) -> None:
    mounts = [
        {"Source": str(tmp_path), "Destination": "/work", "RW": True},
        {"Source": "/gone", "Destination": "/etc/hosts", "RW": False},
    ]
    assert same_options(container(mounts), tmp_path)[-2:] == [
        f"--mount=type=bind,source={tmp_path}/mount-0,target=/work",
        f"--mount=type=bind,source={tmp_path}/mount-1,target=/etc/hosts,readonly",
    ]
    assert (tmp_path / "mount-0").is_dir()
    assert (tmp_path / "mount-1").is_file()
