"""A driver on a real daemon, and tasks for it that leave nothing behind."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from runtimes.docker.driver import DockerDriver
from runtimes.settings import DockerSettings
from runtimes.types import ExitResult, Limits, LogPaths, TaskId, TaskSpec
from tests.support import dockerd, images

MEGABYTE = 1024 * 1024
USER = (11042, 11042)
PROVIDER = "docker-integration"
_counter = itertools.count(1)

MakeTask = Callable[..., TaskSpec]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def daemon_url() -> str:
    if reason := dockerd.missing():
        pytest.skip(reason)
    return dockerd.shared_url()


@pytest.fixture
def api(daemon_url: str) -> Iterator[docker.APIClient]:
    """The daemon without our driver in between; at the end nothing of the test may be left on it."""
    api = dockerd.client(daemon_url)
    yield api
    left = api.containers(all=True, filters={"label": [f"ucloud-ray/provider={PROVIDER}"]})
    for container in left:
        api.remove_container(container["Id"], force=True, v=True)
    api.close()
    assert [container["Names"] for container in left] == []


@pytest.fixture
def settings(daemon_url: str, tmp_path: Path) -> DockerSettings:
    job_user = USER if os.geteuid() == 0 else None
    return DockerSettings(tmp_path / "state", base_url=daemon_url, pull_retry_seconds=0, job_user=job_user)


@pytest.fixture
async def driver(settings: DockerSettings, api: docker.APIClient) -> AsyncIterator[DockerDriver]:
    driver = DockerDriver(settings)
    yield driver
    for task in await driver.list_tasks(PROVIDER):
        await driver.destroy(task.id)
    await driver.close()
    assert folders_below(settings.state_dir) == []
    assert mounts_below(settings.state_dir) == []


def folders_below(folder: Path) -> list[str]:
    """What the driver keeps of tasks; what it knows of images is in files."""
    return [path.name for path in folder.iterdir() if path.is_dir()] if folder.exists() else []


def mounts_below(folder: Path) -> list[str]:
    points = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [point for point in points if Path(point).is_relative_to(folder)]


@pytest.fixture
def make_task(api: docker.APIClient, tmp_path: Path) -> MakeTask:
    image = images.tiny_image(api)

    def make(script: str, **changes: Any) -> TaskSpec:
        """A task that runs this shell script."""
        name = f"j-{os.getpid()}{next(_counter):04d}-job-0"
        job_folder, log_folder = tmp_path / "jobs" / name, tmp_path / "logs" / name
        for folder in (job_folder, log_folder):
            folder.mkdir(parents=True)
        if os.geteuid() == 0:
            os.chown(job_folder, *USER)
        job_folder.chmod(0o2775 if os.geteuid() == 0 else 0o777)
        task = TaskSpec(
            id=TaskId(name, "1"),
            labels={"ucloud-ray/provider": PROVIDER},
            argv=("sh", "-c", script),
            environment={"UCLOUD_RANK": "0"},
            job_folder=job_folder,
            logs=LogPaths(log_folder / "stdout-0.log", log_folder / "stderr-0.log"),
            limits=Limits(cpu_milli=1000, memory_bytes=64 * MEGABYTE, pids=64, open_files=1024),
            hostname=name,
            image=image,
            user=USER,
        )
        return dataclasses.replace(task, **changes)

    return make


Run = Callable[[TaskSpec], Any]


@pytest.fixture
def run(driver: DockerDriver) -> Run:
    async def to_its_end(task: TaskSpec) -> ExitResult:
        """Prepare, start, wait and destroy."""
        await driver.prepare(task)
        result = await driver.wait(await driver.start(task))
        await driver.destroy(task.id)
        return result

    return to_its_end
