"""What `doctor` says of the Ray that runs on a machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ucloud_ray.cli.ray_checks import Raylet, of_raylet
from ucloud_ray.cluster.local import shared_environment

GRACE = 60.0
GOOD = Raylet(
    pid=4711,
    arguments=["/venv/ray/core/src/ray/raylet/raylet", "--labels={'ucloud-ray/host': 'node-1'}"],
    environment=shared_environment() | {"RAY_AUTH_MODE": "token"},
    keeper="node",
)


def lines(raylet: Raylet, grace: float = GRACE) -> list[tuple[bool | None, str]]:
    return [(check.ok, f"{check.detail}; {check.remedy}") for check in of_raylet(raylet, grace)]


def test_what_our_own_commands_start_has_all_that_it_needs() -> None:
    assert lines(GOOD) == [(True, "raylet 4711 with all that it needs, kept running by `ucloud-ray node`; ")]


@pytest.mark.parametrize("missing", ["RAY_AUTH_MODE", "RAY_memory_monitor_refresh_ms", "RAY_worker_niceness"])
def test_a_setting_that_is_missing_is_named_with_what_happens_without_it(missing: str) -> None:
    """D11, D12."""
    environment = {name: value for name, value in GOOD.environment.items() if name != missing}
    [(ok, line)] = lines(replace(GOOD, environment=environment))
    assert ok is False
    assert f"without {missing}=" in line
    assert "; start Ray with " in line


def test_a_machine_without_our_label_gets_no_job() -> None:
    """D7."""
    [(ok, line)] = lines(replace(GOOD, arguments=GOOD.arguments[:1]))
    assert (ok, "no label ucloud-ray/host" in line) == (False, True)


def test_a_raylet_that_nothing_of_ours_keeps_running_must_notice_a_new_head_within_the_grace() -> None:
    """SCH-16, decision 0011; the head's own ends with its head."""
    alone = replace(GOOD, keeper="")
    [(ok, line)] = lines(alone)
    assert (ok, "its jobs are lost after 60 s" in line) == (False, True)
    assert [ok for ok, _ in lines(alone, grace=90.0)] == [True]
    quick = replace(alone, environment={**GOOD.environment, "RAY_gcs_rpc_server_reconnect_timeout_s": "10"})
    assert [ok for ok, _ in lines(quick)] == [True]
    head = replace(alone, arguments=[*GOOD.arguments, "--static_resource_list=node:__internal_head__,1.0"])
    assert [ok for ok, _ in lines(head)] == [True]
