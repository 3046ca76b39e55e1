"""What cannot be fetched ends at once, told in words that name the image and nothing of our network (ENV-55)."""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtimes.errors import ImageUnavailable, InvalidTask
from runtimes.settings import RegistryLogin
from tests.integration.images.conftest import Machine, MakeTask
from tests.support.dockerd import PrivateDaemon, can_start
from tests.support.registry import (
    MANIFEST,
    PASSWORD,
    USERNAME,
    Registry,
    answering,
    layer,
    noise,
    program_layer,
)
from tests.support.wait import async_wait_until

NOT_THERE = "the registry has no such image."
HELM = {
    "schemaVersion": 2,
    "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json", "size": 2, "digest": f"sha256:{'0' * 64}"},
    "layers": [],
}


@pytest.fixture(scope="module")
def closed_registry(daemon_url: str) -> Iterator[Registry]:
    """It wants a login."""
    with tempfile.TemporaryDirectory(prefix="registry-") as folder:
        registry = Registry(Path(folder), login=True)
        registry.start()
        yield registry
        registry.kill()


async def refused(machine: Machine, make_task: MakeTask, image: str, *logins: RegistryLogin) -> ImageUnavailable:
    """Of a driver with the patience of the default configuration: permanent trouble must not use it."""
    with pytest.raises(ImageUnavailable) as caught:
        await machine.driver(retry_seconds=900, logins=logins).prepare(make_task(image))
    return caught.value


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ("{host}/{name}:2.0", NOT_THERE),
        ("{host}/acme/nothing:1.0", NOT_THERE),
        ("{host}/ACME/batch:1.0", "that is not a name of an image."),
        ("not an image", "that is not a name of an image."),
    ],
)
async def test_an_image_that_does_not_exist_is_told_with_its_name(
    machine: Machine, registry: Registry, name: str, make_task: MakeTask, image: str, why: str
) -> None:
    registry.put(name, "1.0", [program_layer()])
    image = image.format(host=registry.host, name=name)
    error = await refused(machine, make_task, image)
    assert error.message == f"The image {image} could not be fetched: {why}"
    assert not error.retryable


async def test_an_image_of_other_machines_is_told_so(
    machine: Machine, registry: Registry, name: str, make_task: MakeTask
) -> None:
    """Docker notices two of these three itself."""
    foreign = registry.put(name, "arm", [program_layer()], architecture="arm64")
    listed = registry.put_list(name, "list", of="arm", platform={"os": "linux", "architecture": "arm64"})
    windows = registry.put(name, "windows", [layer({"x": b"1"})], os="windows")
    for image in (listed, windows):
        error = await refused(machine, make_task, image)
        assert error.message == f"The image {image} could not be fetched: it is not made for this type of machine."
    with pytest.raises(InvalidTask, match=f"The image {foreign} is made for arm64 machines"):
        await machine.driver().prepare(make_task(foreign))


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        (MANIFEST, b"garbage"),
        (MANIFEST, b"{}"),
        ("text/html", b"<html>a page</html>"),
        ("application/json", b'{"schemaVersion": 2}'),
        ("application/vnd.oci.image.manifest.v1+json", json.dumps(HELM).encode()),
    ],
)
async def test_what_is_not_an_image_is_told_so(
    machine: Machine, make_task: MakeTask, kind: str, content: bytes
) -> None:
    with answering(200, kind, content) as server:
        error = await refused(machine, make_task, f"{server.host}/acme/page:1.0")
        assert "is not an image for containers." in error.message
        asked = len(server.asked)
        assert asked <= 3


async def test_a_damaged_layer_is_told_so(machine: Machine, registry: Registry, name: str, make_task: MakeTask) -> None:
    image = registry.put(name, "1.0", [b"no archive " * 1000])
    error = await refused(machine, make_task, image)
    assert error.message == f"The image {image} could not be fetched: one of its layers is damaged."


# -------------------------------------------------------------------------------------------------------- logins


async def test_a_registry_that_wants_a_login_gets_the_configured_one_from_a_file(
    machine: Machine, closed_registry: Registry, name: str, make_task: MakeTask, tmp_path: Path
) -> None:
    image = closed_registry.put(name, "1.0", [program_layer()])
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    login = RegistryLogin(closed_registry.host, USERNAME, password_file=tmp_path / "password")
    driver, task = machine.driver(logins=(login,)), make_task(image)
    await driver.prepare(task)
    assert (await driver.wait(await driver.start(task))).code == 0
    inspect = ["docker", "-H", machine.url, "inspect", task.id.name, image]
    everything = await asyncio.to_thread(subprocess.run, inspect, check=True, capture_output=True, text=True)
    assert PASSWORD not in everything.stdout


async def test_without_a_login_or_with_a_wrong_one_the_reason_is_told_and_no_secret(
    machine: Machine, closed_registry: Registry, name: str, make_task: MakeTask, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    image = closed_registry.put(name, "1.0", [program_layer()])
    wrong = RegistryLogin(closed_registry.host, USERNAME, "wr0ng-secret")
    elsewhere = RegistryLogin("registry.example.com", USERNAME, PASSWORD)
    for logins, why in (
        ((), "it does not exist, or the registry wants a login for it"),
        ((elsewhere,), "it does not exist, or the registry wants a login for it"),
        ((wrong,), "the registry refuses the login that this provider has for it, or has no such image"),
    ):
        error = await refused(machine, make_task, image, *logins)
        assert error.message == f"The image {image} could not be fetched: {why}."
    assert not [secret for secret in ("wr0ng-secret", PASSWORD) if secret in caplog.text]


# --------------------------------------------------------------------------------------------- trouble that stays


@pytest.mark.parametrize(
    ("status", "kind", "content", "why"),
    [
        (503, "text/html", b"busy", "the registry has trouble of its own"),
        (429, "text/plain", b"slow down", "the registry limits how often images may be fetched"),
    ],
)
async def test_a_registry_in_trouble_is_asked_again_until_the_time_is_over(
    machine: Machine, make_task: MakeTask, status: int, kind: str, content: bytes, why: str
) -> None:
    with answering(status, kind, content) as server:
        image = f"{server.host}/acme/batch:1.0"
        driver, task = machine.driver(retry_seconds=1.5), make_task(image)
        asking = asyncio.create_task(driver.prepare(task))

        async def told() -> bool:
            progress = driver.progress(task.id)
            return progress is not None and progress.detail == f"{why}; it is tried again"

        await async_wait_until(told, "the trouble to be told")
        with pytest.raises(ImageUnavailable) as caught:
            await asking
        assert caught.value.message == f"The image {image} could not be fetched: {why}."
        assert not caught.value.retryable
        assert len(server.asked) >= 4  # two for each attempt


async def test_a_registry_that_is_not_there_is_told_without_an_address_of_ours(
    machine: Machine, make_task: MakeTask
) -> None:
    with pytest.raises(ImageUnavailable) as caught:
        await machine.driver().prepare(make_task("127.0.0.1:9/acme/batch:1.0"))
    assert caught.value.message == (
        "The image 127.0.0.1:9/acme/batch:1.0 could not be fetched: the registry does not answer."
    )


# ------------------------------------------------------------------------------------------------------ full disk


@pytest.fixture
def small_daemon(daemon_url: str) -> Iterator[PrivateDaemon]:
    """Its data lie on a disk of 16 MB."""
    if not can_start():
        pytest.skip("a Docker daemon on a small disk needs root")
    daemon = PrivateDaemon(Path(tempfile.mkdtemp(prefix="dockerd-")))
    (daemon.folder / "data").mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(daemon.folder / "data")]
    subprocess.run(mount, check=True, capture_output=True)
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.remove()


async def test_a_full_disk_is_told_and_leaves_hope_for_another_machine(
    small_daemon: PrivateDaemon, registry: Registry, name: str, make_task: MakeTask, tmp_path: Path
) -> None:
    image = registry.put(name, "1.0", [noise(20)])
    machine = Machine(tmp_path, small_daemon.url)
    error = await refused(machine, make_task, image)
    assert error.message == f"The image {image} could not be fetched: the disk of the machine is full."
    assert error.retryable
    small = registry.put(name, "small", [program_layer()])
    await machine.driver().prepare(make_task(small))
    await machine.close()
