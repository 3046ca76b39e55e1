"""Items of end-user requests that no other part of the project reads."""

from __future__ import annotations

from ucloud_ray.wire.common import Model
from ucloud_ray.wire.follow import ResumePoints


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


class ExistenceItem(Model):
    """`checkExistence` of a provider (control-api 5.3)."""

    type: str
    id: str


class FollowPayload(Model):
    id: str
    resume: ResumePoints | None = None
    """Given, if only as an empty list: log entries tell their `offset`. Ours, not UCloud's."""
    channels: bool = False
    """Whether the entries of extra channels are wanted, which the documented client does not expect (W15)."""
