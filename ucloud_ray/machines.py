"""From a configured product to the machine that is sold: the one place that reads a product's size and options.

Used by `wire` for the job that is asked for, and by `control` for what is told about products: both must mean the same.
"""

from __future__ import annotations

from ucloud_ray.domain.ids import ProductId
from ucloud_ray.domain.job import Machine
from ucloud_ray.domain.products import GIGABYTE
from ucloud_ray.settings import ProductSettings


def machine_of(product: ProductSettings, provider_id: str) -> Machine:
    """In our units (SCH-2). With a fraction it occupies that share of its cores and may use all (SCH-5, SCH-6)."""
    cpu_milli = round(product.cpu * 1000)
    shared = product.fraction < 1 and not product.gpu
    return Machine(
        product=ProductId(product.name, product.category, provider_id),
        cpu_milli=cpu_milli,
        memory_bytes=round(product.memory_in_gigs * GIGABYTE),
        gpu=product.gpu,
        cpu_model=product.cpu_model,
        memory_model=product.memory_model,
        gpu_model=product.gpu_model,
        gpu_type=product.gpu_type,
        custom_runtime=product.custom_runtime,
        priority=product.priority,
        booked_cpu_milli=round(cpu_milli * product.fraction) if shared else None,
    )
