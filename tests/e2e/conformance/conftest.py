"""What the conformance tests share: applications of their own, and the kinds of programs that a point is tried with."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.stack import DOCKER_SHELL, NATIVE_SHELL, Stack

APPLICATIONS = Path(__file__).with_name("applications.yaml")


@pytest.fixture(scope="session")
def catalogue(shells: Stack) -> Stack:
    """The stack with the applications of this folder, too."""
    added = shells.cli("apps", "add", str(APPLICATIONS))
    assert added.returncode == 0, added.stderr
    return shells


@pytest.fixture(params=["native", "docker"])
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "docker":
        request.getfixturevalue("needs_docker")
    return str(request.param)


@pytest.fixture
def shell(kind: str) -> dict[str, str]:
    """An application that runs the script in `var`."""
    return NATIVE_SHELL if kind == "native" else DOCKER_SHELL


@pytest.fixture
def native_limits(catalogue: Stack) -> None:
    """Processes have hard limits only where cgroups may be written."""
    done = catalogue.cli("doctor")
    if "no hard limits" in done.stdout:
        pytest.skip("control groups cannot be written here")
