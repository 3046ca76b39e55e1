"""From a configured product to the machine that is sold: the one place that reads a product's size and options.

Used by `wire` for the job that is asked for, and by `control` for what is told about products: both must mean the same.
"""

from __future__ import annotations

from ucloud_ray.domain.ids import ProductId
from ucloud_ray.domain.job import Machine, Tariff
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
        tariff=None if product.free_to_use else tariff_of(product),
    )


UNITS_OF_TIME = {"MINUTE": 60_000, "HOUR": 3_600_000, "DAY": 86_400_000}
"""End of a `ProductPriceUnit` to milliseconds; other units are paid once per job (ACC-4)."""


def tariff_of(product: ProductSettings) -> Tariff:
    """By the product's unit of price, and for usage reports by what it is paid by (ACC-14)."""
    unit = UNITS_OF_TIME.get(product.unit_of_price.rpartition("_")[2])
    paid_by = product.paid_by or ("money" if product.unit_of_price.startswith("CREDITS_") else "unit")
    share = product.fraction if not product.gpu else 1.0
    amounts = {
        "money": product.price,
        "unit": 1,
        "cpu": product.cpu * share,
        "gpu": product.gpu,
        "memory": product.memory_in_gigs * share,
    }
    return Tariff(unit, round(amounts[paid_by] * 1000))
