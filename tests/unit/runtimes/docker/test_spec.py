"""A task specification becomes exactly this container."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from runtimes.docker import seccomp
from runtimes.docker import spec as container_spec
from runtimes.docker.host import HostFacts
from runtimes.docker.spec import Surroundings
from runtimes.docker.users import AS_ROOT, RunsAs
from runtimes.errors import InvalidTask
from runtimes.types import Limits, LogPaths, Mount, TaskId, TaskSpec

HOST = HostFacts(cpus=2, memory_bytes=8_000_000_000, open_files=20_000)
ETC = Path("/state/j-1-job-0/etc")
TASK = TaskSpec(
    id=TaskId("j-1-job-0", "7"),
    labels={"ucloud-ray/job": "1", "ucloud-ray/incarnation": "7"},
    argv=("acme-batch", "--debug", "a b"),
    environment={"UCLOUD_RANK": "0", "EMPTY": ""},
    job_folder=Path("/home/user/Jobs/Acme/1"),
    logs=LogPaths(Path("/logs/1/stdout-0.log"), Path("/logs/1/stderr-0.log")),
    limits=Limits(cpu_milli=1500, memory_bytes=4_000_000_000, pids=100, open_files=1024),
    hostname="j-1-job-0",
    image="acme/batch:1",
    mounts=(Mount("/home/user/data", "/work/data", read_only=True),),
)
AROUND = Surroundings(
    host=HOST,
    user=RunsAs(1000, 1000, (20, 11042)),
    binds=(Mount("/state/j-1-job-0/pins/0", "/work"), Mount("/home/user/data", "/work/data", read_only=True)),
    etc_folder=ETC,
    output_folder=Path("/state/j-1-job-0/output"),
)


def config(around: Surroundings = AROUND, **changes: object) -> dict[str, object]:
    return container_spec.container_config(dataclasses.replace(TASK, **changes), around)


def host_config(around: Surroundings = AROUND, **changes: object) -> dict[str, object]:
    return config(around, **changes)["HostConfig"]


def bind(source: str, target: str, read_only: bool) -> dict[str, object]:
    return {
        "Type": "bind",
        "Source": source,
        "Target": target,
        "ReadOnly": read_only,
        "BindOptions": {"Propagation": "rprivate"},
    }


def test_a_task_becomes_this_container() -> None:
    assert config() == {
        "Image": "acme/batch:1",
        "Hostname": "j-1-job-0",
        "Env": ["UCLOUD_RANK=0", "EMPTY=", "NVIDIA_VISIBLE_DEVICES=void"],
        "Labels": {
            "ucloud-ray/job": "1",
            "ucloud-ray/incarnation": "7",
            "ucloud-ray/docker.stdout": "/logs/1/stdout-0.log",
            "ucloud-ray/docker.stderr": "/logs/1/stderr-0.log",
            "ucloud-ray/docker.job-folder": "/home/user/Jobs/Acme/1",
        },
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGTERM",
        "Tty": False,
        "OpenStdin": False,
        "Entrypoint": ["/.ucloud-ray/busybox", "sh", "/.ucloud-ray/start", "acme-batch"],
        "Cmd": ["--debug", "a b"],
        "User": "1000:1000",
        "WorkingDir": "/work",
        "HostConfig": {
            "Init": True,
            "AutoRemove": False,
            "RestartPolicy": {"Name": "no"},
            "LogConfig": {"Type": "none", "Config": {}},
            "NetworkMode": "none",
            "Mounts": [
                bind("/state/j-1-job-0/pins/0", "/work", False),
                bind("/state/j-1-job-0/etc", "/etc/ucloud", True),
                bind("/state/j-1-job-0/output", "/.ucloud-ray", True),
                bind("/home/user/data", "/work/data", True),
            ],
            "GroupAdd": ["20", "11042"],
            "Privileged": False,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "NanoCpus": 1_500_000_000,
            "Memory": 4_000_000_000,
            "MemorySwap": 4_000_000_000,
            "ShmSize": 4_000_000_000,
            "PidsLimit": 100,
            "Ulimits": [{"Name": "nofile", "Soft": 1024, "Hard": 1024}],
        },
    }


def test_limits_beyond_the_machine_are_cut_to_the_machine() -> None:
    """A node may sell more than it has; Docker refuses such limits."""
    limits = host_config(limits=Limits(cpu_milli=10_000, memory_bytes=20_000_000_000))
    assert limits["NanoCpus"] == 2_000_000_000
    assert limits["Memory"] == limits["MemorySwap"] == limits["ShmSize"] == 8_000_000_000
    assert limits["Ulimits"] == [{"Name": "nofile", "Soft": 20_000, "Hard": 20_000}]


def test_an_empty_command_leaves_the_image_its_own() -> None:
    """INV-27. One that has none is for the daemon to refuse."""
    own = config(dataclasses.replace(AROUND, image_command=("/entry", "serve")), argv=())
    assert (own["Entrypoint"][-1], own["Cmd"]) == ("/entry", ["serve"])
    assert not {"Entrypoint", "Cmd"} & set(config(argv=()))


def test_one_word_replaces_the_images_arguments_too() -> None:
    """INV-23."""
    assert config(argv=("true",))["Cmd"] == []


def test_a_task_may_start_in_the_images_own_folder() -> None:
    """INV-44."""
    assert "WorkingDir" not in config(change_working_directory=False)


def test_root_keeps_most_of_dockers_capabilities_and_is_confined_by_a_profile_of_ours() -> None:
    """ENV-34."""
    root = host_config(dataclasses.replace(AROUND, user=AS_ROOT))
    assert root["CapDrop"] == ["AUDIT_WRITE", "MKNOD", "NET_RAW", "SETFCAP", "FSETID"]
    assert root["Privileged"] is False
    assert root["SecurityOpt"] == [seccomp.security_option()]
    assert config(dataclasses.replace(AROUND, user=AS_ROOT))["User"] == "0:0"


def test_root_that_the_daemon_remaps_keeps_dockers_own_profile() -> None:
    remapping = dataclasses.replace(HOST, remapped_root=(11042, 11042))
    assert host_config(dataclasses.replace(AROUND, host=remapping, user=AS_ROOT))["SecurityOpt"] == []


def test_the_containers_own_layer_may_be_limited() -> None:
    """ENV-40."""
    assert host_config(dataclasses.replace(AROUND, scratch_bytes=10**9))["StorageOpt"] == {"size": "1000000000"}
    assert "StorageOpt" not in host_config()


def test_a_task_gets_the_gpus_that_were_assigned_to_it() -> None:
    """ENV-38."""
    gpus = host_config(gpu_count=2, gpu_ids=("0", "3"))
    assert gpus["DeviceRequests"] == [{"DeviceIDs": ["0", "3"], "Capabilities": [["gpu"]]}]
    assert "DeviceRequests" not in host_config()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"gpu_count": 1}, "promised 1 GPUs and was assigned 0"),
        ({"image": None}, "needs an image"),
        ({"id": TaskId("../x", "7")}, "name of a container"),
        ({"id": TaskId("", "7")}, "name of a container"),
    ],
)
def test_what_can_never_work_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidTask, match=words):
        config(**changes)


def test_the_incarnation_of_the_id_is_the_one_on_the_container() -> None:
    """REC-3: attaching goes by this label."""
    assert config(id=TaskId("j-1-job-0", "8"))["Labels"]["ucloud-ray/incarnation"] == "8"


def test_our_own_labels_are_not_shown_as_the_tasks() -> None:
    assert container_spec.public_labels(config()["Labels"]) == TASK.labels


def test_the_log_files_can_be_found_from_the_labels() -> None:
    assert container_spec.log_paths(config()["Labels"]) == TASK.logs
