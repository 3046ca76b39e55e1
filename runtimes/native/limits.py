"""Whether this machine lets us limit processes, and the control groups of a task if it does."""

from __future__ import annotations

import hashlib
from pathlib import Path

from runtimes import gpus
from runtimes.errors import RuntimeUnavailable
from runtimes.native import cgroup
from runtimes.settings import NativeSettings
from runtimes.types import TaskId, TaskSpec


class HardLimits:
    """Found by trying, when first needed; tried again as long as it fails. Blocking and short."""

    def __init__(self, settings: NativeSettings) -> None:
        self._settings = settings
        self._parents: cgroup.Parents | None = None

    def describe(self) -> str:
        """For `Capabilities.details`. Raises `RuntimeUnavailable` when limits are required and impossible."""
        parents = self._open()
        if isinstance(parents, cgroup.Parents):
            return f"control groups version {parents.version}"
        return f"none: {parents}"

    def folders(self, id: TaskId) -> tuple[Path, ...]:
        """Where the control groups of this task are, or will be. Empty: it runs without limits."""
        parents = self._open()
        return cgroup.folders(parents, _name(id)) if isinstance(parents, cgroup.Parents) else ()

    def create(self, spec: TaskSpec) -> None:
        """May be called twice. Raises `OSError`."""
        parents = self._open()
        if isinstance(parents, cgroup.Parents):
            cgroup.create(parents, _name(spec.id), spec.limits)
            cgroup.forbid(parents, _name(spec.id), gpus.forbidden(spec, self._settings.dev_dir))

    def _open(self) -> cgroup.Parents | str:
        if self._parents is None:
            try:
                self._parents = cgroup.open_parents(self._settings.cgroup_root)
            except cgroup.NotWritable as error:
                if self._settings.require_cgroup:
                    raise RuntimeUnavailable(f"processes cannot be limited on this machine: {error}") from error
                return str(error)
        return self._parents


def _name(id: TaskId) -> str:
    """With the incarnation, so that counters of an earlier attempt are never taken for this one's."""
    return f"{id.name}.{hashlib.sha256(id.incarnation.encode()).hexdigest()[:12]}"
