"""The task of a rank, with exact values (ENV-8, ENV-9, ENV-31, ENV-34, ENV-43, INV-16, INV-22)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runtimes.types import Limits, LogPaths, Mount, TaskId, VariableRef
from ucloud_ray.control.accounts import Accounts
from ucloud_ray.control.drives import Drives
from ucloud_ray.control.errors import BadRequest
from ucloud_ray.control.task_spec import TaskFactory, cores, mount_points
from ucloud_ray.domain.ids import JobId, JobUid, Millis, ProductId
from ucloud_ray.domain.job import (
    Backend,
    EnvRef,
    Interface,
    Job,
    JobSpec,
    Launch,
    Machine,
    MountRequest,
    Owner,
    Rank,
    Rules,
    Starting,
)
from ucloud_ray.settings import DriveOwner, DriveSettings

MACHINE = Machine(ProductId("u1-2", "u1", "example"), 2_000, 6_500_000_000, 1, "Xeon", "DDR5", "H100")
LAUNCH = Launch(
    "acme/batch:1",
    ("acme", EnvRef("UCLOUD_JOB_ID"), EnvRef("MINE"), EnvRef("NOWHERE")),
    {"MINE": "own", "UCLOUD_RANK": "forged"},
    mounts=(MountRequest("/7/data", "/work/data", True),),
)


@pytest.fixture
def factory(tmp_path: Path) -> TaskFactory:
    drive = DriveSettings("7", "Home", tmp_path / "alice", DriveOwner("user", username="alice"))
    drive.path.mkdir()
    return TaskFactory("example", Drives((drive,), None), tmp_path / "logs", 100, 200, Accounts((11042, 11042)))


def a_job(**more: object) -> Job:
    spec = JobSpec(Owner("alice"), "acme", "1.0", "Acme", MACHINE, Backend.DOCKER, 2, LAUNCH)
    ranks = (Rank(0, "node-a"), Rank(1, "node-b"))
    rules = Rules(stop_grace=7_500)
    return Job(
        JobUid("uid"), JobId("41"), Millis(1), replace(spec, **more), Starting(ranks), rules=rules, incarnation=3
    )


def test_a_container_with_a_page_knows_where_browsers_find_it(factory: TaskFactory) -> None:
    """ENV-31, IS-19."""
    factory = replace(factory, page_of=lambda job, rank: f"https://app-{job}-{rank}.example.org")
    page = {"interfaces": (Interface("WEB", 80),)}
    variables = factory.build(a_job(**page), 1).environment
    assert variables["UCLOUD_BASE_URL"] == variables["BASE_URL"] == "https://app-41-1.example.org"
    assert variables["UCLOUD_URL_IS_PUBLIC"] == "false"
    assert "BASE_URL" not in factory.build(a_job(), 1).environment


def test_a_rank_has_exactly_these_variables(factory: TaskFactory) -> None:
    """ENV-31; the provider's win (INV-22)."""
    assert dict(factory.build(a_job(), 1).environment) == {
        "MINE": "own",
        "UCLOUD_JOB_ID": "41",
        "UCLOUD_RANK": "1",
        "UCLOUD_TASK_COUNT": "2",
        "VC_TASK_INDEX": "1",
        "VK_TASK_INDEX": "1",
        "VC_JOB_NUM": "2",
        "UCLOUD_NODES": "2",
        "UCLOUD_APPLICATION_NAME": "acme",
        "UCLOUD_APPLICATION_VERSION": "1.0",
        "UCLOUD_MACHINE_NAME": "u1-2",
        "UCLOUD_MACHINE_CATEGORY": "u1",
        "UCLOUD_MACHINE_CPU": "2",
        "UCLOUD_MACHINE_CPU_MODEL": "Xeon",
        "UCLOUD_MACHINE_MEMORY_IN_GIGS": "6.5",
        "UCLOUD_MACHINE_MEMORY_MODEL": "DDR5",
        "UCLOUD_MACHINE_GPU": "1",
        "UCLOUD_MACHINE_GPU_MODEL": "H100",
    }


def test_the_file_that_a_job_is_opened_with_is_in_a_variable(factory: TaskFactory) -> None:
    """RES-24."""
    opened = replace(LAUNCH, opened_file="/work/data/x.txt")
    assert factory.build(a_job(launch=opened), 0).environment["UCLOUD_OPEN_WITH_FILE"] == "/work/data/x.txt"
    assert "UCLOUD_OPEN_WITH_FILE" not in factory.build(a_job(), 0).environment


def test_a_rank_has_exactly_these_files(factory: TaskFactory) -> None:
    """ENV-8: one line each, with newline."""
    assert dict(factory.build(a_job(), 1).files) == {
        "node-0.txt": b"j-41-job-0\n",
        "node-1.txt": b"j-41-job-1\n",
        "nodes.txt": b"j-41-job-0\nj-41-job-1\n",
        "rank.txt": b"1\n",
        "cores.txt": b"2\n",
        "number_of_nodes.txt": b"2\n",
        "job_id.txt": b"41\n",
    }


def test_a_single_rank_has_the_files_too(factory: TaskFactory) -> None:
    """ENV-9."""
    files = factory.build(a_job(replicas=1), 0).files
    assert (files["node-0.txt"], files["number_of_nodes.txt"]) == (b"j-41-job-0\n", b"1\n")
    assert "node-1.txt" not in files


@pytest.mark.parametrize(("milli", "text"), [(1000, "1"), (64_000, "64"), (500, "0.5"), (1_250, "1.25")])
def test_cores_are_whole_or_a_decimal_fraction(milli: int, text: str) -> None:
    assert cores(replace(MACHINE, cpu_milli=milli)) == text


def test_the_rest_of_the_task(factory: TaskFactory, tmp_path: Path) -> None:
    task = factory.build(a_job(), 1)
    assert task.id == TaskId("j-41-job-1", "uid.3")
    assert task.hostname == "j-41-job-1"
    assert task.argv == ("acme", VariableRef("UCLOUD_JOB_ID"), VariableRef("MINE"), VariableRef("NOWHERE"))
    assert task.labels == {
        "ucloud-ray/job": "41",
        "ucloud-ray/rank": "1",
        "ucloud-ray/incarnation": "uid.3",
        "ucloud-ray/provider": "example",
    }
    assert task.job_folder == tmp_path / "alice/Jobs/Acme/41"
    assert task.logs == LogPaths(tmp_path / "logs/uid/stdout-1.log", tmp_path / "logs/uid/stderr-1.log")
    assert task.limits == Limits(2_000, 6_500_000_000, 100, 200)
    assert task.job_root == tmp_path / "alice"
    assert task.mounts == (
        Mount(str(tmp_path / "alice/data"), "/work/data", True, root=str(tmp_path / "alice"), shown_as="/7/data"),
    )
    assert (task.image, task.gpu_count, task.stop_grace_seconds) == ("acme/batch:1", 1, 7.5)


def test_the_same_job_gives_the_same_task_every_time(factory: TaskFactory) -> None:
    """REC-3."""
    assert factory.build(a_job(), 0) == factory.build(a_job(), 0)


def test_a_container_runs_as_its_image_says_and_a_process_as_the_job_user(factory: TaskFactory) -> None:
    """ENV-34."""
    root = replace(LAUNCH, run_as_root=True)
    assert (factory.build(a_job(), 0).user, factory.build(a_job(), 0).run_as_root) == (None, False)
    assert factory.build(a_job(launch=root), 0).run_as_root
    assert factory.build(a_job(launch=root, backend=Backend.NATIVE), 0).user == (11042, 11042)


def test_what_is_mounted_into_the_job_folder_is_known_by_name(factory: TaskFactory) -> None:
    """ENV-6, ENV-14."""
    mounts = (MountRequest("/7/a", "/work/a", True), MountRequest("/7/b", "/data/b", False))
    job = a_job(launch=replace(LAUNCH, mounts=mounts))
    assert mount_points(job) == ["a"]
    assert mount_points(replace(job, spec=replace(job.spec, backend=Backend.NATIVE))) == []


def test_root_may_be_ruled_out(factory: TaskFactory) -> None:
    root = replace(a_job().spec, launch=replace(LAUNCH, run_as_root=True))
    factory.check(root)
    strict = replace(factory, container_root="never")
    with pytest.raises(BadRequest, match="run as root"):
        strict.check(root)
    strict.check(a_job().spec)
    strict.check(replace(root, backend=Backend.NATIVE))


@pytest.mark.parametrize("backend", [Backend.NATIVE, Backend.VIRTUAL_MACHINE])
def test_a_sensitive_project_runs_in_containers_only(factory: TaskFactory, tmp_path: Path, backend: Backend) -> None:
    """ENV-20."""
    drive = DriveSettings("8", "Project", tmp_path, DriveOwner("project", project_id="p1"))
    strict = replace(factory, drives=Drives((drive,), None), sensitive_projects=frozenset({"p1"}))
    spec = replace(a_job().spec, owner=Owner("alice", "p1"), launch=replace(LAUNCH, mounts=()))
    strict.check(spec)
    with pytest.raises(BadRequest, match="only run in containers"):
        strict.check(replace(spec, backend=backend))


@pytest.mark.parametrize(("project", "path"), [("p1", "/9/shared"), (None, "/8/data")], ids=["of it", "of others"])
def test_nothing_of_a_sensitive_project_meets_what_others_share(
    factory: TaskFactory, tmp_path: Path, project: str | None, path: str
) -> None:
    """ENV-20: whatever the Core allows."""
    sensitive = DriveSettings("8", "Project", tmp_path, DriveOwner("project", project_id="p1"))
    others = DriveSettings("9", "Bob's", tmp_path, DriveOwner("user", "bob"))
    mine = DriveSettings("7", "Home", tmp_path, DriveOwner("user", "alice"))
    launch = replace(LAUNCH, mounts=(MountRequest(path, "/work/shared", True),))
    spec = replace(a_job().spec, owner=Owner("alice", project), launch=launch)
    plain = replace(factory, drives=Drives((mine, sensitive, others), None))
    plain.check(spec)
    with pytest.raises(BadRequest, match="stay apart"):
        replace(plain, sensitive_projects=frozenset({"p1"})).check(spec)


def test_a_file_that_leads_out_of_its_drive_is_refused_when_the_job_is_accepted(
    factory: TaskFactory, tmp_path: Path
) -> None:
    """ENV-18. Later, whoever mounts it refuses it."""
    (tmp_path / "alice/data").symlink_to("/etc")
    with pytest.raises(BadRequest, match="leaves its drive"):
        factory.check(a_job().spec)
    assert factory.build(a_job(), 0).mounts[0].root == str(tmp_path / "alice")
