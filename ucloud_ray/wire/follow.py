"""Frames and messages of the log streams (`spec` models 11.2, provider-api 7.0 and 7.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from ucloud_ray.wire.common import Model, Timestamp
from ucloud_ray.wire.jobs import Job, JobStatus
from ucloud_ray.wire.updates import JobUpdate

PING = '{"ping":"pong"}'
"""Keep-alive; carries no stream id and is ignored by clients."""


class RequestFrame(Model):
    call: str
    stream_id: str
    """Chosen by the client; answers carry the same."""
    payload: dict[str, Any] = Field(default_factory=dict)
    bearer: str | None = Field(default=None, repr=False)
    project: str | None = None


class ResponseFrame(Model):
    type: Literal["message", "response"]
    """`response` is the last frame of its stream."""
    stream_id: str
    payload: dict[str, Any] = Field(default_factory=dict)
    status: int | None = None
    """HTTP status, only with `response`."""


class FollowedJobSpecification(Model):
    product: dict[str, Any] = Field(default_factory=dict)
    replicas: int = 1


class FollowedJob(Model):
    """As much of a job as following needs; documented examples carry only the id."""

    id: str
    created_at: Timestamp | None = None
    specification: FollowedJobSpecification = Field(default_factory=FollowedJobSpecification)


class ResumePoint(Model):
    """Where a follower goes on that was there before. Ours, not UCloud's."""

    rank: int = Field(ge=0)
    stream: Literal["stdout", "stderr"]
    offset: int = Field(ge=0)
    """Bytes, as the last entry of that stream told."""


MAX_RESUME_POINTS = 20_000
ResumePoints = Annotated[list[ResumePoint], Field(max_length=MAX_RESUME_POINTS)]


class FollowInit(Model):
    type: Literal["init"] = "init"
    job: FollowedJob
    resume: ResumePoints | None = None
    """Given, if only as an empty list: entries tell their `offset`. UCloud/Core does not send it."""
    channels: bool | None = None
    """Whether graphs are wanted; absent, the era of the caller decides (W15)."""


class FollowCancel(Model):
    type: Literal["cancel"] = "cancel"
    stream_id: str
    """The id that the provider put into its messages."""


FollowRequest = Annotated[FollowInit | FollowCancel, Field(discriminator="type")]


class LogEntry(Model):
    rank: int = 0
    stdout: str | None = None
    stderr: str | None = None
    channel: str | None = None


def begins(resume: Sequence[ResumePoint] | None) -> Mapping[tuple[int, str], int]:
    """Rank and stream to offset."""
    return {(point.rank, point.stream): point.offset for point in resume or ()}


class FollowMessage(LogEntry):
    """From the provider to the Core."""

    stream_id: str


class JobsFollowResponse(Model):
    """From the Core to the end user. `log` is always a list, `newStatus` complete (W19)."""

    updates: list[JobUpdate] = Field(default_factory=list)
    log: list[LogEntry] = Field(default_factory=list)
    new_status: JobStatus | None = None
    initial_job: Job | None = None
