"""Graphs of what a job's ranks use, as messages of the follow's extra channels (W15). Pure; used by `streams`.

    ui                       widgets: three lines of JSON each; a line that is no JSON would stop the page's widgets
    utilization-data-reset   what was drawn is void
    utilization-data         one row: the time, then the columns of each rank

The page draws one job and does not tell ranks apart, so all ranks share a row: a row is sent when every rank has
reached its time, and a rank that says nothing more keeps its last values.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, NamedTuple

import orjson

from ucloud_ray.control.service import UsageChunk
from ucloud_ray.control.usage_file import Sample
from ucloud_ray.control.usage_rates import Rates, rates

UI, DATA, RESET = "ui", "utilization-data", "utilization-data-reset"

MOST_RANKS = 16
"""More lines than that in one graph cannot be told apart."""

_LINE_CHART, _CREATE = 6, 0
_PERCENT, _BYTES, _BYTES_PER_SECOND, _DATE = 3, 4, 5, 6
_CPU_ICON, _MEMORY_ICON, _NETWORK_ICON, _DRIVE_ICON = 2, 4, 5, 7


class Message(NamedTuple):
    channel: str
    text: str


@dataclass(frozen=True, slots=True)
class Graph:
    id: str
    title: str
    icon: int
    unit: int
    lines: tuple[tuple[str, int], ...]
    """Name of a line and its column among those of its rank, in the order of `Rates`."""

    def is_counted(self, sample: Sample) -> bool:
        return not (
            (self.id == "network" and sample.network_received is None)
            or (self.id == "disk" and sample.disk_read is None)
        )


GRAPHS = (
    Graph("cpu", "CPU utilization", _CPU_ICON, _PERCENT, (("CPU", 0),)),
    Graph("memory", "Memory", _MEMORY_ICON, _BYTES, (("Memory", 1),)),
    Graph("network", "Network", _NETWORK_ICON, _BYTES_PER_SECOND, (("Received", 2), ("Sent", 3))),
    Graph("disk", "Disk", _DRIVE_ICON, _BYTES_PER_SECOND, (("Read", 4), ("Written", 5))),
)


@dataclass(slots=True)
class Charts:
    """The graphs of one follow."""

    ranks: int
    _last: dict[int, Sample] = field(default_factory=dict)
    _points: dict[int, dict[int, Rates]] = field(default_factory=dict)
    """Rank to time to what is not told yet."""
    _told: dict[int, Rates] = field(default_factory=dict)
    """Rank to what was told last."""
    _history: dict[int, tuple[Sample, ...]] = field(default_factory=dict)
    _told_at: int = 0
    _shown: set[str] = field(default_factory=set)

    def feed(self, chunk: UsageChunk) -> Iterator[Message]:
        if chunk.rank >= min(self.ranks, MOST_RANKS) or not chunk.samples:
            return
        anew = chunk.reset or chunk.rank not in self._history
        kept = () if chunk.reset else self._history.get(chunk.rank, ())
        self._history[chunk.rank] = (*kept, *chunk.samples)
        yield from self._widgets(chunk.samples[-1])
        if anew:
            yield from self._everything()
        else:
            self._add(chunk.rank, chunk.samples)
        yield from self._rows()

    def _widgets(self, sample: Sample) -> Iterator[Message]:
        """Graphs that are not there yet; of what the kernel does not count there is none."""
        for graph in GRAPHS:
            if graph.id not in self._shown and graph.is_counted(sample):
                self._shown.add(graph.id)
                yield Message(UI, self._widget(graph))

    def _widget(self, graph: Graph) -> str:
        location = {"window": 0, "tab": graph.title, "icon": graph.icon}
        body = {
            "series": self._series(graph),
            "xAxis": _axis(_DATE, None),
            "yAxis": _axis(graph.unit, 0),
            "channel": DATA,
            "yAxisColumn": 0,
        }
        parts = ({"action": _CREATE}, {"id": graph.id, "type": _LINE_CHART, "location": location}, body)
        return "".join(orjson.dumps(part).decode() + "\n" for part in parts)

    def _series(self, graph: Graph) -> list[dict[str, Any]]:
        ranks = range(min(self.ranks, MOST_RANKS))
        return [
            {
                "name": name if self.ranks == 1 else f"Node {rank + 1} {name.lower()}",
                "column": 1 + rank * len(Rates._fields) + column,
            }
            for rank in ranks
            for name, column in graph.lines
        ]

    def _everything(self) -> Iterator[Message]:
        """From the beginning: the page may have drawn an earlier follow of this job (W13)."""
        yield Message(RESET, "0")
        self._last, self._points, self._told, self._told_at = {}, {}, {}, 0
        for rank, samples in self._history.items():
            self._add(rank, samples)

    def _add(self, rank: int, samples: tuple[Sample, ...]) -> None:
        earlier = (self._last[rank],) if rank in self._last else ()
        points = self._points.setdefault(rank, {})
        for before, after in pairwise((*earlier, *samples)):
            if after.at > before.at:
                points[after.at] = rates(before, after)
        self._last[rank] = samples[-1]

    def _rows(self) -> Iterator[Message]:
        """Every time that all ranks have reached. One that all others left behind by far has ended, or was lost."""
        reached = min(sample.at for sample in self._last.values())
        newest = max(sample.at for sample in self._last.values())
        until = max(reached, newest - _LOST_MILLIS)
        times = {at for points in self._points.values() for at in points if at <= until}
        for at in sorted(times):
            for rank, points in self._points.items():
                if (point := points.pop(at, None)) is not None:
                    self._told[rank] = point
            if at > self._told_at:
                self._told_at = at
                yield Message(DATA, self._row(at))

    def _row(self, at: int) -> str:
        ranks = range(min(self.ranks, MOST_RANKS))
        return ",".join([str(at), *(column for rank in ranks for column in _columns(self._told.get(rank, _NOTHING)))])


_NOTHING = Rates(0, 0, None, None, None, None)
_LOST_MILLIS = 30_000


def _axis(unit: int, minimum: float | None) -> dict[str, Any]:
    return {"unit": unit, "minimum": minimum, "maximum": None, "logarithmic": False}


def _columns(point: Rates) -> list[str]:
    """Numbers only: what is not counted has no graph, and is nothing here."""
    cores, *others = point
    return [f"{(value or 0):.1f}".removesuffix(".0") for value in (cores * 100, *others)]
