"""`doctor`: one line each, with the remedy; a machine that can run nothing is a failure."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from runtimes.types import Capabilities
from tests.unit.cli.conftest import Cli
from ucloud_ray.cli import driver_checks, ports


@pytest.fixture
def drivers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Capabilities]:
    found = {"docker": Capabilities(False, "no daemon answers: start dockerd"), "native": Capabilities(True)}

    async def capabilities(name: str, scratch_bytes: int | None) -> Capabilities:
        return found[name]

    monkeypatch.setattr(driver_checks, "_capabilities", capabilities)
    return found


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def test_a_missing_docker_daemon_is_explained_and_does_no_harm(cli: Cli, drivers: dict[str, Capabilities]) -> None:
    outcome = cli("doctor", "--port", "0", "--provider-port", "0")
    assert outcome.status == 0
    assert "fail  docker          no daemon answers: start dockerd" in outcome.out
    assert "ok    native" in outcome.out


def test_a_machine_that_can_run_nothing_fails(cli: Cli, drivers: dict[str, Capabilities]) -> None:
    drivers["native"] = Capabilities(False, "no pidfd")
    outcome = cli("doctor", "--json")
    assert outcome.status == 1
    assert json.loads(outcome.out)["canRunJobs"] is False


def test_a_taken_port_is_named_with_the_option_that_helps(
    cli: Cli, drivers: dict[str, Capabilities], taken_port: int
) -> None:
    outcome = cli("doctor", "--port", str(taken_port), "--provider-port", "0")
    assert outcome.status == 0
    assert f"fail  ports           {taken_port} is taken; start the orchestrator with --port 0" in outcome.out


def test_a_mistake_in_the_configuration_is_a_line_of_the_report(
    cli: Cli, drivers: dict[str, Capabilities], tmp_path: Path
) -> None:
    (tmp_path / "ucloud-ray.yaml").write_text("core: {publicKey: QUJD}\n")
    assert "fail  keys" in cli("doctor").out
    (tmp_path / "ucloud-ray.yaml").write_text("kore: {}\n")
    assert "fail  configuration   ucloud-ray.yaml, line 1: unknown key 'kore'" in cli("doctor").out


def test_looking_changes_nothing(cli: Cli, drivers: dict[str, Capabilities], tmp_path: Path) -> None:
    cli("doctor")
    assert list(tmp_path.iterdir()) == []


def test_a_port_of_the_last_time_is_used_again_while_it_is_free(taken_port: int) -> None:
    free = ports.any_free("127.0.0.1", set())
    assert ports.settle("127.0.0.1", 0, free, set(), "--port") == free
    assert ports.settle("127.0.0.1", 0, taken_port, set(), "--port") != taken_port
    assert ports.settle("127.0.0.1", 0, free, {free}, "--port") != free
