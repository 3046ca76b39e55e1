"""Name of a scenario to what runs it; the only file that lists them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from benchmarks.options import Options
from benchmarks.results import ScenarioResult
from benchmarks.scenarios import (
    backpressure,
    browse,
    container_start,
    follow,
    idle_sleepers,
    loud_neighbours,
    memory,
    native_batch,
    native_bulk,
    native_latency,
    restart,
)


@dataclass(frozen=True, slots=True)
class Scenario:
    summary: str
    peers: frozenset[str]
    run: Callable[[ScenarioResult, Options], None]
    """Adds to the result, so that what was measured before a failure is kept."""


SCENARIOS: Mapping[str, Scenario] = {
    "native-batch": Scenario(native_batch.SUMMARY, frozenset({"slurm", "ray-jobs"}), native_batch.run),
    "native-bulk": Scenario(native_bulk.SUMMARY, frozenset({"slurm"}), native_bulk.run),
    "native-latency": Scenario(native_latency.SUMMARY, frozenset(), native_latency.run),
    "container-start": Scenario(container_start.SUMMARY, frozenset({"docker"}), container_start.run),
    "follow": Scenario(follow.SUMMARY, frozenset({"docker"}), follow.run),
    "loud-neighbours": Scenario(loud_neighbours.SUMMARY, frozenset({"docker"}), loud_neighbours.run),
    "memory": Scenario(memory.SUMMARY, frozenset(), memory.run),
    "idle-sleepers": Scenario(idle_sleepers.SUMMARY, frozenset(), idle_sleepers.run),
    "backpressure": Scenario(backpressure.SUMMARY, frozenset(), backpressure.run),
    "browse": Scenario(browse.SUMMARY, frozenset(), browse.run),
    "restart": Scenario(restart.SUMMARY, frozenset(), restart.run),
}
PEERS = frozenset[str]().union(*(scenario.peers for scenario in SCENARIOS.values()))
