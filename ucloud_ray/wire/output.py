"""Parts of a job's output, and what its ranks use: calls of our own orchestrator (docs/output.md)."""

from __future__ import annotations

from pydantic import Field

from ucloud_ray.wire.common import Model


class LogPart(Model):
    rank: int
    stream: str
    """`stdout` or `stderr`."""
    offset: int
    """Where it begins, in bytes."""
    next_offset: int
    """Where to read on."""
    total: int
    """Size of the stream at that moment."""
    text: str = ""
    state: str = ""
    """Of the job. In a final one nothing follows what is there."""


class RankUsage(Model):
    rank: int
    cores: float | None = None
    memory: int = 0
    """Bytes."""
    processes: int = 0


class JobUsage(Model):
    ranks: list[RankUsage] = Field(default_factory=list)
