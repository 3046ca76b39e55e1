"""Detached placement groups, one bundle per rank, each pinned to the machine that our scheduler chose (decision 0002).

Placement groups are atomic only when they are made (D6): a group is never waited for longer than a moment and never
rescheduled by Ray. A group that was given back is kept for a moment, because making and removing one costs three calls
to the GCS, and in a stream of short jobs the next one asks for the same again. What it keeps from others it gives up as
soon as one of them finds no room.

Blocking calls; `RayCluster` runs them in a thread of its own, one after the other, because Ray retries groups that are
made at the same time only after a second.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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

SPARE_SECONDS = 2.0
"""How long a group that was given back is kept."""

Shape = tuple[tuple[tuple[str, float], ...], tuple[str, ...]]
"""What each rank reserves, and the host of each rank."""


@dataclass(frozen=True, slots=True)
class Held:
    group: Any
    shape: Shape | None
    """None if another job must not get it: an earlier supervisor made it."""


@dataclass(frozen=True, slots=True)
class Spare:
    group: Any
    since: float


class Placements:
    def __init__(self) -> None:
        self._held: dict[tuple[JobUid, int], Held] = {}
        self._spares: dict[Shape, list[Spare]] = {}

    def get(self, uid: JobUid, incarnation: int) -> Any:
        """The group that is held, or None."""
        held = self._held.get((uid, incarnation))
        return held.group if held else None

    def reserve(self, request: PlacementRequest) -> None:
        """Raises `NoRoomNow` with nothing left reserved, or `ClusterUnavailable`."""
        key = request.uid, request.incarnation
        if key in self._held:
            return
        shape = _shape(request)
        if spares := self._spares.get(shape):
            self._held[key] = Held(spares.pop().group, shape)
            return
        with _translated():
            group = self._make_with_room(request)
        self._held[key] = Held(group, shape)

    def release(self, uid: JobUid, incarnation: int) -> None:
        """This incarnation and older ones; nothing to give back is success."""
        for key in [key for key in self._held if key[0] == uid and key[1] <= incarnation]:
            held = self._held[key]
            if held.shape is None:
                _remove(held.group)
            else:
                self._spares.setdefault(held.shape, []).append(Spare(held.group, time.monotonic()))
            del self._held[key]

    def drop_spares(self, older_than: float = SPARE_SECONDS) -> bool:
        """Give up spare groups of that age in seconds; whether there were any."""
        limit, dropped = time.monotonic() - older_than, False
        for shape, spares in list(self._spares.items()):
            for spare in [spare for spare in spares if spare.since <= limit]:
                _remove(spare.group)
                spares.remove(spare)
                dropped = True
            if not spares:
                del self._spares[shape]
        return dropped

    def keep_only(self, wanted: Mapping[JobUid, int]) -> None:
        """Take over the groups of these, remove every other one that we do not know."""
        known = {held.group.id for held in self._held.values()}
        known |= {spare.group.id for spares in self._spares.values() for spare in spares}
        with _translated():
            table = placement_group_table()
        for entry in table.values():
            parsed = names.parse_group(entry.get("name") or "")
            if parsed is None or entry.get("state") == "REMOVED":
                continue
            group = get_placement_group(entry["name"])
            if group.id in known:
                continue
            key = JobUid(parsed[0]), parsed[1]
            if wanted.get(key[0]) == key[1] and entry.get("state") == "CREATED":
                self._held[key] = Held(group, None)
            else:
                _remove(group)

    def _make_with_room(self, request: PlacementRequest) -> Any:
        group = _made(request)
        if group is None and self.drop_spares(older_than=0.0):
            group = _made(request)
        if group is None:
            raise NoRoomNow(f"no room for {request.replicas} replicas on {', '.join(request.hosts)}")
        return group


def _made(request: PlacementRequest) -> Any:
    """The group, or None with nothing left reserved."""
    group = make_group(
        [names.bundle(request.machine)] * request.replicas,
        strategy="PACK",
        name=names.group(request.uid, request.incarnation),
        lifetime="detached",
        bundle_label_selector=[{names.HOST_LABEL: host} for host in request.hosts],
    )
    if group.wait(WAIT_SECONDS):
        return group
    remove_placement_group(group)
    return None


def _shape(request: PlacementRequest) -> Shape:
    return tuple(sorted(names.bundle(request.machine).items())), request.hosts


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (ray_errors.RayError, ValueError, RuntimeError) as problem:
        raise ClusterUnavailable(f"Ray does not manage placements at the moment: {problem}") from problem


def _remove(group: PlacementGroup) -> None:
    with contextlib.suppress(ValueError):  # removed already
        try:
            remove_placement_group(group)
        except ray_errors.RayError as problem:
            raise ClusterUnavailable(str(problem)) from problem
