"""Drives and files as users see them (docs/files.md): read by the client library."""

from __future__ import annotations

from pydantic import Field

from ucloud_ray.wire.common import Model
from ucloud_ray.wire.resources import ResourceOwner, ResourcePermissions


class DriveSpecification(Model):
    title: str = ""


class Drive(Model):
    id: str
    specification: DriveSpecification = Field(default_factory=DriveSpecification)
    owner: ResourceOwner = Field(default_factory=ResourceOwner)
    permissions: ResourcePermissions | None = None


class FileStatus(Model):
    type: str = "FILE"
    """`FILE` or `DIRECTORY`."""
    size_in_bytes: int | None = None
    modified_at: int | None = None
    """Milliseconds since the epoch."""


class File(Model):
    """A file or folder."""

    id: str
    """Its path, `/<drive id>/...`."""
    status: FileStatus = Field(default_factory=FileStatus)

    @property
    def name(self) -> str:
        return self.id.rpartition("/")[2]

    @property
    def is_folder(self) -> bool:
        return self.status.type == "DIRECTORY"


class TransferPermit(Model):
    """Where the bytes of one file go to, or come from."""

    endpoint: str = Field(repr=False)
    """Of a download it holds the permit."""
    protocol: str = ""
    token: str = Field(default="", repr=False)
