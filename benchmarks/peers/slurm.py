"""A real Slurm of one node: munged, slurmctld and slurmd with keys, ports and folders of their own, by root.

Set up to be as fast as it can be while still being Slurm: no accounting, no logging, no task plugin, 64 jobs per
processor, and a scheduler that may run again at once, which was twice as fast as its defaults. `sbatch` is its client,
as a user's script would call it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks.errors import BenchmarkError, Unavailable
from benchmarks.peers.services import free_ports, require, service, wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "sinfo")
PATIENCE_SECONDS = 300.0
LOOK_SECONDS = 0.05
SCHEDULER = "sched_min_interval=0,batch_sched_delay=0,sched_interval=1,default_queue_depth=1000"
NOTES = (
    f"Slurm: SchedulerParameters={SCHEDULER}, ProctrackType=proctrack/linuxproc, TaskPlugin=task/none, "
    "OverSubscribe=FORCE:64, no accounting"
)


@dataclass(frozen=True, slots=True)
class Slurm:
    folder: Path
    environment: dict[str, str]

    def submit_each(self, count: int, at_once: int) -> None:
        """One `sbatch` per job, so many at the same time."""
        with ThreadPoolExecutor(at_once) as pool:
            list(pool.map(lambda _: self._sbatch(), range(count)))

    def submit_array(self, count: int) -> None:
        """All jobs with one call."""
        self._sbatch(f"--array=1-{count}")

    def wait_until_final(self) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self._run("squeue", "--noheader", "--states=PENDING,RUNNING,COMPLETING,CONFIGURING", "--format=%t"):
            if time.monotonic() > deadline:
                raise BenchmarkError(f"Slurm's jobs did not end within {PATIENCE_SECONDS:.0f} s; see {self.folder}")
            time.sleep(LOOK_SECONDS)

    def check_succeeded(self, at_least: int) -> None:
        """That so many jobs completed, and none ended otherwise."""
        states = self._run("squeue", "--noheader", "--states=all", "--array", "--format=%T").split()
        if states.count("COMPLETED") < at_least or set(states) - {"COMPLETED"}:
            raise BenchmarkError(f"Slurm ran {states.count('COMPLETED')} of {at_least} jobs: {sorted(set(states))}")

    def answers(self) -> bool:
        with contextlib.suppress(BenchmarkError):
            return "idle" in self._run("sinfo", "--noheader", "--format=%T")
        return False

    def _sbatch(self, *options: str) -> None:
        self._run("sbatch", "--parsable", f"--chdir={self.folder / 'jobs'}", *options, "--wrap", "true")

    def _run(self, *command: str) -> str:
        ended = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60, check=False)
        if ended.returncode != 0:
            raise BenchmarkError(f"{command[0]}: {ended.stderr.strip()[-300:]}")
        return ended.stdout.strip()


@contextlib.contextmanager
def running() -> Iterator[Slurm]:
    """Raises `Unavailable` where Slurm is not installed or we are not root."""
    require(*PROGRAMS, package="slurmctld, slurmd, slurm-client and munge (Debian's packages)")
    if os.geteuid() != 0:
        raise Unavailable("a private Slurm is started by root only")
    folder = Path(tempfile.mkdtemp(prefix="ucbench-slurm-"))
    try:
        with contextlib.ExitStack() as stack:
            yield _start(stack, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start(stack: contextlib.ExitStack, folder: Path) -> Slurm:
    config = _write_config(folder)
    slurm = Slurm(folder, os.environ | {"SLURM_CONF": str(config)})
    socket_file = folder / "munge.socket"
    stack.enter_context(service(_munged(folder), folder / "munged.log"))
    wait_until(socket_file.exists, "munged", folder / "munged.log")
    stack.enter_context(service(["slurmctld", "-D", "-f", str(config)], folder / "slurmctld.log", slurm.environment))
    slurmd = ["slurmd", "-D", "-f", str(config), "-N", _host()]
    stack.enter_context(service(slurmd, folder / "slurmd.log", slurm.environment))
    wait_until(slurm.answers, "Slurm", folder / "slurmctld.log")
    return slurm


def _munged(folder: Path) -> list[str]:
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(1024))
    files = {"key-file": key, "socket": folder / "munge.socket"}
    files |= {f"{name}-file": folder / f"munge.{name}" for name in ("pid", "log", "seed")}
    # --force: its folder is below the system's folder for temporary files, which others may write to.
    return ["munged", "--foreground", "--force", *(f"--{name}={file}" for name, file in files.items())]


def _host() -> str:
    return socket.gethostname().partition(".")[0]


def _write_config(folder: Path) -> Path:
    for name in ("state", "spool", "jobs"):
        (folder / name).mkdir()
    controller, node = free_ports(2)
    lines = [
        "ClusterName=benchmark",
        f"SlurmctldHost={_host()}(127.0.0.1)",
        f"SlurmctldPort={controller}",
        f"SlurmdPort={node}",
        "SlurmUser=root",
        "AuthType=auth/munge",
        f"AuthInfo=socket={folder / 'munge.socket'}",
        f"StateSaveLocation={folder / 'state'}",
        f"SlurmdSpoolDir={folder / 'spool'}",
        f"SlurmctldPidFile={folder / 'slurmctld.pid'}",
        f"SlurmdPidFile={folder / 'slurmd.pid'}",
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        "JobAcctGatherType=jobacct_gather/none",
        "AccountingStorageType=accounting_storage/none",
        "JobCompType=jobcomp/none",
        "SchedulerType=sched/builtin",
        f"SchedulerParameters={SCHEDULER}",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_CPU",
        "MaxJobCount=100000",
        "MaxArraySize=100001",
        "SlurmctldDebug=error",
        "SlurmdDebug=error",
        "MailProg=/bin/true",
        "ReturnToService=2",
        f"NodeName={_host()} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} State=UNKNOWN",
        f"PartitionName=benchmark Nodes={_host()} Default=YES OverSubscribe=FORCE:64 MaxTime=INFINITE State=UP",
    ]
    config = folder / "slurm.conf"
    config.write_text("\n".join(lines) + "\n")
    return config
