"""Hard limits bite (ENV-36, ENV-39, D12)."""

from __future__ import annotations

import dataclasses
import time

from runtimes.driver import Driver
from runtimes.types import Limits, TaskSpec
from tests.contract.driver.kits import MEGABYTE, DriverKit
from tests.contract.driver.waiting import has_printed, stderr, stdout
from tests.support.wait import async_wait_until

MEASURED_SECONDS = 0.5
EAT_MEMORY = "x=0123456789abcdef; while :; do x=$x$x$x$x; done"


async def test_a_task_over_its_memory_limit_is_killed_and_the_reason_told(
    limiting_kit: DriverKit, real_driver: Driver
) -> None:
    """ENV-36, LC-12."""
    spec = _limited(limiting_kit.make_spec(("sh", "-c", EAT_MEMORY)), memory_bytes=32 * MEGABYTE)
    result = await real_driver.wait(await real_driver.start(spec))
    assert result.out_of_memory
    assert (result.signal, result.code) in [(9, None), (None, 137)]


async def test_a_task_that_survives_the_death_of_a_child_for_memory_ends_by_itself(
    limiting_kit: DriverKit, real_driver: Driver
) -> None:
    """LC-12: the limit is a note, the exit status decides."""
    script = f"sh -c '{EAT_MEMORY}'; echo survived; exit 4"
    spec = _limited(limiting_kit.make_spec(("sh", "-c", script)), memory_bytes=32 * MEGABYTE)
    result = await real_driver.wait(await real_driver.start(spec))
    assert (result.code, result.out_of_memory) == (4, True)
    assert stdout(spec) == "survived\n"


async def test_half_a_core_is_half_a_core(limiting_kit: DriverKit, real_driver: Driver) -> None:
    """ENV-36: four loops that would take all there is get half a core together."""
    script = "for i in 1 2 3 4; do while :; do :; done & done; echo ready; wait"
    spec = _limited(limiting_kit.make_spec(("sh", "-c", script)), cpu_milli=500)
    handle = await real_driver.start(spec)
    await has_printed(spec, "ready")
    begun, used = time.monotonic(), (await real_driver.usage(handle)).cpu_seconds

    async def has_used_some() -> bool:
        return (await real_driver.usage(handle)).cpu_seconds > used + MEASURED_SECONDS

    await async_wait_until(has_used_some, "the task to use its share")
    used = (await real_driver.usage(handle)).cpu_seconds - used
    # A period may begin or end in between; a busy machine only makes the share smaller.
    assert used / (time.monotonic() - begun) < 0.6
    await real_driver.destroy(spec.id)


async def test_a_task_cannot_have_more_processes_than_its_limit(limiting_kit: DriverKit, real_driver: Driver) -> None:
    """ENV-39."""
    script = "i=0; while [ $i -lt 40 ]; do sleep 1000 & i=$((i+1)); done; echo all of them"
    spec = _limited(limiting_kit.make_spec(("sh", "-c", script)), pids=20)
    result = await real_driver.wait(await real_driver.start(spec))
    assert result.code != 0
    assert "fork" in stderr(spec).lower()
    assert stdout(spec) == ""


async def test_a_fork_bomb_is_stopped(limiting_kit: DriverKit, real_driver: Driver) -> None:
    script = "bomb() { bomb | bomb & }; trap '' TERM; echo ready; while :; do bomb; sleep 0.01; done 2>/dev/null"
    spec = _limited(limiting_kit.make_spec(("sh", "-c", script)), pids=40)
    handle = await real_driver.start(spec)
    await has_printed(spec, "ready")
    await real_driver.stop(handle, 0.1)
    assert [found for found in await limiting_kit.leftovers() if found.startswith("process")] == []


async def test_a_task_has_the_limit_of_open_files(real_kit: DriverKit, real_driver: Driver) -> None:
    """ENV-39."""
    spec = _limited(real_kit.make_spec(("sh", "-c", "ulimit -n")), open_files=77)
    await real_driver.wait(await real_driver.start(spec))
    assert stdout(spec) == "77\n"


async def test_usage_counts_processor_time_memory_and_processes(limiting_kit: DriverKit, real_driver: Driver) -> None:
    spec = limiting_kit.make_spec(
        ("sh", "-c", "sleep 1000 & i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done; echo ready; wait")
    )
    handle = await real_driver.start(spec)
    await has_printed(spec, "ready")
    usage = await real_driver.usage(handle)
    assert usage.cpu_seconds > 0.005
    assert 0 < usage.memory_bytes < spec.limits.memory_bytes
    assert usage.processes >= 2


def _limited(spec: TaskSpec, **changes: int) -> TaskSpec:
    limits: Limits = dataclasses.replace(spec.limits, **changes)
    return dataclasses.replace(spec, limits=limits)
