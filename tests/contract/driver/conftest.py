"""Runs every test of this folder over every kit, `kit_<name>.py`."""

from __future__ import annotations

import importlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtimes.driver import Driver
from tests.contract.driver.kits import DriverKit


def _find_kits() -> list[type[DriverKit]]:
    for file in sorted(Path(__file__).parent.glob("kit_*.py")):
        importlib.import_module(f"tests.contract.driver.{file.stem}")
    return sorted(DriverKit.__subclasses__(), key=lambda kit: kit.name)


KITS = _find_kits()


def _params(kits: list[type[DriverKit]]) -> list[object]:
    return [pytest.param(kit, id=kit.name, marks=getattr(kit, "marks", ())) for kit in kits]


@pytest.fixture(params=_params(KITS))
async def driver_kit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[DriverKit]:
    """Every implementation."""
    async for kit in _open(request.param, tmp_path):
        yield kit


@pytest.fixture(params=_params([kit for kit in KITS if kit.real]))
async def real_kit(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[DriverKit]:
    """Implementations that run programs of this machine."""
    async for kit in _open(request.param, tmp_path):
        yield kit


@pytest.fixture
def limiting_kit(real_kit: DriverKit) -> DriverKit:
    """Implementations that can enforce hard limits here."""
    if reason := real_kit.missing_limits():
        pytest.skip(reason)
    return real_kit


@pytest.fixture
async def driver(driver_kit: DriverKit) -> AsyncIterator[Driver]:
    driver = driver_kit.make_driver()
    yield driver
    await driver.close()


@pytest.fixture
async def real_driver(real_kit: DriverKit) -> AsyncIterator[Driver]:
    driver = real_kit.make_driver()
    yield driver
    await driver.close()


async def _open(kit_type: type[DriverKit], folder: Path) -> AsyncIterator[DriverKit]:
    if reason := kit_type.missing():
        pytest.skip(reason)
    kit = kit_type(folder)
    try:
        yield kit
    finally:
        await kit.cleanup()
