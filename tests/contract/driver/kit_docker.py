"""The Docker driver, on a real daemon."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, ClassVar

import docker
import docker.errors
import pytest

from runtimes.mounts import pins
from runtimes.settings import DockerSettings, RuntimeSettings
from runtimes.types import TaskSpec
from tests.contract.driver.kits import PROVIDER, DriverKit
from tests.contract.driver.programs import Program
from tests.support import dockerd, images

USER = (11042, 11042)


class DockerKit(DriverKit):
    name: ClassVar[str] = "docker"
    sees_our_files: ClassVar[bool] = False
    own_variables: ClassVar[frozenset[str]] = frozenset({"HOME", "HOSTNAME", "PATH", "NVIDIA_VISIBLE_DEVICES"})
    marks: ClassVar[tuple[pytest.MarkDecorator, ...]] = (pytest.mark.docker,)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.api = dockerd.client(dockerd.shared_url())
        self.image = images.tiny_image(self.api)
        self._names: list[str] = []

    @classmethod
    def missing(cls) -> str | None:
        return dockerd.missing()

    def make_settings(self, folder: Path) -> RuntimeSettings:
        usual = super().make_settings(folder)
        ours = DockerSettings(folder / "docker", base_url=dockerd.shared_url(), pull_retry_seconds=0)
        return RuntimeSettings(native=usual.native, docker=ours, scripted=usual.scripted)

    def make_spec(self, program: Program | tuple[str, ...] = (), **changes: Any) -> TaskSpec:
        spec = super().make_spec(program, **{"image": self.image, "user": USER, **changes})
        if os.geteuid() == 0:
            os.chown(spec.job_folder, *USER)
        else:
            spec.job_folder.chmod(0o777)
        self._names.append(spec.id.name)
        return spec

    async def leftovers(self) -> list[str]:
        state = self.settings.docker.state_dir
        folders = [str(path) for path in state.iterdir() if path.is_dir()] if state.exists() else []
        return self._containers() + folders

    async def cleanup(self) -> None:
        await self._destroy_tasks()
        with contextlib.closing(self.api):
            for name in self._containers():
                with contextlib.suppress(docker.errors.APIError):
                    self.api.remove_container(name, force=True, v=True)
        for name in self._names:
            pins.release(self.settings.docker.state_dir / name)

    async def _destroy_tasks(self) -> None:
        """Else those who carry their output would wait for it for ever."""
        driver = self.make_driver()
        for task in await driver.list_tasks(PROVIDER):
            if task.id.name in self._names:
                await driver.destroy(task.id)
        await driver.close()

    def _containers(self) -> list[str]:
        """Those of this test: other tests may use the daemon at the same time."""
        listed = self.api.containers(all=True, filters={"label": [f"ucloud-ray/provider={PROVIDER}"]})
        names = [container["Names"][0].removeprefix("/") for container in listed]
        return [name for name in names if name in self._names]
