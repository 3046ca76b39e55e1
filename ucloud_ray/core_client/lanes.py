"""What waits to be told, one lane per job id; plain data, no input or output. Used by `publisher` only.

    ready ──take──▶ held ──release──▶ ready, or gone when empty

A lane is held while its first update is in a request, waits for its acknowledgement on disk, or backs off. So a job has
one update under way at most (LC-20), and after a crash only the first of a lane may have been applied already.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ucloud_ray.control.ports import STATUS_ONLY_LIMIT, OutboxRow
from ucloud_ray.domain.ids import JobId, JobUid, Millis


@dataclass(slots=True, eq=False)
class Lane:
    job_id: JobId
    uid: JobUid | None
    rows: deque[OutboxRow] = field(default_factory=deque)
    held: bool = False
    again: int | None = None
    """Number of the update that may have been applied already."""
    alone: bool = False
    """It failed by itself, so it must not share a request with others."""
    failures: int = 0
    """In a row, of this lane alone."""
    refused_since: Millis | None = None
    """When the Core began to deny the job (REC-11)."""
    denials: int = 0
    """Confirmations in a row that the Core does not know the job (REC-9)."""

    def recover(self) -> None:
        """The Core judged an update of this lane: whatever was wrong with it is over."""
        self.again, self.alone, self.failures, self.refused_since, self.denials = None, False, 0, None, 0


class Lanes:
    def __init__(self) -> None:
        self._lanes: dict[JobId, Lane] = {}
        self._ready: dict[JobId, Lane] = {}
        self._waiting: dict[int, OutboxRow] = {}
        self._by_uid: Counter[JobUid] = Counter()

    @property
    def ready(self) -> bool:
        return bool(self._ready)

    def waits(self, uid: JobUid) -> bool:
        return self._by_uid[uid] > 0

    def waits_for(self, id: JobId) -> bool:
        lane = self._lanes.get(id)
        return lane is not None and bool(lane.rows)

    def backlog(self) -> tuple[int, Millis | None]:
        """Rows that wait, and when the oldest was decided."""
        oldest = next(iter(self._waiting.values()), None)
        return len(self._waiting), oldest.at if oldest else None

    def add(self, row: OutboxRow, again: bool = False) -> list[OutboxRow]:
        """Append a row; rows must come in ascending order. Returns those that this makes superfluous.

        `again`: the row may have been applied already, if it becomes the first of its lane.
        """
        lane = self._lanes.get(row.job_id)
        if lane is None:
            lane = self._lanes[row.job_id] = Lane(row.job_id, row.uid)
        dropped = self._supersede(lane, row) + self._drop_passing(lane, row)
        if again and not lane.rows:
            lane.again = row.seq
        lane.rows.append(row)
        self._count(row)
        if not lane.held:
            self._ready.setdefault(lane.job_id, lane)
        return dropped + self._drop_old_texts(lane)

    def take(self, limit: int) -> list[Lane]:
        """Lanes whose first updates may share a request, longest ready first; they are held now."""
        first = next(iter(self._ready.values()), None)
        if first is None:
            return []
        if first.alone:
            return self._hold([first])
        company = [lane for lane in self._ready.values() if not lane.alone]
        return self._hold(company[:limit])

    def pop(self, lane: Lane, row: OutboxRow) -> None:
        """`row` is delivered or given up. It is no longer there if the lane went to another job meanwhile."""
        if lane.rows and lane.rows[0] is row:
            lane.rows.popleft()
            self._uncount(row)
        lane.recover()

    def clear(self, lane: Lane) -> list[OutboxRow]:
        """Give up everything in the lane."""
        rows = list(lane.rows)
        lane.rows.clear()
        for row in rows:
            self._uncount(row)
        return rows

    def release(self, lane: Lane) -> None:
        lane.held = False
        if lane.rows:
            self._ready.setdefault(lane.job_id, lane)
        else:
            del self._lanes[lane.job_id]

    def _hold(self, lanes: Sequence[Lane]) -> list[Lane]:
        for lane in lanes:
            lane.held = True
            del self._ready[lane.job_id]
        return list(lanes)

    def _supersede(self, lane: Lane, row: OutboxRow) -> list[OutboxRow]:
        # The Core means another job by this id now (O3): what is left of the former must not reach it.
        if lane.uid == row.uid:
            return []
        lane.uid = row.uid
        lane.recover()
        return self.clear(lane)

    def _drop_passing(self, lane: Lane, row: OutboxRow) -> list[OutboxRow]:
        """Texts that a state makes old before they were sent; the order of the rest is kept (REC-21)."""
        if row.update.state is None:
            return []
        dropped = [old for old in _unsent(lane) if old.update.passing]
        for old in dropped:
            lane.rows.remove(old)
            self._uncount(old)
        return dropped

    def _drop_old_texts(self, lane: Lane) -> list[OutboxRow]:
        """REC-22."""
        droppable = (row for row in _unsent(lane) if row.update.status_only)
        if _length(row for row in lane.rows if row.update.status_only) <= STATUS_ONLY_LIMIT:
            return []
        row = next(droppable)
        lane.rows.remove(row)
        self._uncount(row)
        return [row]

    def _count(self, row: OutboxRow) -> None:
        self._waiting[row.seq] = row
        if row.uid is not None:
            self._by_uid[row.uid] += 1

    def _uncount(self, row: OutboxRow) -> None:
        del self._waiting[row.seq]
        if row.uid is not None:
            self._by_uid[row.uid] -= 1
            if not self._by_uid[row.uid]:
                del self._by_uid[row.uid]


def _unsent(lane: Lane) -> Iterable[OutboxRow]:
    return list(lane.rows)[1:] if lane.held else lane.rows


def _length(rows: Iterable[OutboxRow]) -> int:
    return sum(1 for _ in rows)
