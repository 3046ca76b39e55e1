"""A machine type as the current UCloud/Core shows it, made from the documented form (models 6.1, 6.2). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_FREQUENCIES = {"UNIT": "ONCE", "MINUTE": "PERIODIC_MINUTE", "HOUR": "PERIODIC_HOUR", "DAY": "PERIODIC_DAY"}
_MONEY = {"name": "DKK", "namePlural": "DKK", "floatingPoint": True, "displayFrequencySuffix": False}
_CORES = {"name": "Core", "namePlural": "Core", "floatingPoint": False, "displayFrequencySuffix": True}


def product_v2(product: Mapping[str, Any]) -> dict[str, Any]:
    """`product`: `Product.Compute`. Sizes that are 0 and models without a name are left out."""
    shown = {
        "type": "compute",
        "productType": "COMPUTE",
        "category": _category(product),
        "name": product["name"],
        "description": product["description"],
        "price": product["pricePerUnit"],
        "fraction": {"numerator": 1, "denominator": 1},
        "hiddenInGrantApplications": product["hiddenInGrantApplications"],
        "usage": None,
        "balance": 0,
        "maxUsableBalance": 0,
        "pricePerUnit": product["pricePerUnit"],
    }
    sizes = ("cpu", "memoryInGigs", "gpu", "cpuModel", "memoryModel", "gpuModel")
    return shown | {name: product[name] for name in sizes if product.get(name)}


def _category(product: Mapping[str, Any]) -> dict[str, Any]:
    money = str(product["unitOfPrice"]).startswith("CREDITS_")
    category = {
        **product["category"],
        "productType": "COMPUTE",
        "accountingUnit": dict(_MONEY if money else _CORES),
        "accountingFrequency": _FREQUENCIES[str(product["unitOfPrice"]).rpartition("_")[2]],
    }
    return {**category, "freeToUse": True} if product["freeToUse"] else category
