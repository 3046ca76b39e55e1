"""A private `ucloud-ray up`: data, ports, Ray and configuration of its own, gone without a trace afterwards.

Started by scenarios. Sells so much that jobs wait for the system and not for the product.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from benchmarks import processes
from benchmarks.errors import BenchmarkError
from benchmarks.user import User

START_SECONDS = 90
STOP_SECONDS = 600
"""With thousands of jobs to end."""
CATEGORY = "benchmark"
CAPACITY = {"cpu": 1000, "memoryInGigs": 10_000}
PRODUCT = {"name": CATEGORY, "category": CATEGORY, "cpu": 0.1, "memoryInGigs": 0.1}
CORE = "benchmark-core"
"""A product for programs that are to keep a core busy."""
EVERYTHING = "benchmark-everything"
"""A product that leaves no room for another job."""
PRODUCTS = [
    PRODUCT,
    {"name": CORE, "category": CATEGORY, "cpu": 1, "memoryInGigs": 0.5},
    {"name": EVERYTHING, "category": CATEGORY, **CAPACITY},
]


@dataclass(frozen=True, slots=True)
class Tuning:
    """A name for readers and the policy options that differ from the defaults."""

    name: str
    policy: Mapping[str, Any]


DEFAULT = Tuning("default", {})
TUNED = Tuning("tuned", {"replicasPerActor": 100, "warmReplicaActors": 2})


@dataclass(frozen=True, slots=True)
class Program:
    """What a job runs: an application of the catalogue with one fixed command."""

    name: str
    backend: str
    command: tuple[str, ...]
    image: str = ""
    product: str = CATEGORY

    def documents(self) -> str:
        text = {"title": self.name, "version": "1", "authors": ["UCloud"], "description": self.name}
        tool: dict[str, Any] = {"tool": "v1", "name": f"{self.name}-tool", "backend": self.backend, "license": "None"}
        tool |= text | {"defaultTimeAllocation": {"hours": 1, "minutes": 0, "seconds": 0}}
        if self.image:
            tool["image"] = self.image
        application: dict[str, Any] = {"application": "v1", "name": self.name, "applicationType": "BATCH"}
        application |= text | {"tool": {"name": tool["name"], "version": "1"}, "invocation": list(self.command)}
        return yaml.safe_dump_all([tool, application | {"parameters": {}}], sort_keys=False)

    def job(self) -> dict[str, Any]:
        """A specification as a user sends it."""
        return {
            "application": {"name": self.name, "version": "1"},
            "product": {"id": self.product, "category": CATEGORY, "provider": "example"},
            "replicas": 1,
            "parameters": {},
            "resources": [],
        }


@dataclass(frozen=True, slots=True)
class Stack:
    folder: Path
    mark: str
    user: User


@contextlib.contextmanager
def running(tuning: Tuning, programs: list[Program], docker_url: str | None = None) -> Iterator[Stack]:
    """Raises `BenchmarkError` with the last words of what did not start."""
    mark = secrets.token_hex(4)
    folder = Path(tempfile.mkdtemp(prefix="ucbench-"))
    environment = os.environ | {processes.MARK: mark} | ({"DOCKER_HOST": docker_url} if docker_url else {})
    command = _Command(folder, mark, environment)
    try:
        yield command.start(tuning, programs)
    finally:
        command.stop()
        shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Command:
    folder: Path
    mark: str
    environment: Mapping[str, str]

    def start(self, tuning: Tuning, programs: list[Program]) -> Stack:
        config = self.folder / "ucloud-ray.yaml"
        config.write_text(yaml.safe_dump(_config(tuning)))
        addresses = self._run(
            "up", "--detach", "--port=0", "--provider-port=0", f"--config={config}", "--json", accounted=True
        )
        for program in programs:
            file = self.folder / f"{program.name}.yaml"
            file.write_text(program.documents())
            self._run("apps", "add", str(file))
        url = json.loads(addresses)["orchestratorUrl"]
        return Stack(self.folder, self.mark, User(url, self._run("token").strip()))

    def stop(self) -> None:
        ray_folder = _ray_folder(self.mark)
        try:
            self._run("down", "--stop-jobs", seconds=STOP_SECONDS)
        finally:
            left = processes.end_all(self.mark)
            if left:
                print(f"  `down` left {', '.join(left)}; ended", file=sys.stderr)
            if ray_folder is not None:
                shutil.rmtree(ray_folder, ignore_errors=True)

    def _run(self, *arguments: str, accounted: bool = False, seconds: int = START_SECONDS) -> str:
        words = [sys.executable, "-P", "-m", "ucloud_ray", *arguments, f"--data={self.folder / 'data'}"]
        group = processes.make_accounting_group(self.mark) if accounted else None
        if group is not None:
            words = ["/bin/sh", "-c", f'echo $$ >{group}/cgroup.procs; exec "$@"', "sh", *words]
        ended = subprocess.run(
            words, env=dict(self.environment), capture_output=True, text=True, timeout=seconds, check=False
        )
        if ended.returncode != 0:
            raise BenchmarkError(f"`ucloud-ray {arguments[0]}` failed: {ended.stderr.strip()[-500:]}")
        return ended.stdout


def _config(tuning: Tuning) -> dict[str, Any]:
    node = {"match": {"host": "*"}, "categories": [CATEGORY], "capacity": {CATEGORY: CAPACITY}}
    return {"products": PRODUCTS, "nodes": [node], "policy": dict(tuning.policy)}


def _ray_folder(mark: str) -> Path | None:
    """Where its Ray keeps sessions and sockets: below the system's folder for temporary files, not below the data."""
    for pid in processes.marked(mark):
        with contextlib.suppress(OSError):
            for word in Path(f"/proc/{pid}/cmdline").read_text().split("\0"):
                if word.startswith("--temp-dir="):
                    return Path(word.removeprefix("--temp-dir="))
    return None
