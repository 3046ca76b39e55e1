"""What this machine brings into the Ray cluster, by `nodes` of the configuration: resources and labels (D7). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatch

from ucloud_ray.domain.products import sellable_cpu
from ucloud_ray.settings import CapacitySettings, CategorySettings, NodeSettings, Settings

GIGA = 1_000_000_000

GPUS_LABEL = "ucloud-ray/gpus"
"""As `cluster.names` reads it, which cannot be imported here without Ray."""


def resources(settings: Settings, host: str, hardware: CapacitySettings) -> dict[str, float]:
    """Ray resource to amount: `ucloud-ray/<category>/cpu` in cores, `.../memory` in gigabytes, `.../gpu`."""
    offered: dict[str, float] = {}
    for category, capacity in offers(settings, host, hardware).items():
        offered[f"ucloud-ray/{category}/cpu"] = capacity.cpu
        offered[f"ucloud-ray/{category}/memory"] = capacity.memory_in_gigs
        if capacity.gpu:
            offered[f"ucloud-ray/{category}/gpu"] = float(capacity.gpu)
    return offered


def gpus(settings: Settings, host: str, hardware: CapacitySettings) -> int:
    """How many devices the machine brings in: categories share them."""
    return max((capacity.gpu for capacity in offers(settings, host, hardware).values()), default=0)


def labels(settings: Settings, host: str, hardware: CapacitySettings) -> dict[str, str]:
    """Our name of the machine, and each category that it sells."""
    categories = {f"ucloud-ray/category-{name}": "true" for name in offers(settings, host, hardware)}
    return {"ucloud-ray/host": host, **categories}


def visible_gpus(environ: Mapping[str, str]) -> dict[str, str]:
    """A label with the names of the devices, where whoever starts Ray here gives it only some of the machine's."""
    named = [name.strip() for name in environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    return {GPUS_LABEL: "_".join(named)} if named else {}


def offers(settings: Settings, host: str, hardware: CapacitySettings) -> dict[str, CapacitySettings]:
    """Category to what is sold of it: the first entry of `nodes` that matches counts; without any, everything."""
    entry = next((node for node in settings.nodes if fnmatch(host, node.match.get("host", "*"))), None)
    if entry is None and settings.nodes:
        return {}
    kept = entry.system_reserved_memory_bytes / GIGA if entry else 0.0
    left = replace(hardware, memory_in_gigs=max(0.0, hardware.memory_in_gigs - kept))
    capacity = entry.capacity if entry else {}
    categories = _categories(settings, entry)
    return {name: capacity.get(name) or _without_system(settings, name, left) for name in categories}


def _without_system(settings: Settings, category: str, hardware: CapacitySettings) -> CapacitySettings:
    """What the operator does not say himself: the hardware, less the cores that the system keeps (SCH-5)."""
    options = settings.categories.get(category, CategorySettings())
    largest = max((round(p.cpu * 1000) for p in settings.products if p.category == category), default=0)
    reserved = options.system_reserved_cpu_millis
    if options.system_reserved_cpu_millis_per_core is not None:
        reserved = options.system_reserved_cpu_millis_per_core * largest // 1000
    return replace(hardware, cpu=sellable_cpu(round(hardware.cpu * 1000), reserved, largest) / 1000)


def _categories(settings: Settings, entry: NodeSettings | None) -> list[str]:
    if entry and entry.categories:
        return list(entry.categories)
    return list(dict.fromkeys(product.category for product in settings.products))


def hardware_here() -> CapacitySettings:
    """Cores, memory and GPUs of this machine."""
    import psutil

    from runtimes.gpus import count

    return CapacitySettings(float(psutil.cpu_count() or 1), psutil.virtual_memory().total / GIGA, count())
