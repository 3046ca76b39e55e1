"""The native driver under the contract: real processes, a control group tree of its own per test process."""

from __future__ import annotations

import dataclasses
import os
import signal
from pathlib import Path
from typing import ClassVar

import psutil

from runtimes.native import cgroup
from runtimes.settings import NativeSettings, RuntimeSettings
from tests.contract.driver.kits import DriverKit

CGROUP_ROOT = f"ucloud-ray-test-{os.getpid()}"


class NativeKit(DriverKit):
    name: ClassVar[str] = "native"
    own_variables: ClassVar[frozenset[str]] = frozenset({"PATH", "HOME", "LANG", "USER", "TMPDIR"}) | {
        "CUDA_VISIBLE_DEVICES",
        "NVIDIA_VISIBLE_DEVICES",
        "ROCR_VISIBLE_DEVICES",
    }

    def make_settings(self, folder: Path) -> RuntimeSettings:
        native = NativeSettings(state_dir=folder / "native", cgroup_root=CGROUP_ROOT)
        return dataclasses.replace(super().make_settings(folder), native=native)

    @classmethod
    def missing_limits(cls) -> str | None:
        try:
            cgroup.open_parents(CGROUP_ROOT)
        except cgroup.NotWritable as error:
            return str(error)
        return None

    async def leftovers(self) -> list[str]:
        return [*self._state_folders(), *(f"process {p.pid}" for p in self._processes()), *map(str, self._cgroups())]

    async def cleanup(self) -> None:
        for group in self._cgroups():
            cgroup.remove([group])
        for process in self._processes():
            process.send_signal(signal.SIGKILL)
        for parent in self._parents():
            parent.rmdir()

    def _state_folders(self) -> list[str]:
        state_dir = self.settings.native.state_dir
        return sorted(path.name for path in state_dir.glob("*") if path.is_dir()) if state_dir.exists() else []

    def _processes(self) -> list[psutil.Process]:
        """Those that work in this test's folder, wherever their parents are."""
        return [process for process in psutil.process_iter() if self._is_of_this_test(process)]

    def _is_of_this_test(self, process: psutil.Process) -> bool:
        try:
            return process.status() != psutil.STATUS_ZOMBIE and Path(process.cwd()).is_relative_to(self.folder)
        except (psutil.Error, OSError):
            return False

    def _cgroups(self) -> list[Path]:
        return [group for parent in self._parents() for group in parent.iterdir() if group.is_dir()]

    def _parents(self) -> list[Path]:
        return [*Path("/sys/fs/cgroup").glob(f"*/{CGROUP_ROOT}"), *Path("/sys/fs/cgroup").glob(CGROUP_ROOT)]
