"""Names and network of a container (ENV-43, ENV-48, D14)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runtimes.docker import attachment, files
from runtimes.errors import InvalidTask, StartFailed, TaskNotFound
from runtimes.settings import DockerSettings
from runtimes.types import Limits, LogPaths, TaskId, TaskSpec

SETTINGS = DockerSettings(Path("/state"), network="ucloud-ray-test", dns=("192.0.2.53",))
TASK = TaskSpec(
    id=TaskId("j-1-job-0", "7"),
    labels={},
    argv=("true",),
    environment={},
    job_folder=Path("/jobs/1"),
    logs=LogPaths(Path("/logs/out"), Path("/logs/err")),
    limits=Limits(cpu_milli=1000, memory_bytes=1_000_000),
    hostname="j-1-job-0",
    image="acme/batch:1",
    address="10.83.1.2",
)
CONFIG = {"Image": "acme/batch:1", "HostConfig": {"NetworkMode": "none", "Mounts": ["another"]}}
CONTAINER = {
    "Config": {"Hostname": "j-1-job-0"},
    "NetworkSettings": {"Networks": {"ucloud-ray-test": {"IPAMConfig": {"IPv4Address": "10.83.1.2"}}}},
}


def test_a_task_with_an_address_is_on_the_machines_network() -> None:
    made = attachment.attached(CONFIG, TASK, SETTINGS)
    assert made["NetworkingConfig"] == {
        "EndpointsConfig": {
            "ucloud-ray-test": {"IPAMConfig": {"IPv4Address": "10.83.1.2"}, "MacAddress": "02:42:0a:53:01:02"}
        }
    }
    assert made["MacAddress"] == "02:42:0a:53:01:02"
    assert made["HostConfig"]["NetworkMode"] == "ucloud-ray-test"
    assert made["HostConfig"]["Dns"] == ["192.0.2.53"]
    another, *ours = made["HostConfig"]["Mounts"]
    assert another == "another"
    assert [(mount["Source"], mount["Target"], mount["ReadOnly"]) for mount in ours] == [
        ("/state/j-1-job-0/hosts", "/etc/hosts", True),
        ("/state/j-1-job-0/resolv.conf", "/etc/resolv.conf", True),
    ]


def test_a_task_without_an_address_has_no_network() -> None:
    assert attachment.attached(CONFIG, replace(TASK, address=None), SETTINGS) == CONFIG


def test_an_address_on_a_machine_without_network_is_refused() -> None:
    with pytest.raises(StartFailed, match="no network on this machine"):
        attachment.attached(CONFIG, TASK, replace(SETTINGS, network="none"))


@pytest.mark.parametrize(
    ("files_of_machine", "servers"),
    [
        (["nameserver 192.0.2.1\nnameserver 127.0.0.53\nsearch example.com\nnameserver fd00::1"], ("192.0.2.1",)),
        (
            ["nameserver 127.0.0.53\n", "# upstream\nnameserver 192.0.2.7 \nnameserver 192.0.2.8"],
            ("192.0.2.7", "192.0.2.8"),
        ),
        (["nameserver 169.254.169.254\n"], ()),
        (["nameserver\nnonsense"], ()),
        ([], ()),
    ],
)
def test_name_servers_of_the_machine_are_used_as_far_as_a_container_can_reach_them(
    files_of_machine: list[str], servers: tuple[str, ...], tmp_path: Path
) -> None:
    paths = [tmp_path / str(number) for number in range(3)]
    for path, content in zip(paths, files_of_machine, strict=False):
        path.write_text(content)
    assert attachment.name_servers((), paths) == servers
    assert attachment.name_servers(("192.0.2.99",), paths) == ("192.0.2.99",)


def test_names_of_a_task_that_is_gone_cannot_be_replaced(tmp_path: Path) -> None:
    with pytest.raises(TaskNotFound):
        attachment.change_hosts(CONTAINER, replace(SETTINGS, state_dir=tmp_path), "j-1-job-0", {})


def test_a_task_without_a_network_of_its_own_has_no_names_to_replace(tmp_path: Path) -> None:
    alone = CONTAINER | {"NetworkSettings": {"Networks": {"none": {"IPAMConfig": None}}}}
    with pytest.raises(InvalidTask, match="no network of its own"):
        attachment.change_hosts(alone, _written(tmp_path), "j-1-job-0", {})


def _written(state_dir: Path) -> DockerSettings:
    """Settings under which the task's files are there, with a name in them."""
    settings = replace(SETTINGS, state_dir=state_dir)
    files.task_folder(state_dir, "j-1-job-0").mkdir()
    attachment.write(replace(TASK, hosts={"peer": "10.83.1.3"}), settings)
    return settings
