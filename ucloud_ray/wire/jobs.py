"""A job as UCloud writes it (`spec` models 4), and the requests that carry jobs (provider-api 6)."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ucloud_ray.wire.applications import Application
from ucloud_ray.wire.common import Model, NameAndVersion, ProductReference, SimpleDuration, Timestamp, WireMap
from ucloud_ray.wire.products import AnyProduct, ResolvedSupport
from ucloud_ray.wire.resources import AclEntity, ResourceAclEntry, ResourceOwner, ResourcePermissions
from ucloud_ray.wire.updates import JobUpdate
from ucloud_ray.wire.values import AppParameterValue


class JobSpecification(Model):
    application: NameAndVersion
    product: ProductReference
    name: str | None = None
    replicas: int = 1
    allow_duplicate_job: bool = False
    parameters: WireMap[AppParameterValue] | None = None
    resources: list[AppParameterValue] | None = None
    time_allocation: SimpleDuration | None = None
    """None: no automatic end (TIME-1)."""
    opened_file: str | None = None
    restart_on_exit: bool | None = None
    ssh_enabled: bool | None = None
    hostname: str | None = None
    labels: WireMap[str] | None = None


class JobStatus(Model):
    state: str = "IN_QUEUE"
    job_parameters_json: dict[str, Any] | None = None
    started_at: int | None = None
    """Milliseconds since the epoch."""
    expires_at: int | None = None
    resolved_application: Application | None = None
    resolved_support: ResolvedSupport | None = None
    resolved_product: AnyProduct | None = None
    allow_restart: bool = False


class JobOutput(Model):
    output_folder: str | None = None


class Job(Model):
    id: str
    owner: ResourceOwner = Field(default_factory=ResourceOwner)
    updates: list[JobUpdate] = Field(default_factory=list)
    """Oldest first."""
    specification: JobSpecification
    status: JobStatus = Field(default_factory=JobStatus)
    created_at: Timestamp
    """Milliseconds since the epoch; together with `id` it names the job (O3)."""
    output: JobOutput | None = None
    permissions: ResourcePermissions | None = None
    provider_generated_id: str | None = None


# ---------------------------------------------------------------------------------------------------- requests


class JobKey(Model):
    """As much of a job as names it. Calls about a known job read nothing else, so they accept any age of job."""

    id: str
    created_at: Timestamp | None = None
    """None in shortened examples of the documentation."""


class StatusState(Model):
    state: str = "IN_QUEUE"


class JobKeyAndState(JobKey):
    """For `verify`: which job, and what the Core believes of it."""

    status: StatusState = Field(default_factory=StatusState)


class ExtendItem(Model):
    job: JobKey
    requested_time: SimpleDuration
    """Added to what the job has (TIME-5)."""


class JobKeyItem(Model):
    """Item of `suspend` and `unsuspend`."""

    job: JobKey


class UpdateAclItem(Model):
    resource: JobKey
    added: list[ResourceAclEntry] = Field(default_factory=list)
    deleted: list[AclEntity] = Field(default_factory=list)


class UserExtendItem(Model):
    """Item of the end user's `extend`."""

    job_id: str
    requested_time: SimpleDuration
