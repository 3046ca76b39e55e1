"""Jobs for the store's tests: one of every phase, with every field that can be filled."""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from ucloud_ray.domain.ids import JobId, JobUid, Millis, ProductId
from ucloud_ray.domain.job import (
    Backend,
    Cleaning,
    Ending,
    EnvRef,
    Exit,
    Final,
    Job,
    JobSpec,
    JobState,
    Launch,
    Lingering,
    Machine,
    MountRequest,
    Owner,
    PeerRequest,
    Phase,
    Queued,
    Rank,
    Rules,
    Running,
    Starting,
    Suspended,
    TimeBook,
    Verdict,
)

RANKS = (
    Rank(
        0,
        "node-a",
        "10.83.0.2",
        {"version": 1, "pid": 7, "nested": {"list": [1, None, "ø"]}},
        Exit(code=137, signal=9, out_of_memory=True),
    ),
    Rank(1, "node-b", lost=True, gpus=("0", "3")),
)
VERDICT = Verdict(JobState.SUCCESS, "The job has finished processing! (exit code 3)", allow_restart=True)

PHASES: tuple[Phase, ...] = (
    Queued(Millis(1), told_waiting=True),
    Starting(RANKS),
    Running(RANKS),
    Lingering(RANKS, until=Millis(9)),
    Ending(RANKS, VERDICT),
    Cleaning(RANKS, VERDICT),
    Suspended(Millis(5)),
    Final(VERDICT, Millis(6), RANKS),
)

SPEC = JobSpec(
    owner=Owner("alice", "project-1"),
    application_name="acme-batch",
    application_version="1.0.0",
    application_title="Acme Batch",
    machine=Machine(ProductId("example-1", "example", "example"), 1500, 2_000_000_000, 1, "cpu", "memory", "gpu"),
    backend=Backend.DOCKER,
    replicas=2,
    launch=Launch(
        image="acme/batch:1.0.0",
        argv=("acme", EnvRef("HOME"), "ø 'quoted' \N{SNOWMAN}"),
        environment={"A": "1", "B": ""},
        mounts=(MountRequest("/1/folder", "folder", read_only=True),),
        run_as_root=True,
        peers=(PeerRequest("database", JobId("99")),),
    ),
    name="a name",
    time_allocation=3_600_000,
    restart_on_exit=True,
)


def a_job(id: str = "100", created_at: int = 1_000, phase: Phase | None = None) -> Job:
    return Job(
        uid=JobUid(str(uuid4())),
        id=JobId(id),
        created_at=Millis(created_at),
        spec=SPEC,
        phase=phase or Queued(Millis(1)),
        rules=Rules(exit_code_policy="strict", replica_end_policy="all"),
        incarnation=3,
        failed_starts=1,
        told=JobState.RUNNING,
        times=TimeBook(3_600_000, Millis(2), Millis(3), 4),
        output_folder="/1/Jobs/100",
        accepted_at=Millis(created_at + 1),
    )


def ended(job: Job) -> Job:
    return replace(job, phase=Final(VERDICT, Millis(6)), told=JobState.SUCCESS)
