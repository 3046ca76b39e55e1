"""Raw figures and what they were measured on, as JSON. One file per `run`; `compare` and `report` read them.

{"format": 1, "machine": {...}, "scenarios": [{"name", "setups": [{"name", "policy", "pairings": [...], ...}]}]}
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from benchmarks.errors import UsageMistake
from benchmarks.measure import Spread, ratios

FORMAT = 1
FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Target:
    """A row of the performance budget, or a bound that we set ourselves."""

    figure: float
    better: Literal["higher", "lower"]
    source: str

    def met_by(self, value: float) -> bool:
        return value >= self.figure if self.better == "higher" else value <= self.figure


@dataclass(frozen=True, slots=True)
class Pairing:
    """Ours and one peer, measured in turns."""

    peer: str
    unit: str
    ours: list[float]
    theirs: list[float]
    target: Target | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def ratio(self) -> Spread:
        return Spread.of(ratios(self.ours, self.theirs))


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured number that has no peer."""

    name: str
    unit: str
    value: float
    target: Target | None = None
    samples: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Setup:
    """One way to configure ucloud-ray, and what was measured with it."""

    name: str
    policy: dict[str, Any] = field(default_factory=dict)
    pairings: list[Pairing] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    """Peer to why it was not measured."""


@dataclass(slots=True)
class ScenarioResult:
    name: str
    summary: str
    setups: list[Setup] = field(default_factory=list)
    failed: str = ""
    """Why it ended early; what was measured before stays."""


@dataclass(slots=True)
class RunResult:
    machine: dict[str, Any]
    command: str
    scenarios: list[ScenarioResult] = field(default_factory=list)
    format: int = FORMAT

    def pairings(self) -> Iterator[tuple[str, str, Pairing]]:
        """Scenario, setup, pairing."""
        for scenario in self.scenarios:
            for setup in scenario.setups:
                for pairing in setup.pairings:
                    yield scenario.name, setup.name, pairing

    def figures(self) -> Iterator[tuple[str, str, Figure]]:
        for scenario in self.scenarios:
            for setup in scenario.setups:
                for figure in setup.figures:
                    yield scenario.name, setup.name, figure


def save(result: RunResult, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(_rounded(asdict(result)), indent=1) + "\n")


def load(file: Path) -> RunResult:
    """Raises `UsageMistake` if it is not one of ours."""
    try:
        plain = json.loads(file.read_text())
        if plain["format"] != FORMAT:
            raise UsageMistake(f"{file} has format {plain['format']}, this program reads {FORMAT}; run it again")
        scenarios = [_scenario(entry) for entry in plain["scenarios"]]
        return RunResult(plain["machine"], plain["command"], scenarios)
    except FileNotFoundError:
        raise UsageMistake(f"{file}: no such file; `python -m benchmarks run` writes one") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageMistake(f"{file} is not a result of `python -m benchmarks run` ({error})") from error


def newest_of_each(folder: Path = FOLDER) -> list[tuple[RunResult, str]]:
    """For every scenario the last run that measured it, newest run first, with the name of its file. The names of files
    begin with the time."""
    seen: set[str] = set()
    found = []
    for file in sorted(folder.glob("*.json"), reverse=True):
        result = load(file)
        fresh = [scenario for scenario in result.scenarios if scenario.name not in seen and not scenario.failed]
        if fresh:
            found.append((RunResult(result.machine, result.command, fresh), file.name))
            seen.update(scenario.name for scenario in fresh)
    if not found:
        raise UsageMistake("there are no results yet; `python -m benchmarks run` writes them")
    return found


def _scenario(plain: dict[str, Any]) -> ScenarioResult:
    return ScenarioResult(**{**plain, "setups": [_setup(entry) for entry in plain["setups"]]})


def _setup(plain: dict[str, Any]) -> Setup:
    pairings = [Pairing(**{**entry, "target": _target(entry["target"])}) for entry in plain["pairings"]]
    figures = [Figure(**{**entry, "target": _target(entry["target"])}) for entry in plain["figures"]]
    return Setup(**{**plain, "pairings": pairings, "figures": figures})


def _target(plain: dict[str, Any] | None) -> Target | None:
    return Target(**plain) if plain else None


def _rounded(value: Any) -> Any:
    """Five significant digits: more than a clock is good for, and files that can be read."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
