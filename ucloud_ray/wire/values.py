"""Values of parameters and attached resources: `AppParameterValue` (`spec` models 9).

G sends every field of every variant with each value, so the variant is chosen by `type` alone and the fields that do
not belong to it are not looked at.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from ucloud_ray.wire.applications import ApplicationParameter
from ucloud_ray.wire.common import Model, object_type


class FileValue(Model):
    type: Literal["file"] = "file"
    path: str
    """UCloud path, `/<drive id>/...`."""
    read_only: bool = False
    mount_path: str = ""
    """Where to mount it; empty: below `/work` (ENV-12)."""


class BooleanValue(Model):
    type: Literal["boolean", "bool"] = "boolean"
    value: bool


class TextValue(Model):
    type: Literal["text", "textarea"] = "text"
    value: str = ""


class IntegerValue(Model):
    type: Literal["integer"] = "integer"
    value: int | float = Field(union_mode="left_to_right")
    """Any size; whole numbers never pass through a double. Some senders write `1e+06`."""


class FloatingPointValue(Model):
    type: Literal["floating_point"] = "floating_point"
    value: int | float = Field(union_mode="left_to_right")


class PeerValue(Model):
    type: Literal["peer"] = "peer"
    hostname: str
    job_id: str


class LicenseServerValue(Model):
    type: Literal["license_server"] = "license_server"
    id: str
    address: str | None = None
    """With `port` and `license` what the job is to see; the client knows it (W16)."""
    port: int | None = None
    license: str | None = Field(default=None, repr=False)
    """The key, a secret (RES-14)."""


class BlockStorageValue(Model):
    type: Literal["block_storage"] = "block_storage"
    id: str


class NetworkValue(Model):
    type: Literal["network"] = "network"
    id: str


class IngressValue(Model):
    type: Literal["ingress"] = "ingress"
    id: str
    port: int = 0
    """0: the application's own."""
    tls: bool = False


class WorkflowSpecification(Model):
    application_name: str = ""
    language: str = "JINJA2"
    init: str | None = None
    job: str | None = None
    """Template that is added to the application's (INV-43)."""
    readme: str | None = None
    inputs: list[ApplicationParameter] = Field(default_factory=list)


class WorkflowValue(Model):
    type: Literal["workflow"] = "workflow"
    specification: WorkflowSpecification = Field(default_factory=WorkflowSpecification)


class ModulesValue(Model):
    type: Literal["modules"] = "modules"
    modules: list[str] = Field(default_factory=list)


class PrivateNetworkValue(Model):
    type: Literal["private_network"] = "private_network"
    id: str


class ApiServerValue(Model):
    """Carries a secret, so its text form says nothing."""

    type: Literal["api_server"] = "api_server"
    server: str = ""
    token: str = Field(default="", repr=False)
    token_type: str = ""


class UnknownValue(Model):
    """A variant of a later era. Ignored as a parameter (INV-3), refused as a resource."""

    type: str


AppParameterValue = Annotated[
    Annotated[FileValue, Tag("file")]
    | Annotated[BooleanValue, Tag("boolean")]
    | Annotated[TextValue, Tag("text")]
    | Annotated[IntegerValue, Tag("integer")]
    | Annotated[FloatingPointValue, Tag("floating_point")]
    | Annotated[PeerValue, Tag("peer")]
    | Annotated[LicenseServerValue, Tag("license_server")]
    | Annotated[BlockStorageValue, Tag("block_storage")]
    | Annotated[NetworkValue, Tag("network")]
    | Annotated[IngressValue, Tag("ingress")]
    | Annotated[WorkflowValue, Tag("workflow")]
    | Annotated[ModulesValue, Tag("modules")]
    | Annotated[PrivateNetworkValue, Tag("private_network")]
    | Annotated[ApiServerValue, Tag("api_server")]
    | Annotated[UnknownValue, Tag("unknown")],
    Discriminator(lambda value: _TAGS.get(object_type(value), "unknown")),
]

_TAGS = {
    **{
        name: name
        for name in (
            "file", "boolean", "text", "integer", "floating_point", "peer", "license_server", "block_storage",
            "network", "ingress", "workflow", "modules", "private_network", "api_server",
        )
    },
    "bool": "boolean",
    "textarea": "text",
}  # fmt: skip
