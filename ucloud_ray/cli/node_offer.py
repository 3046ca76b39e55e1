"""What this machine brings into the Ray cluster, by `nodes` of the configuration: resources and labels (D7). Pure."""

from __future__ import annotations

from fnmatch import fnmatch

from ucloud_ray.settings import CapacitySettings, NodeSettings, Settings

GIGA = 1_000_000_000


def resources(settings: Settings, host: str, hardware: CapacitySettings) -> dict[str, float]:
    """Ray resource to amount: `ucloud-ray/<category>/cpu` in cores, `.../memory` in gigabytes, `.../gpu`."""
    offered: dict[str, float] = {}
    for category, capacity in offers(settings, host, hardware).items():
        offered[f"ucloud-ray/{category}/cpu"] = capacity.cpu
        offered[f"ucloud-ray/{category}/memory"] = capacity.memory_in_gigs
        if capacity.gpu:
            offered[f"ucloud-ray/{category}/gpu"] = float(capacity.gpu)
    return offered


def labels(settings: Settings, host: str, hardware: CapacitySettings) -> dict[str, str]:
    """Our name of the machine, and each category that it sells."""
    categories = {f"ucloud-ray/category-{name}": "true" for name in offers(settings, host, hardware)}
    return {"ucloud-ray/host": host, **categories}


def offers(settings: Settings, host: str, hardware: CapacitySettings) -> dict[str, CapacitySettings]:
    """Category to what is sold of it: the first entry of `nodes` that matches counts; without any, everything."""
    entry = next((node for node in settings.nodes if fnmatch(host, node.match.get("host", "*"))), None)
    if entry is None and settings.nodes:
        return {}
    categories = _categories(settings, entry)
    capacity = entry.capacity if entry else {}
    return {name: capacity.get(name, hardware) for name in categories}


def _categories(settings: Settings, entry: NodeSettings | None) -> list[str]:
    if entry and entry.categories:
        return list(entry.categories)
    return list(dict.fromkeys(product.category for product in settings.products))


def hardware_here() -> CapacitySettings:
    """Cores and memory of this machine. GPUs are Ray's to find."""
    import psutil

    return CapacitySettings(float(psutil.cpu_count() or 1), psutil.virtual_memory().total / GIGA)
