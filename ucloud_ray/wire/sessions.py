"""Interactive sessions (`spec` models 11.1 and 11.3, provider-api 6.11, 6.12 and 7.2)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from ucloud_ray.wire.common import Model
from ucloud_ray.wire.jobs import JobKey


class InteractiveSessionItem(Model):
    job: JobKey
    rank: int = 0
    session_type: str
    """`SHELL`, `WEB` or `VNC`; anything may arrive (O9)."""
    target: str | None = None


class OpenTerminalItem(Model):
    folder: str
    """UCloud path."""


class ShellSession(Model):
    type: Literal["shell"] = "shell"
    job_id: str
    rank: int
    session_identifier: str = Field(repr=False)
    """The credential of the session (IS-3)."""


class WebSession(Model):
    type: Literal["web"] = "web"
    job_id: str
    rank: int
    redirect_client_to: str = Field(repr=False)
    """Absolute, with scheme (W9)."""


class VncSession(Model):
    type: Literal["vnc"] = "vnc"
    job_id: str
    rank: int
    url: str = Field(repr=False)
    password: str | None = Field(default=None, repr=False)


OpenSession = ShellSession | WebSession | VncSession


class ShellInitialize(Model):
    type: Literal["initialize"]
    session_identifier: str = Field(repr=False)
    cols: int | None = None
    rows: int | None = None


class ShellInput(Model):
    type: Literal["input"]
    data: str


class ShellResize(Model):
    type: Literal["resize"]
    cols: int
    rows: int


ShellRequest = Annotated[ShellInitialize | ShellInput | ShellResize, Field(discriminator="type")]
"""What a browser sends (11.3). There may be more fields (W10)."""


class OpenSessionWithProvider(Model):
    """What the end user gets."""

    provider_domain: str
    provider_id: str
    session: OpenSession
