"""Machine types and what a provider supports for them (`spec` models 5, 6 and 15)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from ucloud_ray.wire.common import Model, ProductReference

# -------------------------------------------------------------------------------------------------- products


class ProductCategoryId(Model):
    name: str
    provider: str


class ComputeProduct(Model):
    """`Product.Compute` of K and of the mission document."""

    balance: int | None = None
    max_usable_balance: int | None = None
    name: str
    price_per_unit: int = 0
    """Millionths of the currency for credits."""
    category: ProductCategoryId
    description: str = ""
    priority: int = 0
    cpu: int | float | None = None
    memory_in_gigs: int | float | None = None
    gpu: int | None = None
    cpu_model: str | None = None
    memory_model: str | None = None
    gpu_model: str | None = None
    version: int = 1
    free_to_use: bool = False
    allow_allocation_requests_from: str = "ALL"
    unit_of_price: str = "CREDITS_PER_MINUTE"
    charge_type: str = "ABSOLUTE"
    hidden_in_grant_applications: bool = False
    product_type: str = "COMPUTE"


class TypedComputeProduct(ComputeProduct):
    """The same where products of several types are mixed, as in `/api/products/browse`."""

    type: Literal["compute"] = "compute"


class AccountingUnit(Model):
    name: str = ""
    name_plural: str = ""
    floating_point: bool = False
    """Amounts are in millionths."""
    display_frequency_suffix: bool = False


class ProductCategory(Model):
    name: str = ""
    provider: str = ""
    product_type: str = "COMPUTE"
    accounting_unit: AccountingUnit = Field(default_factory=AccountingUnit)
    accounting_frequency: str = "PERIODIC_MINUTE"
    free_to_use: bool = False
    allow_sub_allocations: bool = True


class Fraction(Model):
    numerator: int = 1
    denominator: int = 1


class ProductV2(Model):
    """The product of G."""

    type: str = "compute"
    category: ProductCategory
    name: str
    description: str = ""
    product_type: str = "COMPUTE"
    price: int = 0
    fraction: Fraction = Field(default_factory=Fraction)
    hidden_in_grant_applications: bool = False
    usage: int | None = None
    cpu: int | float = 0
    memory_in_gigs: int | float = 0
    gpu: int = 0
    cpu_model: str = ""
    memory_model: str = ""
    gpu_model: str = ""
    balance: int = 0
    max_usable_balance: int = 0
    price_per_unit: int = 0


def _era(value: Any) -> str:
    """`category.accountingUnit` exists only in ProductV2."""
    if isinstance(value, ProductV2):
        return "v2"
    category = value.get("category") if isinstance(value, dict) else None
    return "v2" if isinstance(category, dict) and "accountingUnit" in category else "v1"


AnyProduct = Annotated[
    Annotated[ComputeProduct, Tag("v1")] | Annotated[ProductV2, Tag("v2")],
    Discriminator(_era),
]

# --------------------------------------------------------------------------------------------------- support


class DockerSupport(Model):
    """Absent and `null` are read as False, and we always write booleans."""

    enabled: bool = False
    web: bool = False
    vnc: bool = False
    logs: bool = False
    terminal: bool = False
    peers: bool = False
    time_extension: bool = False
    utilization: bool = False
    bind_link_to_port: bool = False


class VirtualMachineSupport(Model):
    enabled: bool = False
    web: bool = False
    vnc: bool = False
    logs: bool = False
    terminal: bool = False
    peers: bool = False
    time_extension: bool = False
    suspension: bool = False
    utilization: bool = False
    bind_link_to_port: bool = False


class NativeSupport(Model):
    enabled: bool = False
    web: bool = False
    vnc: bool = False
    logs: bool = False
    terminal: bool = False
    peers: bool = False
    time_extension: bool = False
    utilization: bool = False
    bind_link_to_port: bool = False


class ComputeSupport(Model):
    """`JobSupport` in G. All three objects are always written (W1)."""

    product: ProductReference
    docker: DockerSupport = Field(default_factory=DockerSupport)
    virtual_machine: VirtualMachineSupport = Field(default_factory=VirtualMachineSupport)
    native: NativeSupport = Field(default_factory=NativeSupport)
    maintenance: dict[str, Any] | None = None
    queue_status: str | None = None
    """`AVAILABLE`, `BUSY`, `FULL` (W7)."""


class ResolvedSupport(Model):
    product: AnyProduct
    support: ComputeSupport
    features: list[str] | None = None


class SupportByProvider(Model):
    products_by_provider: dict[str, list[ResolvedSupport]] = Field(default_factory=dict)


# ----------------------------------------------------------------------------------------------- utilization


class CpuAndMemory(Model):
    cpu: int | float
    """Virtual cores."""
    memory: int
    """Bytes (SCH-17)."""


class QueueStatus(Model):
    running: int
    pending: int


class UtilizationResponse(Model):
    capacity: CpuAndMemory
    used_capacity: CpuAndMemory
    queue_status: QueueStatus
