"""Updates of jobs: from us to UCloud/Core, and from there to users (`spec` models 4.5, control-api 4)."""

from __future__ import annotations

from typing import Any

from ucloud_ray.wire.common import Model


class JobUpdate(Model):
    """Absent means unchanged. Send it with `to_wire(update, omit_null=True)`."""

    state: str | None = None
    status: str | None = None
    output_folder: str | None = None
    expected_state: str | None = None
    expected_different_state: bool | None = None
    new_time_allocation: int | None = None
    """New total in milliseconds (TIME-6)."""
    allow_restart: bool | None = None
    new_mounts: list[str] | None = None
    resource_list: list[dict[str, Any]] | None = None
    timestamp: int = 0
    """Set by the Core."""


class JobUpdateItem(Model):
    """`ResourceUpdateAndId`, the item of `jobs/control/update`."""

    id: str
    update: JobUpdate
