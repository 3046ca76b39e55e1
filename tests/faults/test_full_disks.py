"""A disk runs full, below each of the folders that something is kept in: real small file systems on one installation.

Each has its own disk: the store, the drives with the job folders, the machine's own state, and what Docker keeps.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.faults import books, programs
from tests.faults.charges import check_charges, provider_jobs
from tests.faults.conftest import Seen
from tests.faults.findings import Findings
from tests.faults.inspection import inspect, require_nothing_wrong
from tests.faults.installation import SHELLS, installation, product
from tests.faults.planned import FINISHED, ROOMY, Planned
from tests.faults.report import fault
from tests.faults.workload import Started, Workload
from tests.support import dockerd, images, leftovers
from tests.support.dockerd import PrivateDaemon
from tests.support.small_disk import full, mounted
from tests.support.stack import Stack, specification, texts
from tests.support.wait import wait_until
from ucloud_ray.control.admission import NOT_STORED

pytestmark = [pytest.mark.timeout(400), pytest.mark.docker]

MEGABYTE = 1024 * 1024
NO_ROOM = "Your job could not be started: The disk of the machine is full."


@dataclass
class Small:
    """An installation on small disks."""

    stack: Stack
    store: Path
    docker: Path

    @property
    def drives(self) -> Path:
        return self.stack.data / "drives"

    @property
    def state(self) -> Path:
        return self.stack.data / "tasks"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Small]:
    if not dockerd.can_start():
        pytest.skip("a Docker daemon of its own can only be started by root, with Debian's docker.io installed")
    with ExitStack() as outer, ExitStack() as inner:
        store = outer.enter_context(mounted(tmp_path_factory.mktemp("small") / "store", 16 * MEGABYTE))
        daemon = PrivateDaemon(Path(tempfile.mkdtemp(prefix="dockerd-")))
        outer.callback(daemon.remove)
        docker = outer.enter_context(mounted(daemon.folder / "data", 64 * MEGABYTE))
        daemon.start()
        images.batch_image(daemon.url)

        def prepare(stack: Stack) -> None:
            stack.data.mkdir()
            (stack.data / "jobs.db").symlink_to(store / "jobs.db")  # for those who look for it there
            for name in ("drives", "tasks"):
                inner.enter_context(mounted(stack.data / name, 8 * MEGABYTE))

        with installation(daemon.url, prepare, store=f"sqlite:///{store / 'jobs.db'}") as stack:
            yield Small(stack, store, docker)
            inner.close()  # mounts are taken for something that was left


@dataclass
class Running:
    """Jobs that run, on a machine of which it is known what was there before them."""

    workload: Workload
    before: dict[str, set[str]]

    def job(self, name: str) -> Started:
        return self.workload.jobs[name]

    def finish(self) -> Findings:
        self.workload.finish()
        findings = inspect(self.workload, self.before)
        check_charges(self.workload, findings)
        require_nothing_wrong(self.workload, findings)
        return findings


def run(stack: Stack, plans: Sequence[Planned], seed: int) -> Running:
    before = leftovers.snapshot(stack.data, stack.docker_url)
    workload = Workload(stack, plans, seed)
    with workload.running():
        pass
    for job in workload.jobs.values():
        stack.wait_state(job.id, "RUNNING", timeout=60.0)
    return Running(workload, before)


def gated(kinds: Sequence[str] = ("native", "docker"), program: str = programs.gated("exit 7")) -> list[Planned]:
    text = f"{FINISHED} (exit code 7)"
    return [Planned(f"{kind} on a full disk", kind, program, text, replicas=2) for kind in kinds]


def ask_for(stack: Stack, kind: str, script: str = "exit 3", name: str = "") -> httpx.Response:
    """A job, in the user's words; the answer whatever it is."""
    item = specification(SHELLS[kind], var=script, product=product(ROOMY), name=name or None)
    return stack.http.post("/api/jobs", json={"items": [item]})


def end_of(stack: Stack, kind: str) -> str:
    """The last word about a small job that is asked for now."""
    job_id = ask_for(stack, kind).json()["responses"][0]["id"]
    return texts(stack.wait_state(job_id, timeout=60.0))[-1]


def ended(job: Started, rank: int = 0) -> bool:
    folder = job.folder
    return folder is not None and (folder / f"ends-{rank}.txt").exists()


# ----------------------------------------------------------------------------------------------------- the store


@fault(
    "the disk of the store is full",
    "nothing new is accepted, by a refusal that says so, and nothing is half done; what runs, runs on, and its end is "
    "told when there is room (D4, REC-8, REC-17)",
)
def test_a_full_disk_below_the_store(small: Small, seen: Seen, seed: int) -> None:
    stack = small.stack
    running = run(stack, gated(), seed)
    known, owed = books.jobs_of_user(stack), books.under_way(stack)["jobs at the provider"]
    with closing(sqlite3.connect(small.store / "jobs.db")) as file:
        file.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # or the log of the database has room of its own
    with full(small.store):
        refused = ask_for(stack, "native")
        assert (refused.status_code, refused.json()["why"]) == (503, NOT_STORED)
        assert len(books.jobs_of_user(stack)) == len(known)
        for job in running.workload.jobs.values():
            job.open_gate()
        for job in running.workload.jobs.values():
            wait_until(lambda job=job: ended(job, 0) and ended(job, 1), "its programs to end")
        assert books.under_way(stack)["jobs at the provider"] == owed
        assert all(job.shown()["status"]["state"] == "RUNNING" for job in running.workload.jobs.values())
    words = running.finish().words()
    assert set(provider_jobs(stack)) <= {job["id"] for job in books.jobs_of_user(stack)}, "what was refused never ran"
    assert stack.run(SHELLS["native"], var="exit 3", product=product(ROOMY))["status"]["state"] == "SUCCESS"
    seen("the disk of the store is full", f"`create` was answered {refused.status_code}; {words}")


# ---------------------------------------------------------------------------------------------------- job folders


@fault(
    "the disk of the job folders is full",
    "the job's own writes fail as on any disk; its log, our files and its end are right (LOG-17)",
)
def test_a_full_disk_below_the_job_folders(small: Small, seen: Seen, seed: int) -> None:
    stack = small.stack
    running = run(stack, gated(program=programs.greedy("exit 7")), seed)
    go = Path(tempfile.mkdtemp(prefix="go-")) / "go"
    go.parent.chmod(0o755)
    script = f"while [ ! -e {go} ]; do sleep 0.1; done; exit 9"
    ends_while_full = ask_for(stack, "native", script).json()["responses"][0]["id"]
    stack.wait_state(ends_while_full, "RUNNING")
    with full(small.drives):
        for job in running.workload.jobs.values():
            folder = job.folder
            assert folder is not None
            wait_until(lambda folder=folder: (folder / "failed").exists(), "a write to fail")
        go.touch()
        shown = stack.wait_state(ends_while_full)
        assert texts(shown)[-1] == f"{FINISHED} (exit code 9)"
        assert [end_of(stack, kind) for kind in ("native", "docker")] == [f"{FINISHED} (exit code 3)"] * 2
    words = running.finish().words()
    seen("the disk of the job folders is full", f"jobs begin and end with the right status; {words}")


# ------------------------------------------------------------------------------------------- the machine's own state


@fault(
    "the disk of the machine's own state is full",
    "a start fails with a reason, what runs ends with the right status (SCH-11, LC-10)",
)
def test_a_full_disk_below_the_machines_state(small: Small, seen: Seen, seed: int) -> None:
    stack = small.stack
    running = run(stack, gated(), seed)
    with full(small.state):
        assert [end_of(stack, kind) for kind in ("native", "docker")] == [NO_ROOM] * 2
        for job in running.workload.jobs.values():
            job.open_gate()
        for job in running.workload.jobs.values():
            shown = stack.wait_state(job.id, timeout=60.0)
            assert texts(shown)[-1] == job.plan.text
    words = running.finish().words()
    assert end_of(stack, "native") == f"{FINISHED} (exit code 3)"
    seen("the disk of the machine's own state is full", f"a start of each kind ended with `{NO_ROOM}`; {words}")


# --------------------------------------------------------------------------------------------------------- Docker


@fault(
    "the disk of Docker is full",
    "a start of a container fails with a reason for its user; others go on, and so do processes (SCH-11)",
)
def test_a_full_disk_below_docker(small: Small, seen: Seen, seed: int) -> None:
    stack = small.stack
    running = run(stack, gated(), seed)
    with full(small.docker):
        assert end_of(stack, "docker") == NO_ROOM
        assert end_of(stack, "native") == f"{FINISHED} (exit code 3)"
    words = running.finish().words()
    assert end_of(stack, "docker") == f"{FINISHED} (exit code 3)"
    seen("the disk of Docker is full", f"a container ended with `{NO_ROOM}`, a process as ever; {words}")
