"""Names of drivers, and what an operator is told about one that cannot be had."""

from __future__ import annotations

import builtins
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runtimes import registry
from runtimes.errors import RuntimeUnavailable
from runtimes.settings import DockerSettings, NativeSettings, RuntimeSettings, ScriptedSettings


@pytest.fixture
def settings(tmp_path: Path) -> RuntimeSettings:
    return RuntimeSettings(
        NativeSettings(tmp_path / "native"),
        DockerSettings(tmp_path / "docker"),
        ScriptedSettings(tmp_path / "scripted"),
    )


@pytest.mark.parametrize("name", ["native", "scripted"])
def test_a_driver_is_made_by_its_name_and_touches_nothing(name: str, settings: RuntimeSettings, tmp_path: Path) -> None:
    assert registry.create(name, settings).name == name
    assert list(tmp_path.iterdir()) == []


def test_the_names_are_listed() -> None:
    assert registry.names() == ["docker", "native", "scripted"]


def test_an_unknown_name_is_answered_with_those_that_exist(settings: RuntimeSettings) -> None:
    with pytest.raises(ValueError, match="docker, native, scripted"):
        registry.create("slurm", settings)


def test_a_driver_without_settings_is_refused(settings: RuntimeSettings) -> None:
    with pytest.raises(ValueError, match="state_dir"):
        registry.create("scripted", RuntimeSettings(settings.native, settings.docker))


@pytest.mark.parametrize(
    ("configured", "expected"), [(None, "unix:///machine.sock"), ("unix:///configured.sock", "unix:///configured.sock")]
)
def test_docker_is_where_the_configuration_says_else_where_the_machine_says(
    configured: str | None, expected: str, settings: RuntimeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[DockerSettings] = []
    monkeypatch.setattr("runtimes.docker.driver.DockerDriver", made.append)
    monkeypatch.setenv("DOCKER_HOST", "unix:///machine.sock")
    registry.create("docker", replace(settings, docker=replace(settings.docker, base_url=configured)))
    assert [one.base_url for one in made] == [expected]


def test_a_library_that_is_missing_is_named(settings: RuntimeSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    real_import = builtins.__import__

    def without_docker(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "docker" or name.startswith("docker."):
            raise ModuleNotFoundError("No module named 'docker'", name="docker")
        return real_import(name, *args, **kwargs)

    for module in [name for name in sys.modules if name.startswith("runtimes.docker")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(builtins, "__import__", without_docker)
    with pytest.raises(RuntimeUnavailable, match="'docker'") as caught:
        registry.create("docker", settings)
    assert not caught.value.retryable
