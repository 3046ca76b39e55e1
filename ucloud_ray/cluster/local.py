"""Ray's part on this machine: the head of `ucloud-ray up`, the others of `ucloud-ray node`. Starts nothing itself.

Command lines and environment only. By default a head listens for its own machine alone: `127.0.0.2` is loopback, and
unlike `127.0.0.1` Ray takes it as the node's address instead of looking for another one. Every connection needs the
token (D12).
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import socket
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

ADDRESS = "127.0.0.2"

OBJECT_STORE_BYTES = 100_000_000
"""Nothing of ours goes through the object store; Ray wants at least 75 MB."""


def ray_environment(data_dir: Path) -> dict[str, str]:
    """Variables for Ray's own processes and for everything that connects to them. Makes the token at the first call."""
    return shared_environment() | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(_token(data_dir))}


def shared_environment() -> dict[str, str]:
    """The part of it that is the same on all machines."""
    return {
        # Memory is limited per workload; the monitor would shoot a replica actor for a user's container (D11).
        "RAY_memory_monitor_refresh_ms": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        # Ray runs workers at nice 15 by default; workloads would inherit it, and the supervisor would starve.
        "RAY_worker_niceness": "0",
        "RAY_DEDUP_LOGS": "0",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    }


def ray_head_command(
    data_dir: Path,
    host: str,
    resources: dict[str, float],
    labels: dict[str, str],
    port: int,
    address: str = ADDRESS,
    gpus: int = 0,
) -> list[str]:
    """`ray start --head --block` on this port; every other port is any free one, so that several can run."""
    first = ["--head", f"--port={port}", "--include-dashboard=false", *_ray_client_port(address)]
    return _ray_start(first, data_dir, host, resources, labels, address, gpus)


def ray_node_command(
    head: str,
    state_dir: Path,
    host: str,
    resources: dict[str, float],
    labels: dict[str, str],
    address: str,
    gpus: int = 0,
) -> list[str]:
    """`ray start --block`: join the head at HOST:PORT. `state_dir` is this machine's own folder."""
    return _ray_start([f"--address={head}"], state_dir, host, resources, labels, address, gpus)


def _ray_start(
    first: list[str],
    folder: Path,
    host: str,
    resources: dict[str, float],
    labels: dict[str, str],
    address: str,
    gpus: int,
) -> list[str]:
    all_labels = {"ucloud-ray/host": host} | labels
    return [
        str(Path(sys.executable).with_name("ray")),
        "start",
        "--block",
        *first,
        f"--node-ip-address={address}",
        f"--temp-dir={_temp_dir(folder)}",
        f"--resources={json.dumps(resources)}",
        f"--num-gpus={gpus}",
        "--labels=" + ",".join(f"{name}={value}" for name, value in all_labels.items()),
        f"--object-store-memory={OBJECT_STORE_BYTES}",
        f"--dashboard-agent-listen-port={_free_port(address)}",
        "--min-worker-port=0",
        "--max-worker-port=0",
        "--include-log-monitor=false",
        "--disable-usage-stats",
        "--log-style=record",
        "--log-color=false",
    ]


def _ray_client_port(address: str) -> list[str]:
    """Ray opens its client port, a fixed one, exactly when gRPC is installed; without it the option is refused."""
    return [f"--ray-client-server-port={_free_port(address)}"] if find_spec("grpc") else []


def _temp_dir(data_dir: Path) -> Path:
    """Short, because a Unix socket's path has at most 107 bytes; the same for the same data, for us alone."""
    mark = hashlib.sha256(str(data_dir.resolve()).encode()).hexdigest()[:10]
    folder = Path(tempfile.gettempdir()) / f"ucloud-ray-{os.geteuid()}-{mark}"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def _token(data_dir: Path) -> Path:
    file = data_dir / "ray-token"
    if not file.exists():
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as out:
            out.write(secrets.token_hex(32))
    return file


def _free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
