"""What a machine brings into the cluster: by its hardware, less what the system keeps, or as the operator says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ucloud_ray.cli import checks, node_offer
from ucloud_ray.cluster import local, names
from ucloud_ray.settings import CapacitySettings, CategorySettings, NodeSettings, ProductSettings, Settings

HARDWARE = CapacitySettings(cpu=4, memory_in_gigs=16, gpu=2)


def settings(*nodes: NodeSettings, **more: Any) -> Settings:
    products = (ProductSettings("small", "c", cpu=1), ProductSettings("large", "c", cpu=12))
    return Settings(products=products, nodes=nodes, **more)


def sold(what: Settings) -> CapacitySettings:
    return node_offer.offers(what, "node-a", HARDWARE)["c"]


def test_a_machine_sells_its_hardware_less_what_its_system_keeps() -> None:
    """SCH-5, SCH-7: 500 thousandths of a core, unless the category says otherwise."""
    assert sold(settings()) == CapacitySettings(3.653, 16, 2)
    none_kept = {"c": CategorySettings(system_reserved_cpu_millis=0)}
    assert sold(settings(categories=none_kept)).cpu == 4
    per_core = {"c": CategorySettings(system_reserved_cpu_millis_per_core=100)}
    assert sold(settings(categories=per_core)).cpu == pytest.approx(2.8 / 0.9, abs=0.001)


def test_memory_is_kept_by_machine() -> None:
    assert sold(settings(NodeSettings(system_reserved_memory_bytes=2 * 10**9))).memory_in_gigs == 14
    assert sold(settings(NodeSettings(system_reserved_memory_bytes=99 * 10**9))).memory_in_gigs == 0


def test_what_the_operator_says_is_sold_as_it_stands() -> None:
    said = CapacitySettings(2, 8)
    node = NodeSettings(capacity={"c": said}, system_reserved_memory_bytes=2 * 10**9)
    assert sold(settings(node)) == said


def test_devices_are_shared_by_the_categories_that_sell_them() -> None:
    assert node_offer.gpus(settings(), "node-a", HARDWARE) == 2
    assert node_offer.gpus(settings(NodeSettings(capacity={"c": CapacitySettings(1, 1, 3)})), "x", HARDWARE) == 3
    assert node_offer.gpus(settings(NodeSettings({"host": "other"})), "node-a", HARDWARE) == 0


def test_a_machine_that_may_use_only_some_of_its_devices_names_them() -> None:
    assert node_offer.visible_gpus({}) == node_offer.visible_gpus({"CUDA_VISIBLE_DEVICES": ""}) == {}
    label = node_offer.visible_gpus({"CUDA_VISIBLE_DEVICES": "2, GPU-a"})
    assert names.gpus({"GPU": 2.0}, label) == ("2", "GPU-a")
    assert names.gpus({"GPU": 2.0}, {}) == ("0", "1")
    assert names.gpus({}, {}) == ()
    assert node_offer.GPUS_LABEL == names.GPUS_LABEL


def test_ray_is_told_how_many_devices_there_are(tmp_path: Path) -> None:
    assert "--num-gpus=2" in local.ray_head_command(tmp_path, "node-a", {}, {}, 1, gpus=2)
    assert "--num-gpus=0" in local.ray_head_command(tmp_path, "node-a", {}, {}, 1)


def test_doctor_says_which_products_this_machine_is_too_small_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """SCH-3."""
    monkeypatch.setattr(node_offer, "hardware_here", lambda: HARDWARE)
    [check] = checks._products(settings())
    assert (check.name, check.ok) == ("products", None)
    assert check.detail.startswith("large does not fit this machine, which sells 3.653 cores, 16 GB and 2 GPUs of c")
