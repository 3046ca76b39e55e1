"""What the provider sells: products from the configuration, and what can be done with each at this moment.

Used by the service (support, checks of new jobs, utilization). Flags are advertised only for what works (job-semantics
5.6): a backend that runs on no machine at the moment, nor on one that is awaited, is off.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ucloud_ray.control.ledger import Ledger
from ucloud_ray.control.service import BackendSupport, ProductSupport, Utilization
from ucloud_ray.domain.ids import ProductId
from ucloud_ray.domain.job import Backend, Job, Machine, Queued
from ucloud_ray.domain.products import queue_status, total
from ucloud_ray.machines import machine_of
from ucloud_ray.settings import ProductSettings

SUPPORTED: Mapping[Backend, BackendSupport] = {
    Backend.DOCKER: BackendSupport(
        enabled=True, web=True, vnc=True, logs=True, terminal=True, peers=True, time_extension=True, utilization=True
    ),
    Backend.NATIVE: BackendSupport(enabled=True, logs=True, terminal=True, time_extension=True, utilization=True),
    Backend.VIRTUAL_MACHINE: BackendSupport(),
}
"""What this version implements, whatever the configuration says."""

_CONFIG_NAME = {Backend.DOCKER: "docker", Backend.NATIVE: "native", Backend.VIRTUAL_MACHINE: "virtualMachine"}
_CONFIG_FLAG = {
    "enabled": "enabled",
    "web": "web",
    "vnc": "vnc",
    "logs": "logs",
    "terminal": "terminal",
    "peers": "peers",
    "timeExtension": "time_extension",
    "suspension": "suspension",
    "utilization": "utilization",
    "bindLinkToPort": "bind_link_to_port",
}


class Offers:
    def __init__(self, provider_id: str, products: Sequence[ProductSettings]) -> None:
        self._products = {ProductId(product.name, product.category, provider_id): product for product in products}

    def machine(self, product: ProductId) -> Machine | None:
        """The product's size; None if it is not ours (SCH-4)."""
        found = self._products.get(product)
        return None if found is None else machine_of(found, product.provider)

    def machines(self) -> list[Machine]:
        """Every product's size."""
        return [machine_of(settings, product.provider) for product, settings in self._products.items()]

    def longest(self, product: ProductId) -> int | None:
        """Milliseconds that a job on it may have (TIME-9); None: as many as anybody wants."""
        found = self._products.get(product)
        return found.max_time_allocation.millis if found is not None and found.max_time_allocation else None

    @property
    def categories(self) -> frozenset[str]:
        return frozenset(product.category for product in self._products)

    def support(self, ledger: Ledger) -> list[ProductSupport]:
        return [self._support_of(product, settings, ledger) for product, settings in self._products.items()]

    def backend_support(self, product: ProductId, backend: Backend, ledger: Ledger) -> BackendSupport:
        """Flags of one backend; none for a product that is not ours any more although a job still runs on it."""
        if product not in self._products or not _runs(product.category, backend, ledger):
            return BackendSupport()
        support = _configured(self._products[product], backend)
        network = self.has_network(product, ledger)
        return support if network else replace(support, peers=False, web=False, vnc=False)

    def has_network(self, product: ProductId, ledger: Ledger) -> bool:
        """Whether containers can talk to each other on any machine that sells the product (D14)."""
        here = (node for node in ledger.nodes if node.alive and product.category in node.capacity)
        return any(ledger.connects(node) for node in here) or ledger.may_return(product.category, Backend.DOCKER)

    def sold(self, product: ProductId, backend: Backend) -> BackendSupport:
        """What goes with the product as configured, whether or not a machine can run it at this moment: a job that
        runs keeps what it was sold with while the runtime is away. None for a product that is not ours any more."""
        return _configured(self._products[product], backend) if product in self._products else BackendSupport()

    def tells_utilization(self, category: str) -> bool:
        """Whether any product of the category may advertise it (SCH-20)."""
        ours = (settings for product, settings in self._products.items() if product.category == category)
        return any(_configured(settings, backend).utilization for settings in ours for backend in Backend)

    def utilization(self, category: str, ledger: Ledger, jobs: Sequence[Job]) -> Utilization:
        """SCH-17 to SCH-19. A job that is being ended counts as running until its room is free."""
        mine = [job for job in jobs if job.spec.machine.product.category == category]
        capacity = total(ledger.capacity(category).values())
        used = total(ledger.used(category, host) for host in ledger.capacity(category))
        return Utilization(
            capacity_cpu=capacity.cpu_milli / 1000,
            capacity_memory=capacity.memory_bytes,
            used_cpu=min(used.cpu_milli, capacity.cpu_milli) / 1000,
            used_memory=min(used.memory_bytes, capacity.memory_bytes),
            running=sum(1 for job in mine if job.uid in ledger),
            pending=sum(1 for job in mine if isinstance(job.phase, Queued) and job.uid not in ledger),
        )

    def _support_of(self, product: ProductId, settings: ProductSettings, ledger: Ledger) -> ProductSupport:
        flags = {backend: self.backend_support(product, backend, ledger) for backend in Backend}
        status = queue_status(ledger.free(product.category), machine_of(settings, product.provider))
        return ProductSupport(product, flags, status)


def _runs(category: str, backend: Backend, ledger: Ledger) -> bool:
    """Whether a machine runs such jobs, or one did that may be back any moment (D4)."""
    here = (node for node in ledger.nodes if node.alive and category in node.capacity)
    return any(backend in node.backends for node in here) or ledger.may_return(category, backend)


def _configured(product: ProductSettings, backend: Backend) -> BackendSupport:
    """Supported, less what the configuration switches off; a backend that is not listed there is off."""
    supported = SUPPORTED[backend]
    if product.backends is None:
        return supported
    wanted = product.backends.get(_CONFIG_NAME[backend])
    if wanted is None or wanted.get("enabled") is False:
        return BackendSupport()
    off = {_CONFIG_FLAG[name]: False for name, on in wanted.items() if not on}
    return replace(supported, **off)
