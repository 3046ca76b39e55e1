"""Job and rank to the task that a driver runs. Pure: the same job gives the same task on every attempt (REC-3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from runtimes.types import Limits, LogPaths, Mount, TaskId, TaskSpec
from ucloud_ray.control.accounts import Accounts
from ucloud_ray.control.drives import Drives, JobFolder
from ucloud_ray.control.errors import BadRequest
from ucloud_ray.control.task_command import command_of
from ucloud_ray.domain.ids import JobId
from ucloud_ray.domain.job import Backend, Job, JobSpec, Machine, MountRequest, Owner
from ucloud_ray.domain.mounts import WORK
from ucloud_ray.settings import of_host

LABEL_JOB = "ucloud-ray/job"
LABEL_RANK = "ucloud-ray/rank"
LABEL_INCARNATION = "ucloud-ray/incarnation"
LABEL_PROVIDER = "ucloud-ray/provider"
OPENED_FILE = "UCLOUD_OPEN_WITH_FILE"
"""RES-24."""
LABEL_GPUS = "ucloud-ray/gpus"
"""The devices that the task has, so that they are not given away while it exists, whoever forgot it (SCH-21)."""


@dataclass(frozen=True, slots=True)
class TaskFactory:
    """What of the configuration shapes a task."""

    provider_id: str
    drives: Drives
    logs_dir: Path
    """Of the private logs; `{host}` stands for the machine (`settings.of_host`)."""
    pids_limit: int
    open_files_limit: int
    accounts: Accounts
    """Whom processes run as (ENV-28). A container's user is its image's."""
    container_root: Literal["allow", "remapped", "never"] = "allow"
    """Whether containers may run as root."""
    sensitive_projects: frozenset[str] = frozenset()
    """Projects whose jobs are kept apart (ENV-20)."""
    page_of: Callable[[JobId, int], str] | None = None
    """Where the web page of a rank is for browsers (IS-19)."""

    def check(self, spec: JobSpec) -> None:
        """Raises `BadRequest` for what can be seen to be wrong before a machine is chosen."""
        if spec.launch.run_as_root and spec.backend is Backend.DOCKER and self.container_root == "never":
            raise BadRequest("The application wants to run as root, which this provider does not allow.")
        if spec.owner.project in self.sensitive_projects and spec.backend is not Backend.DOCKER:
            raise BadRequest("Jobs of this project may only run in containers.")
        self._user(spec)
        self.drives.home(spec.owner)
        for mount in spec.launch.mounts:
            self.drives.check(mount.ucloud_path, spec.owner)
            self._keep_apart(mount, spec.owner)

    def _keep_apart(self, mount: MountRequest, owner: Owner) -> None:
        """ENV-20: what is of a sensitive project and what is not never meet in one job, shared or not."""
        drive = self.drives.find(mount.ucloud_path.split("/")[1], owner)
        sensitive = {Owner("", project).workspace for project in self.sensitive_projects}
        if drive and drive.workspace != owner.workspace and sensitive & {drive.workspace, owner.workspace}:
            raise BadRequest(f"The file {mount.ucloud_path} is of a project whose files stay apart from others.")

    def folder(self, job: Job) -> JobFolder:
        """Where its files go, and whose it is. Raises `BadRequest`."""
        user = self._user(job.spec)
        folder = self.drives.job_folder(job)
        return folder if user is None else replace(folder, uid=user[0])

    def build(self, job: Job, rank: int, hosts: Mapping[str, str] | None = None) -> TaskSpec:
        """`hosts`: whom the rank can talk to, by name (`fabric_keeper`).

        Raises `BadRequest` if a drive of the job is not there any more.
        """
        folder = self.drives.job_folder(job)
        command = command_of(job, rank, provider_variables(job, rank) | self._page_variables(job, rank))
        return TaskSpec(
            id=task_id(job, rank),
            labels=self._labels(job, rank),
            argv=command.argv,
            environment=command.environment,
            references=command.references,
            template=command.template,
            environment_templates=command.environment_templates,
            requires=command.requires,
            job_folder=folder.path,
            job_root=folder.root,
            logs=self._logs(job, rank),
            limits=self._limits(job.spec.machine),
            hostname=replica_name(job.id, rank),
            address=_address(job, rank),
            hosts=dict(hosts or {}),
            image=job.spec.launch.image,
            mounts=self._mounts(job),
            files=info_files(job, rank),
            change_working_directory=job.spec.launch.change_working_directory,
            run_as_root=job.spec.launch.run_as_root,
            user=self._user(job.spec),
            login=self._login(job.spec),
            stop_grace_seconds=job.rules.stop_grace / 1000,
            gpu_count=job.spec.machine.gpu,
            gpu_ids=_gpus(job, rank),
            gpu_type=job.spec.machine.gpu_type,
            runtime=job.spec.machine.custom_runtime,
        )

    def _page_variables(self, job: Job, rank: int) -> dict[str, str]:
        """ENV-31, of a container with a web page."""
        if self.page_of is None or job.spec.backend is not Backend.DOCKER or job.spec.interface("WEB") is None:
            return {}
        url = self.page_of(job.id, rank)
        return {"UCLOUD_BASE_URL": url, "BASE_URL": url, "UCLOUD_URL_IS_PUBLIC": "false"}

    def _logs(self, job: Job, rank: int) -> LogPaths:
        host = job.ranks[rank].host if job.ranks else ""
        return log_paths(of_host(self.logs_dir, host), job.uid, rank)

    def _labels(self, job: Job, rank: int) -> dict[str, str]:
        return {
            LABEL_JOB: job.id,
            LABEL_RANK: str(rank),
            LABEL_INCARNATION: incarnation(job),
            LABEL_PROVIDER: self.provider_id,
            **({LABEL_GPUS: ",".join(gpus)} if (gpus := _gpus(job, rank)) else {}),
        }

    def _limits(self, machine: Machine) -> Limits:
        return Limits(machine.cpu_milli, machine.memory_bytes, self.pids_limit, self.open_files_limit)

    def _user(self, spec: JobSpec) -> tuple[int, int] | None:
        return self.accounts.of(spec.owner.created_by) if spec.backend is Backend.NATIVE else None

    def _login(self, spec: JobSpec) -> str | None:
        return self.accounts.login(spec.owner.created_by) if spec.backend is Backend.NATIVE else None

    def _mounts(self, job: Job) -> tuple[Mount, ...]:
        if job.spec.backend is not Backend.DOCKER:
            return ()
        return tuple(self._mount(mount, job.spec.owner) for mount in job.spec.launch.mounts)

    def _mount(self, wanted: MountRequest, owner: Owner) -> Mount:
        located = self.drives.locate(wanted.ucloud_path, owner)
        return Mount(str(located.path), wanted.target, wanted.read_only, str(located.root), wanted.ucloud_path)


def mount_points(job: Job) -> list[str]:
    """Names in the job folder over which something is mounted (ENV-6, ENV-12)."""
    if job.spec.backend is not Backend.DOCKER:
        return []
    inside = [mount.target.removeprefix(f"{WORK}/") for mount in job.spec.launch.mounts]
    return [name for name in inside if "/" not in name]


def replica_name(job_id: str, rank: int) -> str:
    """Name of a replica at run time, and its host name (ENV-43)."""
    return f"j-{job_id}-job-{rank}"


def incarnation(job: Job, number: int | None = None) -> str:
    """Unique over all attempts of all jobs, also when the Core reuses an id (O3)."""
    return f"{job.uid}.{job.incarnation if number is None else number}"


def task_id(job: Job, rank: int, number: int | None = None) -> TaskId:
    return TaskId(replica_name(job.id, rank), incarnation(job, number))


def log_paths(logs_dir: Path, uid: str, rank: int) -> LogPaths:
    """The private copy that followers read; published into the job folder under the same names (LOG-15, LOG-16)."""
    folder = logs_dir / uid
    return LogPaths(folder / f"stdout-{rank}.log", folder / f"stderr-{rank}.log")


def _address(job: Job, rank: int) -> str | None:
    """Of its own; a process shares the machine's."""
    return job.ranks[rank].address if job.spec.backend is Backend.DOCKER and job.ranks else None


def node_names(job: Job) -> list[str]:
    """How the ranks reach each other: containers by their names, processes by the addresses of their machines."""
    if job.spec.backend is Backend.NATIVE and len(job.ranks) == job.spec.replicas:
        return [rank.address or rank.host for rank in job.ranks]
    return [replica_name(job.id, rank) for rank in range(job.spec.replicas)]


def info_files(job: Job, rank: int) -> dict[str, bytes]:
    """The one-line files below `/etc/ucloud` (ENV-8, ENV-9)."""
    names = node_names(job)
    lines = {f"node-{other}.txt": name for other, name in enumerate(names)}
    lines |= {
        "rank.txt": str(rank),
        "cores.txt": cores(job.spec.machine),
        "number_of_nodes.txt": str(job.spec.replicas),
        "job_id.txt": job.id,
        "nodes.txt": "\n".join(names),
    }
    return {name: (text + "\n").encode() for name, text in lines.items()}


def cores(machine: Machine) -> str:
    """An integer if whole, else the decimal fraction (ENV-8)."""
    whole, rest = divmod(machine.cpu_milli, 1000)
    return str(whole) if rest == 0 else f"{machine.cpu_milli / 1000:g}"


def provider_variables(job: Job, rank: int) -> dict[str, str]:
    """Variables of the provider; they win over the application's (INV-22, ENV-31)."""
    spec, machine = job.spec, job.spec.machine
    variables = {
        "UCLOUD_JOB_ID": job.id,
        "UCLOUD_RANK": str(rank),
        "UCLOUD_TASK_COUNT": str(spec.replicas),
        "VC_TASK_INDEX": str(rank),
        "VK_TASK_INDEX": str(rank),
        "VC_JOB_NUM": str(spec.replicas),
        "UCLOUD_NODES": str(spec.replicas),
        "UCLOUD_APPLICATION_NAME": spec.application_name,
        "UCLOUD_APPLICATION_VERSION": spec.application_version,
    }
    opened = {} if spec.launch.opened_file is None else {OPENED_FILE: spec.launch.opened_file}
    return variables | _machine_variables(machine) | opened


def _machine_variables(machine: Machine) -> dict[str, str]:
    return {
        "UCLOUD_MACHINE_NAME": machine.product.id,
        "UCLOUD_MACHINE_CATEGORY": machine.product.category,
        "UCLOUD_MACHINE_CPU": cores(machine),
        "UCLOUD_MACHINE_CPU_MODEL": machine.cpu_model,
        "UCLOUD_MACHINE_MEMORY_IN_GIGS": f"{machine.memory_bytes / 10**9:g}",
        "UCLOUD_MACHINE_MEMORY_MODEL": machine.memory_model,
        "UCLOUD_MACHINE_GPU": str(machine.gpu),
        "UCLOUD_MACHINE_GPU_MODEL": machine.gpu_model,
    }


def _gpus(job: Job, rank: int) -> tuple[str, ...]:
    return job.ranks[rank].gpus if job.ranks else ()
