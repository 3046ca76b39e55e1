"""Users of our own orchestrator. Ours, not UCloud's."""

from __future__ import annotations

from ucloud_ray.wire.common import Model, Timestamp


class Account(Model):
    username: str
    role: str
    """`USER` or `ADMIN`."""
    created_at: Timestamp
