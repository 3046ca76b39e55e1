"""Public addresses as resources, and what is said about them in both directions (`spec` models 14, provider-api 9,
control-api 10.4).

Read and written by the provider and the orchestrator alike.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ucloud_ray.wire.common import Model, ProductReference, Timestamp
from ucloud_ray.wire.resources import AclEntity, ResourceAclEntry, ResourceOwner, ResourcePermissions

Port = Annotated[int, Field(ge=0, le=65535)]
AddressState = Literal["PREPARING", "READY", "UNAVAILABLE"]


class PortRangeAndProto(Model):
    """Ports that are reachable from outside, both ends included (RES-6)."""

    start: Port
    end: Port
    protocol: Literal["TCP", "UDP"]

    @model_validator(mode="after")
    def in_order(self) -> PortRangeAndProto:
        if self.start > self.end:
            raise ValueError("the first port of a range must not be above its last one")
        return self


class Firewall(Model):
    open_ports: Annotated[list[PortRangeAndProto], Field(max_length=1000)] = Field(default_factory=list)


class PublicIpSpecification(Model):
    product: ProductReference
    firewall: Firewall | None = None
    labels: dict[str, str] | None = None
    """G only."""


class PublicIpStatus(Model):
    state: AddressState = "PREPARING"
    bound_to: list[str] = Field(default_factory=list)
    """Ids of jobs."""
    ip_address: str | None = None
    """None until the provider told one."""


class Binding(Model):
    """K: which job has the address (control-api 10.4)."""

    kind: Literal["BIND", "UNBIND"]
    job: str


class PublicIpUpdate(Model):
    state: AddressState | None = None
    status: str | None = None
    change_ip_address: bool | None = None
    """Whether `newIpAddress` counts."""
    new_ip_address: str | None = None
    binding: Binding | None = None
    timestamp: Timestamp = 0


class PublicIp(Model):
    """`NetworkIP` in K."""

    id: str
    created_at: Timestamp = 0
    owner: ResourceOwner = Field(default_factory=ResourceOwner)
    permissions: ResourcePermissions | None = None
    provider_generated_id: str | None = None
    specification: PublicIpSpecification
    status: PublicIpStatus = Field(default_factory=PublicIpStatus)
    updates: list[PublicIpUpdate] = Field(default_factory=list)


class FirewallSupport(Model):
    enabled: bool = False


class PublicIpSupport(Model):
    product: ProductReference
    firewall: FirewallSupport = Field(default_factory=FirewallSupport)


# ------------------------------------------------------------------------------------------- Core to provider


class FirewallItem(Model):
    """`POST /ucloud/P/networkips/firewall`: the rules of one address from now on, whole."""

    network_ip: PublicIp
    firewall: Firewall = Field(default_factory=Firewall)


class UpdatedAclOfAddress(Model):
    """`POST /ucloud/P/networkips/updateAcl` (models 3, UpdatedAclWithResource)."""

    resource: PublicIp
    added: list[ResourceAclEntry] = Field(default_factory=list)
    deleted: list[AclEntity] = Field(default_factory=list)


# ------------------------------------------------------------------------------------------- provider to Core


class ResourceUpdate(Model):
    """An item of `POST /api/networkips/control/update`."""

    id: str
    """Of the resource."""
    update: PublicIpUpdate
