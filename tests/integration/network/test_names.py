"""Addresses and names of containers (ENV-43, ENV-48), as the Docker driver sets them up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from runtimes.abilities import SetsHosts
from runtimes.docker import launch
from runtimes.docker.driver import DockerDriver
from runtimes.errors import InvalidTask, StartFailed, TaskNotFound
from runtimes.network.names import address, task_mac
from runtimes.types import TaskId, TaskSpec
from tests.support.network_bed import Bed

ADDRESS = "10.83.1.50"
HOSTS = {"j-7-job-1": "10.83.2.9", "database": "10.83.1.77"}


@pytest.fixture
async def driver(bed: Bed) -> AsyncIterator[DockerDriver]:
    bed.apply()
    driver = DockerDriver(bed.a.settings)
    yield driver
    for found in await driver.list_tasks("network-tests"):
        if found.id.name.startswith("named"):
            await driver.destroy(found.id)
    await driver.close()


def task(bed: Bed, name: str = "named", **changes: object) -> TaskSpec:
    return bed.a.specification(name, ADDRESS, **changes)


def inside(bed: Bed, name: str, *words: str) -> str:
    """A program in the container, as its user."""
    output: bytes = bed.a.api.exec_start(bed.a.api.exec_create(name, words)["Id"])
    return output.decode()


async def test_a_container_has_the_address_and_the_names_that_were_chosen_for_it(
    bed: Bed, driver: DockerDriver
) -> None:
    """ENV-43: its own, and those of others; nothing of Docker's."""
    await driver.start(task(bed, hosts=HOSTS))
    assert inside(bed, "named", "cat", "/etc/hosts").splitlines() == [
        "127.0.0.1\tlocalhost",
        f"{ADDRESS}\thost-named",
        "10.83.2.9\tj-7-job-1",
        "10.83.1.77\tdatabase",
    ]
    assert inside(bed, "named", "hostname") == "host-named\n"
    shown = inside(bed, "named", "ip", "address", "show", "eth0")
    assert f"inet {ADDRESS}/24" in shown
    assert f"ether {task_mac(address(ADDRESS))}" in shown
    assert "mtu 1450" in shown


async def test_names_change_while_the_container_runs(bed: Bed, driver: DockerDriver) -> None:
    """ENV-48: also for a driver of another process, and to fewer ones."""
    assert isinstance(driver, SetsHosts)
    await driver.start(task(bed, hosts=HOSTS))
    for hosts in ({"peer": "10.83.2.10", **HOSTS}, {}, {"peer": "10.83.2.11"}):
        other = DockerDriver(bed.a.settings)
        await other.set_hosts(TaskId("named", "1"), hosts)
        await other.close()
        shown = inside(bed, "named", "grep", "-v", "^#", "/etc/hosts").splitlines()[2:]
        assert set(shown) == {f"{place}\t{name}" for name, place in hosts.items()}


async def test_names_of_another_attempt_or_of_a_task_without_network_are_left_alone(
    bed: Bed, driver: DockerDriver
) -> None:
    await driver.start(replace(task(bed, hosts=HOSTS), address=None))
    with pytest.raises(TaskNotFound):
        await driver.set_hosts(TaskId("named", "2"), {})
    with pytest.raises(InvalidTask, match="no network of its own"):
        await driver.set_hosts(TaskId("named", "1"), {})
    assert "eth0" not in inside(bed, "named", "ip", "address")


async def test_a_container_may_not_write_its_names(bed: Bed, driver: DockerDriver) -> None:
    """Root in there could fill the machine's disk through them."""
    await driver.start(task(bed, user=None, run_as_root=True))
    for file in ("/etc/hosts", "/etc/resolv.conf"):
        assert "Read-only file system" in inside(bed, "named", "sh", "-c", f"echo 1.2.3.4 x >> {file}")


async def test_a_container_asks_the_name_servers_that_the_operator_chose(bed: Bed) -> None:
    driver = DockerDriver(replace(bed.a.settings, dns=("192.0.2.53", "192.0.2.54")))
    await driver.start(task(bed))
    shown = inside(bed, "named", "cat", "/etc/resolv.conf")
    await driver.destroy(TaskId("named", "1"))
    await driver.close()
    assert shown == "nameserver 192.0.2.53\nnameserver 192.0.2.54\n"


async def test_an_address_is_waited_for_until_the_container_that_had_it_is_gone(bed: Bed, driver: DockerDriver) -> None:
    """The attempt before may still be dying."""
    await driver.start(task(bed, "named-before"))
    waiting = asyncio.create_task(driver.start(task(bed)))
    await driver.destroy(TaskId("named-before", "1"))
    await waiting
    assert f"inet {ADDRESS}/" in inside(bed, "named", "ip", "address")


async def test_an_address_that_stays_taken_fails_the_start_and_leaves_nothing(
    bed: Bed, driver: DockerDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launch, "_NAME_SECONDS", 0.0)
    await driver.start(task(bed, "named-before"))
    with pytest.raises(StartFailed, match="has the task's network address") as failure:
        await driver.start(task(bed))
    assert failure.value.retryable
    with pytest.raises(TaskNotFound):
        await driver.recover(TaskId("named", "1"))
    assert not (bed.a.settings.state_dir / "named").exists()


@pytest.mark.parametrize(
    ("network", "words", "retryable"),
    [("ucloud-ray-other", "not set up on this machine yet", True), ("none", "its operator must switch it on", False)],
)
async def test_a_machine_without_the_network_fails_the_start_and_leaves_nothing(
    bed: Bed, network: str, words: str, retryable: bool
) -> None:
    driver = DockerDriver(replace(bed.a.settings, network=network))
    with pytest.raises(StartFailed, match=words) as failure:
        await driver.start(task(bed))
    with pytest.raises(TaskNotFound):
        await driver.recover(TaskId("named", "1"))
    await driver.close()
    assert failure.value.retryable is retryable
    assert not (bed.a.settings.state_dir / "named").exists()
