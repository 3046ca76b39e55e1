"""What a real daemon is asked for when a task has GPUs, and what a container without sees (ENV-38, SCH-21)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import docker
import pytest

from runtimes.docker.driver import DockerDriver
from runtimes.errors import StartFailed
from runtimes.settings import DockerSettings
from tests.integration.docker.conftest import MakeTask, Run
from tests.support import images
from tests.support.recording_proxy import RecordingProxy


async def test_the_daemon_is_asked_for_exactly_the_devices_of_the_task(
    daemon_url: str, settings: DockerSettings, make_task: MakeTask, api: docker.APIClient, tmp_path: Path
) -> None:
    """Here it has no driver for them and refuses; the user is told what is missing, and nothing is left behind."""
    if "nvidia" in api.info()["Runtimes"]:
        pytest.skip("this daemon can give GPUs")
    async with RecordingProxy(tmp_path / "proxy.sock", daemon_url) as proxy:
        driver = DockerDriver(replace(settings, base_url=proxy.url))
        task = make_task("true", gpu_count=2, gpu_ids=("1", "3"), environment={"NVIDIA_VISIBLE_DEVICES": "all"})
        with pytest.raises(StartFailed, match="install the vendor's container toolkit"):
            await driver.start(task)
        await driver.close()
    [asked] = proxy.bodies("/containers/create")
    assert asked["HostConfig"]["DeviceRequests"] == [{"DeviceIDs": ["1", "3"], "Capabilities": [["gpu"]]}]
    assert [line for line in asked["Env"] if line.startswith("NVIDIA")] == ["NVIDIA_VISIBLE_DEVICES=1,3"]
    assert api.containers(all=True, filters={"name": task.id.name}) == []


async def test_an_image_that_wants_every_device_gets_none(run: Run, make_task: MakeTask, api: docker.APIClient) -> None:
    """NVIDIA's own images set this variable; where its runtime is the default one they would get all devices."""
    image = images.tiny_image(api, "wants-gpus", ["ENV NVIDIA_VISIBLE_DEVICES=all"])
    task = make_task("echo $NVIDIA_VISIBLE_DEVICES", image=image)
    await run(task)
    assert task.logs.stdout.read_text() == "void\n"
