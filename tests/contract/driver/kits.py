"""What the driver suite needs to know of an implementation.

Every file `kit_<name>.py` beside this one holds one subclass of `DriverKit`, which `conftest` finds by itself: to put
another driver under the contract, add a file, and change nothing here.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from pathlib import Path
from typing import Any, ClassVar

from runtimes import registry
from runtimes.driver import Driver
from runtimes.settings import DockerSettings, NativeSettings, RuntimeSettings, ScriptedSettings
from runtimes.types import Limits, LogPaths, TaskId, TaskSpec
from tests.contract.driver.programs import Program

PROVIDER = "contract-suite"
MEGABYTE = 1024 * 1024
_counter = itertools.count(1)


class DriverKit:
    """Builds drivers, specifications and programs of one implementation below a folder of one test."""

    name: ClassVar[str]
    """As in `runtimes.registry`."""
    real: ClassVar[bool] = True
    """Runs programs of this machine: `argv` may be any command, and its effects can be looked at."""
    sees_our_files: ClassVar[bool] = True
    """A program finds the paths of the test's folder under the same names (processes, but not containers)."""

    own_variables: ClassVar[frozenset[str]] = frozenset()
    """Environment variables that a program finds though nobody gave them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = self.make_settings(folder)

    @classmethod
    def missing(cls) -> str | None:
        """Why this implementation cannot be tested on this machine; None if it can."""
        return None

    @classmethod
    def missing_limits(cls) -> str | None:
        """Why hard limits cannot be tested on this machine; None if they can."""
        return None if cls.real else "nothing real to limit"

    def make_settings(self, folder: Path) -> RuntimeSettings:
        return RuntimeSettings(
            native=NativeSettings(state_dir=folder / "native"),
            docker=DockerSettings(state_dir=folder / "docker"),
            scripted=ScriptedSettings(state_dir=folder / "scripted"),
        )

    def make_driver(self) -> Driver:
        """A new object with the same settings: what another process would have."""
        return registry.create(self.name, self.settings)

    def argv(self, program: Program) -> tuple[str, ...]:
        """The command that behaves as told. Real drivers use a shell; the scripted one its own words."""
        return program.as_shell()

    def make_spec(self, program: Program | tuple[str, ...] = (), **changes: Any) -> TaskSpec:
        """A specification with a unique name and a job folder of its own; `changes` replace fields."""
        argv = self.argv(program) if isinstance(program, Program) else program
        name = unique_name()
        job_folder = self.folder / "jobs" / name
        job_folder.mkdir(parents=True)
        spec = TaskSpec(
            id=TaskId(name, "1"),
            labels={
                "ucloud-ray/job": name.split("-")[1],
                "ucloud-ray/rank": "0",
                "ucloud-ray/incarnation": "1",
                "ucloud-ray/provider": PROVIDER,
            },
            argv=argv,
            environment={"UCLOUD_RANK": "0"},
            job_folder=job_folder,
            logs=LogPaths(job_folder / "stdout-0.log", job_folder / "stderr-0.log"),
            limits=Limits(cpu_milli=1000, memory_bytes=128 * MEGABYTE, pids=64, open_files=1024),
            hostname="node-0",
        )
        return dataclasses.replace(spec, **changes)

    async def leftovers(self) -> list[str]:
        """Names of everything of this test that exists on the machine: tasks, state, processes, control groups."""
        raise NotImplementedError

    async def cleanup(self) -> None:
        """After a test, also a failed one: leave nothing running."""
        raise NotImplementedError


def unique_name() -> str:
    return f"j-{os.getpid()}{next(_counter):04d}-job-0"


def another_incarnation(spec: TaskSpec) -> TaskSpec:
    return dataclasses.replace(spec, id=TaskId(spec.id.name, spec.id.incarnation + "1"))
