"""One detached placement group per placement, one bundle per rank, each pinned to the machine that our scheduler chose.

Placement groups are atomic only when they are made (D6): a group is never waited for longer than a moment, never
rescheduled by Ray and never reused. Blocking calls; `RayCluster` runs them in a thread of its own, one after the other,
because Ray retries groups that are made at the same time only after a second.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from ray import exceptions as ray_errors
from ray.util import placement_group as make_group
from ray.util import placement_group_table, remove_placement_group
from ray.util.placement_group import PlacementGroup, get_placement_group

from ucloud_ray.cluster import names
from ucloud_ray.control.ports import ClusterUnavailable, NoRoomNow, PlacementRequest
from ucloud_ray.domain.ids import JobUid

WAIT_SECONDS = 1
"""Whole seconds, as Ray takes them; a group that fits is ready after two milliseconds."""


class Placements:
    def __init__(self) -> None:
        self._groups: dict[tuple[JobUid, int], Any] = {}

    def get(self, uid: JobUid, incarnation: int) -> Any:
        """The group that is held, or None."""
        return self._groups.get((uid, incarnation))

    def reserve(self, request: PlacementRequest) -> None:
        """Raises `NoRoomNow` with nothing left reserved, or `ClusterUnavailable`."""
        key = request.uid, request.incarnation
        if key in self._groups:
            return
        try:
            group = self._make(request)
            if not group.wait(WAIT_SECONDS):
                remove_placement_group(group)
                raise NoRoomNow(f"no room for {request.replicas} replicas on {', '.join(request.hosts)}")
        except (ray_errors.RayError, ValueError, RuntimeError) as problem:
            raise ClusterUnavailable(f"the placement cannot be made: {problem}") from problem
        self._groups[key] = group

    def _make(self, request: PlacementRequest) -> Any:
        return make_group(
            [names.bundle(request.machine)] * request.replicas,
            strategy="PACK",
            name=names.group(request.uid, request.incarnation),
            lifetime="detached",
            bundle_label_selector=[{names.HOST_LABEL: host} for host in request.hosts],
        )

    def release(self, uid: JobUid, incarnation: int) -> None:
        """This incarnation and older ones; nothing to give back is success."""
        for key in [key for key in self._groups if key[0] == uid and key[1] <= incarnation]:
            _remove(self._groups[key])
            del self._groups[key]

    def keep_only(self, wanted: Mapping[JobUid, int]) -> None:
        """Take over the groups of these, remove every other one of ours."""
        try:
            table = placement_group_table()
        except ray_errors.RayError as problem:
            raise ClusterUnavailable(str(problem)) from problem
        for entry in table.values():
            parsed = names.parse_group(entry.get("name") or "")
            if parsed is None or entry.get("state") == "REMOVED":
                continue
            group = get_placement_group(entry["name"])
            key = JobUid(parsed[0]), parsed[1]
            if wanted.get(key[0]) == key[1] and entry.get("state") == "CREATED":
                self._groups[key] = group
            elif key not in self._groups:
                _remove(group)


def _remove(group: PlacementGroup) -> None:
    with contextlib.suppress(ValueError):  # removed already
        try:
            remove_placement_group(group)
        except ray_errors.RayError as problem:
            raise ClusterUnavailable(str(problem)) from problem
