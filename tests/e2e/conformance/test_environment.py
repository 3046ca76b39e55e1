"""Conformance points 5 to 7: what a job finds inside, and its limits."""

from __future__ import annotations

from typing import Any

from tests.e2e.conformance.looking import file, home, put
from tests.support.follow import following, printed
from tests.support.stack import DOCKER_SHELL, Stack

MEMORY = 2_000_000_000
"""Two decimal gigabytes (ENV-36)."""
PAGE = 4096


def output(stack: Stack, application: dict[str, str], script: str, **more: Any) -> str:
    job_id = stack.create(application, var=script, **more)
    stack.wait_state(job_id)
    with following(stack, job_id) as frames:
        seen = list(frames)
    assert printed(seen, stream="stderr") == ""
    return printed(seen)


def test_point_5_both_of_two_mounts_of_one_name_are_renamed_in_order_of_path(
    catalogue: Stack, needs_docker: None
) -> None:
    """ENV-13: whatever the order in which they were asked for."""
    for folder in "abc":
        put(home(catalogue) / f"point5/{folder}/Data/from", folder)
    put(home(catalogue) / "point5/Alone/from", "alone")
    wanted = [f"/home-user/point5/{path}" for path in ("c/Data", "a/Data", "Alone", "b/Data")]
    script = "cd /work; for folder in *; do [ -d $folder ] && echo $folder $(cat $folder/from); done"
    shown = output(catalogue, DOCKER_SHELL, script, resources=[file(path) for path in wanted])
    assert shown.splitlines() == ["Alone alone", "Data-0 a", "Data-1 b", "Data-2 c"]


def test_point_6_a_job_is_told_who_it_is(catalogue: Stack, needs_docker: None) -> None:
    """ENV-8, ENV-9: one line each, for one node as for several; cores as sold."""
    script = "cd /etc/ucloud; for file in *.txt; do echo $file: $(cat $file); done"
    job_id = catalogue.create(DOCKER_SHELL, var=script, replicas=2)
    catalogue.wait_state(job_id)
    with following(catalogue, job_id) as frames:
        seen = list(frames)
    for rank in range(2):
        told = dict(line.split(": ", 1) for line in printed(seen, rank).splitlines())
        nodes = [told["node-0.txt"], told["node-1.txt"]]
        assert len(set(nodes)) == 2
        assert told["nodes.txt"].split() == nodes
        assert {name: told[name] for name in ("rank.txt", "cores.txt", "number_of_nodes.txt", "job_id.txt")} == {
            "rank.txt": str(rank), "cores.txt": "1", "number_of_nodes.txt": "2", "job_id.txt": job_id,
        }  # fmt: skip
    alone = output(catalogue, DOCKER_SHELL, "cat /etc/ucloud/number_of_nodes.txt; ls /etc/ucloud")
    assert alone.splitlines()[0] == "1"
    assert "node-0.txt" in alone.splitlines()


def test_point_6_what_it_is_told_cannot_be_changed(catalogue: Stack, needs_docker: None) -> None:
    script = "echo 9 2>&1 >/etc/ucloud/rank.txt || cat /etc/ucloud/rank.txt"
    job_id = catalogue.create(DOCKER_SHELL, var=f"({script}) 2>&1")
    catalogue.wait_state(job_id)
    with following(catalogue, job_id) as frames:
        assert printed(list(frames)).splitlines()[-1] == "0"


def test_point_7_memory_is_decimal_and_shared_memory_as_large(catalogue: Stack, needs_docker: None) -> None:
    """ENV-36, ENV-37."""
    script = "busybox df -k /dev/shm; cat /sys/fs/cgroup/memory/memory.limit_in_bytes || cat /sys/fs/cgroup/memory.max"
    shared, limit = output(catalogue, DOCKER_SHELL, f"({script}) 2>/dev/null").splitlines()[1:]
    assert 0 <= MEMORY - int(limit) < PAGE
    assert abs(MEMORY - int(shared.split()[1]) * 1024) < PAGE


def test_point_7_memory_of_a_process_is_decimal(catalogue: Stack, native_limits: None) -> None:
    """ENV-36."""
    script = (
        "group=$(sed -n 's/^[0-9]*:memory://p' /proc/self/cgroup); "
        "cat /sys/fs/cgroup/memory$group/memory.limit_in_bytes 2>/dev/null || "
        "cat /sys/fs/cgroup$(sed -n 's/^0:://p' /proc/self/cgroup)/memory.max"
    )
    shown = output(catalogue, {"name": "native-shell", "version": "1.0.0"}, script)
    assert 0 <= MEMORY - int(shown) < PAGE
