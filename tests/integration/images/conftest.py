"""A real daemon, real registries, and drivers as the replica actors of one machine have them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from runtimes.docker.driver import DockerDriver
from runtimes.settings import DockerSettings, RegistryLogin
from runtimes.types import Limits, LogPaths, TaskId, TaskSpec
from tests.support import dockerd
from tests.support.registry import Registry, SlowLine, missing

_counter = itertools.count(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def daemon_url() -> str:
    if reason := dockerd.missing() or missing():
        pytest.skip(reason)
    return dockerd.shared_url()


@pytest.fixture(scope="session")
def registry(daemon_url: str) -> Iterator[Registry]:
    """One for everybody, that nobody stops."""
    with tempfile.TemporaryDirectory(prefix="registry-") as folder:
        registry = Registry(Path(folder))
        registry.start()
        yield registry
        registry.kill()


@pytest.fixture
def name() -> str:
    """Of an image that no other test has."""
    return f"acme/image-{next(_counter)}"


@pytest.fixture
def line(registry: Registry) -> Iterator[SlowLine]:
    """To the registry; as fast as it goes until its `rate` is set."""
    line = SlowLine(registry.port, None)
    yield line
    line.close()


class Machine:
    """What the drivers of one machine share."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.drivers: list[DockerDriver] = []
        self.children: list[asyncio.subprocess.Process] = []

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    def driver(self, retry_seconds: float = 0.0, logins: tuple[RegistryLogin, ...] = ()) -> DockerDriver:
        settings = DockerSettings(
            self.state_dir, base_url=self.url, pull_retry_seconds=retry_seconds, registries=logins
        )
        self.drivers.append(DockerDriver(settings))
        return self.drivers[-1]

    async def process(self, image: str, tasks: int) -> asyncio.subprocess.Process:
        """Another process of the machine whose tasks want the image; it says `ready` for each that has it."""
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.integration.images.wanting"),
            *(str(self.folder), self.url, image, str(tasks)),
            cwd=Path(__file__).parents[3],
            stdout=asyncio.subprocess.PIPE,
        )
        self.children.append(child)
        return child

    async def close(self) -> None:
        for child in self.children:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
        for driver in self.drivers:
            for task in await driver.list_tasks("images"):
                await driver.destroy(task.id)
            await driver.close()
        left = [path.name for path in self.state_dir.iterdir()] if self.state_dir.exists() else []
        assert [name for name in left if not name.startswith((".launcher.log", ".busybox-"))] == []


@pytest.fixture
async def machine(daemon_url: str, tmp_path: Path) -> AsyncIterator[Machine]:
    machine = Machine(tmp_path, daemon_url)
    yield machine
    await machine.close()


MakeTask = Callable[[str], TaskSpec]


@pytest.fixture
def make_task(tmp_path: Path) -> MakeTask:
    return lambda image: task(tmp_path, image)


def task(folder: Path, image: str) -> TaskSpec:
    """One that wants this image."""
    name = f"j-images{next(_counter)}-job-0"
    for sort in ("jobs", "logs"):
        (folder / sort / name).mkdir(parents=True)
    return TaskSpec(
        id=TaskId(name, "1"),
        labels={"ucloud-ray/provider": "images"},
        argv=("/bin/sh", "-c", "echo it runs"),
        environment={},
        job_folder=folder / "jobs" / name,
        logs=LogPaths(folder / "logs" / name / "stdout-0.log", folder / "logs" / name / "stderr-0.log"),
        limits=Limits(cpu_milli=1000, memory_bytes=64_000_000, pids=64, open_files=1024),
        hostname=name,
        image=image,
        run_as_root=True,
    )
