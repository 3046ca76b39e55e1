"""What this provider sells and how busy it is (provider-api 6.2, 6.3 and 9)."""

from __future__ import annotations

from typing import Any

from ucloud_ray.control.errors import BadRequest
from ucloud_ray.control.service import BackendSupport, JobService, ProductSupport, Utilization
from ucloud_ray.domain.job import Backend
from ucloud_ray.provider.endpoint import Call, Endpoint
from ucloud_ray.wire.common import BulkResponse, ProductReference, to_wire
from ucloud_ray.wire.products import (
    ComputeSupport,
    CpuAndMemory,
    DockerSupport,
    NativeSupport,
    QueueStatus,
    UtilizationResponse,
    VirtualMachineSupport,
)

OTHER_TYPES = ("files/collections", "ingresses", "networkips", "licenses", "private-networks")
"""Resource types that we do not offer. An empty list withdraws a type; a 404 would keep what the Core had (8.1)."""


class ProductCalls:
    def __init__(self, service: JobService) -> None:
        self._service = service

    def endpoints(self) -> list[Endpoint[Any]]:
        return [
            Endpoint(
                "GET", "jobs/retrieveProducts", self.retrieve, "What each machine type supports",
                response=BulkResponse[ComputeSupport], errors=(503,),
            ),
            Endpoint(
                "GET", "jobs/retrieveUtilization", self.utilization,
                "How busy the machines of a category are (`categoryId`)", response=UtilizationResponse,
                errors=(400, 404, 503),
            ),
            *(
                Endpoint(
                    "GET", f"{other}/retrieveProducts", _none, "Not offered: an empty list",
                    response=BulkResponse[dict[str, Any]], errors=(),
                )
                for other in OTHER_TYPES
            ),
        ]  # fmt: skip

    async def retrieve(self, call: Call[None]) -> dict[str, Any]:
        return {"responses": [to_wire(compute_support(product)) for product in await self._service.support()]}

    async def utilization(self, call: Call[None]) -> dict[str, Any]:
        category = call.query.get("categoryId")
        if not category:
            raise BadRequest("Say which category is meant: retrieveUtilization?categoryId=<name of a category>")
        return to_wire(_utilization(await self._service.utilization(category)))


def compute_support(support: ProductSupport) -> ComputeSupport:
    """All three backends are there and every flag is a boolean: a page without one of them breaks (W1)."""
    none = BackendSupport()
    return ComputeSupport(
        product=ProductReference(
            id=support.product.id, category=support.product.category, provider=support.product.provider
        ),
        docker=_docker(support.backends.get(Backend.DOCKER, none)),
        virtual_machine=_virtual_machine(support.backends.get(Backend.VIRTUAL_MACHINE, none)),
        native=_native(support.backends.get(Backend.NATIVE, none)),
        queue_status=support.queue_status,
    )


def _docker(flags: BackendSupport) -> DockerSupport:
    return DockerSupport(
        enabled=flags.enabled, web=flags.web, vnc=flags.vnc, logs=flags.logs, terminal=flags.terminal,
        peers=flags.peers, time_extension=flags.time_extension, utilization=flags.utilization,
        bind_link_to_port=flags.bind_link_to_port,
    )  # fmt: skip


def _virtual_machine(flags: BackendSupport) -> VirtualMachineSupport:
    return VirtualMachineSupport(
        enabled=flags.enabled, web=flags.web, vnc=flags.vnc, logs=flags.logs, terminal=flags.terminal,
        peers=flags.peers, time_extension=flags.time_extension, suspension=flags.suspension,
        utilization=flags.utilization, bind_link_to_port=flags.bind_link_to_port,
    )  # fmt: skip


def _native(flags: BackendSupport) -> NativeSupport:
    return NativeSupport(
        enabled=flags.enabled, web=flags.web, vnc=flags.vnc, logs=flags.logs, terminal=flags.terminal,
        peers=flags.peers, time_extension=flags.time_extension, utilization=flags.utilization,
        bind_link_to_port=flags.bind_link_to_port,
    )  # fmt: skip


def _utilization(now: Utilization) -> UtilizationResponse:
    return UtilizationResponse(
        capacity=CpuAndMemory(cpu=now.capacity_cpu, memory=now.capacity_memory),
        used_capacity=CpuAndMemory(cpu=now.used_cpu, memory=now.used_memory),
        queue_status=QueueStatus(running=now.running, pending=now.pending),
    )


async def _none(call: Call[None]) -> dict[str, Any]:
    return {"responses": []}
