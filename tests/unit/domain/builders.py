"""Jobs in every phase, made by the life cycle itself and not by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ucloud_ray.domain.effects import Announce, Effect
from ucloud_ray.domain.events import CleanedUp, Event, PlacementGranted, ReplicaEnded, ReplicaStarted, SuspendRequested
from ucloud_ray.domain.ids import JobId, JobUid, Millis, ProductId
from ucloud_ray.domain.job import Backend, Exit, Job, JobSpec, JobState, Launch, Machine, Owner, Rules
from ucloud_ray.domain.lifecycle import accept, decide

NOW = Millis(1_700_000_000_000)
HOUR = 3_600_000
OK = Exit(code=0)
HANDLE: Mapping[str, Any] = {"driver": "scripted"}


def spec(replicas: int = 1, backend: Backend = Backend.DOCKER, **more: Any) -> JobSpec:
    machine = Machine(ProductId("example-compute", "example-compute", "example"), 10_000, 20 * 10**9)
    launch = Launch("image", ("batch",), {})
    return JobSpec(Owner("alice"), "batch", "1.0", "Batch", machine, backend, replicas, launch, **more)


def queued(job_spec: JobSpec | None = None, rules: Rules | None = None) -> Job:
    job, _ = accept(
        uid=JobUid("uid"), id=JobId("41"), created_at=NOW, spec=job_spec or spec(), rules=rules or Rules(), now=NOW
    )
    return job


def after(job: Job, *events: Event, at: int = NOW) -> Job:
    for event in events:
        job, _ = decide(job, event, Millis(at))
    return job


def starting(job_spec: JobSpec | None = None, rules: Rules | None = None) -> Job:
    return place(queued(job_spec, rules))


def place(job: Job) -> Job:
    hosts = tuple(f"node-{rank}" for rank in range(job.spec.replicas))
    return after(job, PlacementGranted(job.incarnation + 1, hosts))


def running(job_spec: JobSpec | None = None, rules: Rules | None = None) -> Job:
    return start_all(starting(job_spec, rules))


def start_all(job: Job) -> Job:
    return after(job, *(ReplicaStarted(job.incarnation, rank, HANDLE) for rank in range(job.spec.replicas)))


def lingering(job_spec: JobSpec | None = None, rules: Rules | None = None) -> Job:
    """Of several ranks, rank 0 has ended."""
    return after(running(job_spec or spec(2), rules), ReplicaEnded(1, 0, OK))


def cleaned_up(job: Job) -> tuple[Job, list[Announce]]:
    """Everything that still runs ends because we stopped it, and nothing is left."""
    for rank in job.ranks:
        job = after(job, ReplicaEnded(job.incarnation, rank.rank, Exit(signal=15)))
    job, effects = decide(job, CleanedUp(job.incarnation), NOW)
    return job, announced(effects)


def ended(job_spec: JobSpec | None = None, exit: Exit = OK, rules: Rules | None = None) -> Job:
    return cleaned_up(after(running(job_spec, rules), ReplicaEnded(1, 0, exit)))[0]


def suspended(**more: Any) -> Job:
    machine = spec(backend=Backend.VIRTUAL_MACHINE, **more)
    return cleaned_up(after(running(machine), SuspendRequested()))[0]


def announced(effects: tuple[Effect, ...]) -> list[Announce]:
    return [effect for effect in effects if isinstance(effect, Announce)]


def states(effects: tuple[Effect, ...]) -> list[tuple[JobState, str | None]]:
    """State and text of the updates that carry a state."""
    return [(update.state, update.status) for update in announced(effects) if update.state is not None]
