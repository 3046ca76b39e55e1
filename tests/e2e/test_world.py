"""What a job finds around it, and what it leaves in its folder (spec section 3), with real processes and containers."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.support.follow import following, printed
from tests.support.stack import DOCKER_SHELL, NATIVE_SHELL, PROVIDER, Stack, states, texts
from tests.support.wait import wait_until

JOB_USER = 11042

NO_GPUS = {"CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"}
"""Set so that nothing is found (ENV-38)."""
OWN_VARIABLES = {
    DOCKER_SHELL["name"]: {"NVIDIA_VISIBLE_DEVICES"},
    NATIVE_SHELL["name"]: NO_GPUS | {"LANG", "TMPDIR", "USER", "UCLOUD_CONFIG_DIR"},
}
OF_ANY_PROGRAM = {"PATH", "HOME", "HOSTNAME", "_", "PWD", "SHLVL", "OLDPWD"}
"""The machine's or the runtime's, and the shell's."""


@pytest.fixture(params=[pytest.param(NATIVE_SHELL, id="process"), pytest.param(DOCKER_SHELL, id="container")])
def shell(request: pytest.FixtureRequest) -> dict[str, str]:
    """An application that runs the script in `var`."""
    if request.param == DOCKER_SHELL:
        request.getfixturevalue("needs_docker")
    found: dict[str, str] = request.param
    return found


@pytest.fixture
def home(shells: Stack) -> Path:
    """The user's drive on this machine; it exists once a job of his ran."""
    folder = shells.data / "drives/user/home"
    if not folder.exists():
        shells.run(NATIVE_SHELL, var="true")
    return folder


def output(stack: Stack, job_id: str) -> str:
    stack.wait_state(job_id)
    with following(stack, job_id) as frames:
        return printed(list(frames))


def folder_of(home: Path, job: dict[str, Any]) -> Path:
    (told,) = [update["outputFolder"] for update in job["updates"] if update["outputFolder"]]
    return home.joinpath(*told.strip("/").split("/")[1:])


def file(path: str, **more: Any) -> dict[str, Any]:
    return {"type": "file", "path": path, "readOnly": False} | more


def put(path: Path, content: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    return path


# ------------------------------------------------------------------------------------------------- environment


def test_a_job_has_the_variables_of_the_specification_and_none_of_ours(shells: Stack, shell: dict[str, str]) -> None:
    """ENV-31, ENV-32: the exact list."""
    job_id = shells.create(shell, var="tr '\\0' '\\n' < /proc/$$/environ || cat /proc/$$/environ")
    shown = dict(line.split("=", 1) for line in output(shells, job_id).replace("\0", "\n").splitlines())
    expected = {
        "UCLOUD_JOB_ID": job_id,
        "UCLOUD_RANK": "0",
        "UCLOUD_TASK_COUNT": "1",
        "VC_TASK_INDEX": "0",
        "VK_TASK_INDEX": "0",
        "VC_JOB_NUM": "1",
        "UCLOUD_NODES": "1",
        "UCLOUD_APPLICATION_NAME": shell["name"],
        "UCLOUD_APPLICATION_VERSION": "1.0.0",
        "UCLOUD_MACHINE_NAME": "example-small",
        "UCLOUD_MACHINE_CATEGORY": "example-compute",
        "UCLOUD_MACHINE_CPU": "1",
        "UCLOUD_MACHINE_CPU_MODEL": "",
        "UCLOUD_MACHINE_MEMORY_IN_GIGS": "2",
        "UCLOUD_MACHINE_MEMORY_MODEL": "",
        "UCLOUD_MACHINE_GPU": "0",
        "UCLOUD_MACHINE_GPU_MODEL": "",
    }
    assert {name: shown.get(name) for name in expected} == expected
    assert set(shown) - set(expected) - OF_ANY_PROGRAM == OWN_VARIABLES[shell["name"]]


def test_a_container_sees_its_own_processes_and_mounts_only(shells: Stack, needs_docker: None) -> None:
    """ENV-33: no other process, no socket, nothing of the machine's disk but its folder and files, and the folder of
    the pipes that carry its output (decision 0012)."""
    script = """
        for process in /proc/[0-9]*; do cat $process/comm; done
        while read -r id parent device root point rest; do
            case $point in /proc*|/sys*|/dev*|/) ;; *) echo "mount $point";; esac
        done < /proc/self/mountinfo
        ls /run /var/run /etc/ucloud/token 2>/dev/null
    """
    shown = output(shells, shells.create(DOCKER_SHELL, var=script)).split("\n")
    mounts = {line.removeprefix("mount ") for line in shown if line.startswith("mount ")}
    assert {line for line in shown if line and not line.startswith("mount ")} <= {"docker-init", "sh", "cat"}
    ours = {"/work", "/etc/ucloud", "/.ucloud-ray"}
    dockers = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/sbin/docker-init"}
    assert mounts == ours | dockers


def test_a_job_starts_in_its_folder(shells: Stack, shell: dict[str, str], home: Path) -> None:
    """ENV-7, INV-44."""
    job_id = shells.create(shell, var="pwd")
    where = output(shells, job_id).strip()
    expected = "/work" if shell == DOCKER_SHELL else str(folder_of(home, shells.job(job_id)))
    assert where == expected


def test_a_job_is_told_where_the_file_is_that_it_was_opened_with(
    shells: Stack, shell: dict[str, str], home: Path
) -> None:
    """RES-24, INV-31: by the folder above it that is mounted."""
    opened = put(home / "opened/deep/name", "content")
    wanted = {"openedFile": "/home-user/opened/deep/name", "resources": [file("/home-user/opened")]}
    job_id = shells.create(shell, var='echo "$UCLOUD_OPEN_WITH_FILE"; cat "$UCLOUD_OPEN_WITH_FILE"', **wanted)
    seen = "/work/opened/deep/name" if shell == DOCKER_SHELL else str(opened)
    assert output(shells, job_id) == f"{seen}\ncontent"


def test_a_script_that_the_user_chose_runs_first_whatever_it_ends_with(shells: Stack, home: Path) -> None:
    """INV-26; a container needs a bash for it."""
    put(home / "first.sh", "echo first; exit 3")
    labels = {"ucloud.dk/init-script": "/home-user/first.sh"}
    assert output(shells, shells.create(NATIVE_SHELL, var="echo then", labels=labels)) == "first\nthen\n"


# -------------------------------------------------------------------------------------------------- job folder


def test_the_job_folder_holds_output_and_parameters_and_belongs_to_the_job_user(
    shells: Stack, shell: dict[str, str], home: Path
) -> None:
    """ENV-4, ENV-5."""
    job_id = shells.create(shell, var="echo out")
    job = shells.wait_state(job_id)
    folder = folder_of(home, job)
    assert sorted(os.listdir(folder)) == ["JobParameters.json", "stderr-0.log", "stdout-0.log"]
    known = shells.job(job_id, includeParameters="true")["status"]["jobParametersJson"]
    assert json.loads((folder / "JobParameters.json").read_text()) == known
    if os.geteuid() == 0:
        assert {path.stat().st_uid for path in (folder, *folder.iterdir())} == {JOB_USER}


def test_mounting_leaves_no_empty_names_in_the_job_folder(shells: Stack, needs_docker: None, home: Path) -> None:
    """ENV-6: but what the job itself made stays, empty or not."""
    put(home / "tidy/data/name", "x")
    put(home / "tidy/single.txt", "y")
    wanted = [file("/home-user/tidy/data"), file("/home-user/tidy/single.txt", readOnly=True)]
    job_id = shells.create(DOCKER_SHELL, var="ls; : > own; echo z > kept", resources=wanted)
    assert {"data", "single.txt"} <= set(output(shells, job_id).split())
    folder = folder_of(home, shells.job(job_id))
    wait_until(lambda: not (folder / "data").exists(), "the empty folder to go")
    assert sorted(os.listdir(folder)) == ["JobParameters.json", "kept", "own", "stderr-0.log", "stdout-0.log"]
    assert (home / "tidy/data/name").read_text() == "x"
    assert (home / "tidy/single.txt").read_text() == "y"


# ------------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize("path", ["/home-user/../secret", "/home-other/file", "/nowhere/file", "home-user/file"])
def test_a_file_that_is_not_on_a_drive_of_the_workspace_is_refused(
    shells: Stack, needs_docker: None, home: Path, path: str
) -> None:
    """ENV-16, ENV-18, D12."""
    answer = shells.http.post("/api/jobs", json={"items": [_wanting(path)]})
    assert answer.status_code == 400
    assert answer.json()["why"]


@pytest.mark.parametrize("to", ["/etc", "../../other", "{home}/tidy"])
def test_a_link_that_leaves_its_drive_is_refused_with_its_ucloud_path(
    shells: Stack, needs_docker: None, home: Path, to: str
) -> None:
    """ENV-18. An absolute link leaves it wherever it points."""
    link = home / "leaving"
    link.unlink(missing_ok=True)
    link.symlink_to(to.format(home=home))
    answer = shells.http.post("/api/jobs", json={"items": [_wanting("/home-user/leaving")]})
    assert (answer.status_code, answer.json()["why"]) == (
        400,
        "The file /home-user/leaving is a link that leaves its drive.",
    )


@pytest.mark.parametrize("target", ["/", "/work", "/work/x", "/etc/ucloud", "/opt/ucloud/x", "relative"])
def test_reserved_mount_paths_are_refused(shells: Stack, needs_docker: None, home: Path, target: str) -> None:
    """ENV-10, ENV-14."""
    put(home / "tidy/data/name", "x")
    answer = shells.http.post("/api/jobs", json={"items": [_wanting("/home-user/tidy/data", mountPath=target)]})
    assert answer.status_code == 400


def test_a_missing_file_is_a_failure_that_names_it_and_nothing_is_made(
    shells: Stack, needs_docker: None, home: Path
) -> None:
    """ENV-15."""
    job = shells.run(DOCKER_SHELL, var="true", resources=[file("/home-user/not/there")])
    assert states(job) == ["IN_QUEUE", "FAILURE"]
    assert texts(job)[-1] == "Your job could not be started: The file /home-user/not/there does not exist."
    assert not (home / "not").exists()


def _wanting(path: str, **more: Any) -> dict[str, Any]:
    return {
        "application": DOCKER_SHELL,
        "product": {"id": "example-small", "category": "example-compute", "provider": PROVIDER},
        "replicas": 1,
        "allowDuplicateJob": True,
        "parameters": {"var": {"type": "text", "value": "true"}},
        "resources": [file(path, **more)],
    }


# -------------------------------------------------------------------------------------------------------- limits


def test_a_job_that_takes_more_memory_than_it_has_is_told_so_and_not_blamed(
    shells: Stack, shell: dict[str, str]
) -> None:
    """LC-12, ENV-36: no swap helps it."""
    if shell == NATIVE_SHELL and os.geteuid() != 0:
        pytest.skip("processes have hard limits only where control groups can be written")
    job = shells.run(shell, var="x=0123456789abcdef; while :; do x=$x$x$x$x; done")
    assert states(job) == ["IN_QUEUE", "RUNNING", "SUCCESS"]
    assert texts(job)[-1] == "The job was stopped because it used more memory than the machine has"
