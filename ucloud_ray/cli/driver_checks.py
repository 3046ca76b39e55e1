"""Asks each driver whether it can run jobs on this machine, as the cluster's nodes ask it. Called by `checks`."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

from runtimes import registry
from runtimes.errors import DriverError
from runtimes.settings import DockerSettings, NativeSettings, RuntimeSettings
from runtimes.types import Capabilities
from ucloud_ray.cli.checks import Check

TIMEOUT_SECONDS = 15.0


def drivers(scratch_bytes: int | None) -> Iterator[Check]:
    """`scratch_bytes`: `policy.scratchBytes` of the configuration."""
    for name in ("docker", "native"):
        found = asyncio.run(_capabilities(name, scratch_bytes))
        details = ", ".join(f"{key} {value}" for key, value in found.details.items())
        if found.available:
            yield Check(name, True, details or "works", runs_jobs=True)
        else:
            yield Check(name, False, found.reason, runs_jobs=True)


async def _capabilities(name: str, scratch_bytes: int | None) -> Capabilities:
    """In a folder of its own, so that looking leaves nothing behind."""
    with tempfile.TemporaryDirectory(prefix="ucloud-ray-doctor-") as folder:
        settings = RuntimeSettings(
            NativeSettings(Path(folder)), DockerSettings(Path(folder), scratch_bytes=scratch_bytes)
        )
        try:
            driver = registry.create(name, settings)
        except DriverError as error:
            return Capabilities(False, error.message)
        try:
            return await asyncio.wait_for(driver.capabilities(), TIMEOUT_SECONDS)
        except TimeoutError:
            return Capabilities(False, f"it did not answer within {TIMEOUT_SECONDS:.0f} s")
        finally:
            await driver.close()
