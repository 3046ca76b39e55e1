"""`ucloud-ray node`: what it runs, with which configuration and token.

That a raylet is kept running is in `test_membership` and, with a real one, in `e2e/cluster`."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.unit.cli.conftest import Cli
from ucloud_ray.cli import minder
from ucloud_ray.cli.membership import Membership

CONFIG = """
products: [{name: small, category: standard, cpu: 1, memoryInGigs: 2}]
nodes: [{match: {host: "n*"}, capacity: {standard: {cpu: 8, memoryInGigs: 16}}}]
"""


@dataclass
class Started:
    parts: list[Any] = field(default_factory=list)

    @property
    def words(self) -> list[str]:
        (part,) = self.parts
        return list(part.spec.command)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> Started:
    """What would be kept running."""
    seen = Started()
    monkeypatch.setattr(Membership, "run", lambda self: seen.parts.append(self.raylet))
    return seen


def test_it_joins_the_head_with_our_label_and_what_the_machine_sells(cli: Cli, started: Started) -> None:
    """D7."""
    Path("ucloud-ray.yaml").write_text(CONFIG)
    assert cli("node", "--address", "127.0.0.1:6379", "--host", "n1").status == 0
    assert "--address=127.0.0.1:6379" in started.words
    assert "--node-ip-address=127.0.0.1" in started.words
    assert any("ucloud-ray/host=n1" in word for word in started.words if word.startswith("--labels="))
    (resources,) = (word.removeprefix("--resources=") for word in started.words if word.startswith("--resources="))
    assert json.loads(resources) == {"ucloud-ray/standard/cpu": 8, "ucloud-ray/standard/memory": 16}
    assert "--head" not in started.words


def test_a_shared_data_folder_brings_configuration_and_token(cli: Cli, started: Started, tmp_path: Path) -> None:
    """That of `up`, which wins over a file that only adds to its defaults."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "ucloud-ray.effective.yaml").write_text(CONFIG)
    (data / "ray-token").write_text("0" * 64)
    Path("ucloud-ray.yaml").write_text("policy: {cancelingState: false}")
    assert cli("node", "--address", "127.0.0.1:6379", "--host", "n1", "--data", str(data)).status == 0
    environment = started.parts[0].spec.environment
    assert (environment["RAY_AUTH_MODE"], environment["RAY_AUTH_TOKEN_PATH"]) == ("token", str(data / "ray-token"))


def test_without_a_configuration_it_sells_nothing_and_says_what_to_do(cli: Cli, started: Started) -> None:
    refused = cli("node", "--address", "127.0.0.1:6379")
    assert refused.status == 1
    assert "--config" in refused.err
    assert started.parts == []


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1:port", "127.0.0.1:99999999", "no.such.host.invalid:1"])
def test_an_address_that_is_none_is_refused(cli: Cli, started: Started, address: str) -> None:
    Path("ucloud-ray.yaml").write_text(CONFIG)
    refused = cli("node", "--address", address)
    assert refused.status == 1
    assert "--address HOST:PORT" in refused.err
    assert started.parts == []


def test_a_second_one_for_the_same_machine_is_refused(cli: Cli, started: Started, tmp_path: Path) -> None:
    Path("ucloud-ray.yaml").write_text(CONFIG)
    lock = minder.lock(tmp_path / "data" / f"node-{socket.gethostname()}")
    refused = cli("node", "--address", "127.0.0.1:6379", "--data", str(tmp_path / "data"))
    assert "already running" in refused.err
    os.close(lock)
    assert cli("node", "--address", "127.0.0.1:6379", "--data", str(tmp_path / "data")).status == 0
