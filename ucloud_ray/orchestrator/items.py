"""Items of end-user requests that no other part of the project reads."""

from __future__ import annotations

from pydantic import Field

from ucloud_ray.wire.accounting import ProductCategoryIdV2, WalletOwner
from ucloud_ray.wire.common import Model, NameAndVersion
from ucloud_ray.wire.follow import ResumePoints
from ucloud_ray.wire.jobs import JobSpecification
from ucloud_ray.wire.values import AppParameterValue


class SessionItem(Model):
    """`interactiveSession` of a user (end-user-api 6)."""

    id: str
    rank: int = 0
    session_type: str
    """`WEB`, `VNC` or `SHELL`."""
    target: str | None = None


class RenameItem(Model):
    id: str
    new_title: str = ""
    """Empty: no title."""


class LabelsItem(Model):
    """`updateLabels`, of users and of providers (end-user-api 9, control-api 7.2): all labels of the job."""

    id: str
    labels: dict[str, str] | None = None


class LogIn(Model):
    username: str
    password: str = Field(repr=False)


class OwnPassword(Model):
    current_password: str = Field(repr=False)
    new_password: str = Field(repr=False)


class UserName(Model):
    username: str


class NewPassword(UserName):
    password: str = Field(repr=False)


class NewUser(NewPassword):
    role: str = "USER"
    """Or `ADMIN`."""


class ProjectSpecification(Model):
    title: str
    parent: str | None = None
    """Not looked at: there are no projects inside of projects here."""


class NewTitle(Model):
    id: str
    new_title: str


class ProjectId(Model):
    project: str


class InviteItem(Model):
    recipient: str
    project: str | None = None
    """Of the header when None."""


class MemberRole(UserName):
    role: str
    """`PI`, `ADMIN` or `USER`."""


class NewGroup(Model):
    title: str
    project: str | None = None
    """Of the header when None."""


class GroupMember(UserName):
    group: str


class JobSettings(Model):
    """`settings` (end-user-api 9)."""

    toggled: bool
    sample_rate_value: str | None = None


class RegisterItem(Model):
    """`register` of a provider (control-api 6)."""

    spec: JobSpecification
    provider_generated_id: str | None = None
    created_by: str | None = None
    project: str | None = None
    project_all_read: bool = False
    project_all_write: bool = False


class AttachRequest(Model):
    """`attachResource` and `detachResource` (end-user-api 9)."""

    job_id: str
    resource: AppParameterValue


class DynamicParametersRequest(Model):
    application: NameAndVersion


class ExistenceItem(Model):
    """`checkExistence` of a provider (control-api 5.3)."""

    type: str
    id: str


class GrantItem(Model):
    """A new allocation. Ours, not UCloud's."""

    owner: WalletOwner
    category: ProductCategoryIdV2
    amount: int
    """In millionths of the currency, or in units of a category that is not paid in money."""
    start_date: int | None = None
    """Milliseconds since the epoch; now when absent."""
    end_date: int | None = None
    """For ever when absent."""


class FollowPayload(Model):
    id: str
    resume: ResumePoints | None = None
    """Given, if only as an empty list: log entries tell their `offset`. Ours, not UCloud's."""
    channels: bool = False
    """Whether the entries of extra channels are wanted, which the documented client does not expect (W15)."""
