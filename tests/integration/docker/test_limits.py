"""Hard limits bite, and are told (ENV-36 to ENV-39)."""

from __future__ import annotations

import docker

from runtimes.docker.driver import DockerDriver
from runtimes.types import Limits
from tests.integration.docker.conftest import MEGABYTE, MakeTask, Run
from tests.support.wait import async_wait_until


async def test_more_memory_than_allowed_is_told_as_that(run: Run, make_task: MakeTask) -> None:
    """ENV-36, LC-12."""
    result = await run(make_task("exec tail /dev/zero"))
    assert result.out_of_memory
    assert (result.code, result.signal) == (None, 9)


async def test_shared_memory_is_as_large_as_memory_and_counts_towards_it(run: Run, make_task: MakeTask) -> None:
    """ENV-37."""
    task = make_task("df -k /dev/shm | tail -1 | awk '{print $2}'; exec dd if=/dev/zero of=/dev/shm/x bs=1M count=80")
    result = await run(task)
    assert task.logs.stdout.read_text() == f"{64 * 1024}\n"
    assert result.out_of_memory or "No space left" in task.logs.stderr.read_text()


async def test_memory_cannot_be_stretched_by_swap(
    driver: DockerDriver, make_task: MakeTask, api: docker.APIClient
) -> None:
    """ENV-36: decimal, and the limit of memory and swap together is that of memory."""
    task = make_task("exit 0", limits=Limits(cpu_milli=1000, memory_bytes=1_000_000_000))
    await driver.start(task)
    limits = api.inspect_container(task.id.name)["HostConfig"]
    assert (limits["Memory"], limits["MemorySwap"]) == (1_000_000_000, 1_000_000_000)


async def test_a_child_killed_for_memory_is_a_note_and_not_the_end(run: Run, make_task: MakeTask) -> None:
    result = await run(make_task("tail /dev/zero; exit 4"))
    assert (result.code, result.signal) == (4, None)
    assert result.out_of_memory


async def test_no_more_processes_than_allowed(run: Run, make_task: MakeTask) -> None:
    """ENV-39."""
    limits = Limits(cpu_milli=1000, memory_bytes=64 * MEGABYTE, pids=8, open_files=64)
    task = make_task("ulimit -n; for i in 1 2 3 4 5 6 7 8 9 10; do sleep 60 & done; exit 0", limits=limits)
    await run(task)
    assert task.logs.stdout.read_text() == "64\n"
    assert "Resource temporarily unavailable" in task.logs.stderr.read_text()


async def test_limits_beyond_the_machine_are_no_obstacle(run: Run, make_task: MakeTask) -> None:
    """The mission's product has 10 cores; so must a demo on two."""
    task = make_task("exit 0", limits=Limits(cpu_milli=1_000_000, memory_bytes=1 << 50))
    assert (await run(task)).code == 0


async def test_half_a_core_is_half_a_core(driver: DockerDriver, make_task: MakeTask) -> None:
    """ENV-36. By the container's own account of when it was held back, not by the clock."""
    limits = Limits(cpu_milli=500, memory_bytes=64 * MEGABYTE)
    script = (
        "cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us || cat /sys/fs/cgroup/cpu.max"
    )
    task = make_task(script, limits=limits)
    await driver.wait(await driver.start(task))
    quota, period = task.logs.stdout.read_text().split()
    assert int(quota) * 2 == int(period)


async def test_what_a_task_uses_is_measured(driver: DockerDriver, make_task: MakeTask) -> None:
    task = make_task("dd if=/dev/zero of=/dev/shm/x bs=1M count=20; sleep 1000 & echo ready; wait")
    handle = await driver.start(task)

    async def is_ready() -> bool:
        return task.logs.stdout.exists() and "ready" in task.logs.stdout.read_text()

    await async_wait_until(is_ready, "the task to be ready")
    usage = await driver.usage(handle)
    assert 20 * MEGABYTE < usage.memory_bytes < 64 * MEGABYTE
    assert usage.cpu_seconds > 0
    assert usage.processes == 3
