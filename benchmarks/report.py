"""`docs/benchmarks.md` from a file of results: what was missed first, then everything. Pure; `__main__` writes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.results import Figure, Pairing, RunResult, ScenarioResult, Setup, Target

PAGE = Path(__file__).parent.parent / "docs" / "benchmarks.md"
INTRODUCTION = """\
# Benchmarks

Written by `python -m benchmarks report`; do not edit. Figures of time depend on the machine, so what counts are the
ratios: ours and the peer take turns in one run, and the ratio is taken turn by turn. A median stands with the lowest
and the highest turn. No test asserts on them.

`python -m benchmarks run` measures again, `python -m benchmarks compare A B` puts two runs side by side.
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One thing that has a target."""

    what: str
    target: Target
    median: float
    shown: str

    @property
    def met(self) -> bool:
        return self.target.met_by(self.median)


def page(runs: Sequence[tuple[RunResult, str]]) -> str:
    """Markdown about one or more runs, each with the name of the file with its raw figures."""
    rows = sorted((row for result, _ in runs for row in targets(result)), key=lambda row: row.met)
    parts = [INTRODUCTION, *(_machine(result, source) for result, source in runs), _target_table(rows)]
    parts += [part for result, _ in runs for part in _skipped(result)]
    parts += [_scenario(scenario) for result, _ in runs for scenario in result.scenarios]
    return "\n".join(parts)


def targets(result: RunResult) -> Iterator[Row]:
    """Every pairing and figure that has a target, in the order in which they were measured."""
    for scenario, setup, pairing in result.pairings():
        if pairing.target:
            shown = ratio_text(pairing)
            yield Row(f"{scenario}, {setup}, against {pairing.peer}", pairing.target, pairing.ratio.median, shown)
    for scenario, setup, figure in result.figures():
        if figure.target:
            shown = f"{figure.value:.4g} {figure.unit}"
            yield Row(f"{scenario}, {setup}: {figure.name}", figure.target, figure.value, shown)


def ratio_text(pairing: Pairing) -> str:
    spread = pairing.ratio
    return f"{spread.median:.3g} × ({spread.low:.3g} to {spread.high:.3g})"


# ------------------------------------------------------------------------------------------------------ sections


def _machine(result: RunResult, source: str) -> str:
    facts = result.machine
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    computer = f"{facts['cpus']} processors ({facts['cpuModel']}), {facts['memoryGiB']} GiB, {facts['distribution']}"
    programs = f"kernel {facts['kernel']}, Python {facts['python']}, {versions}"
    names = ", ".join(scenario.name for scenario in result.scenarios)
    return (
        f"{names}: measured {facts['measuredAt']} at commit `{facts['commit']}` with `{result.command}`: {computer}, "
        f"{programs}. "
        f"Load of the machine before the start: {facts['loadBefore']}.{_busy(facts)} Raw figures: "
        f"`benchmarks/results/{source}`.\n"
    )


def _busy(facts: Mapping[str, Any]) -> str:
    if facts["loadBefore"] <= facts["cpus"] / 2:
        return ""
    return " **Other work went on at the same time**: rates are lower than they could be, and the spread is wide."


def _target_table(rows: list[Row]) -> str:
    lines = ["## Targets, the missed ones first\n"]
    lines += _table(
        ("", "What", "Target", "Measured"),
        ((("met" if row.met else "**missed**"), row.what, row.target.source, row.shown) for row in rows),
    )
    return "\n".join([*lines, ""])


def _skipped(result: RunResult) -> Iterator[str]:
    lines = [f"- {scenario.name} ended early: {scenario.failed}" for scenario in result.scenarios if scenario.failed]
    lines += [
        f"- {scenario.name}, {setup.name}, against {peer}: {reason}"
        for scenario in result.scenarios
        for setup in scenario.setups
        for peer, reason in setup.skipped.items()
    ]
    if lines:
        yield "\n".join(["## Not measured\n", *lines, ""])


def _scenario(scenario: ScenarioResult) -> str:
    lines = [f"## {scenario.name}\n", f"{scenario.summary[:1].upper()}{scenario.summary[1:]}.\n"]
    for setup in scenario.setups:
        lines += _setup(setup)
    return "\n".join(lines)


def _setup(setup: Setup) -> Iterator[str]:
    policy = ", ".join(f"`{name}` {value}" for name, value in setup.policy.items()) or "the defaults"
    yield f"### Setup: {setup.name}\n"
    yield f"Policy: {policy}.\n"
    if setup.pairings:
        yield from _table(("Against", "Unit", "Ours", "Theirs", "Ratio"), map(_pairing_cells, setup.pairings))
        yield ""
        yield from (f"{note}.\n" for note in dict.fromkeys(note for pair in setup.pairings for note in pair.notes))
    if setup.figures:
        yield from _table(("Figure", "Value"), map(_figure_cells, setup.figures))
        yield ""


def _pairing_cells(pairing: Pairing) -> tuple[str, ...]:
    return pairing.peer, pairing.unit, _series(pairing.ours), _series(pairing.theirs), ratio_text(pairing)


def _series(values: list[float]) -> str:
    ordered = sorted(values)
    return f"{ordered[len(ordered) // 2]:.3g} ({ordered[0]:.3g} to {ordered[-1]:.3g}, n={len(ordered)})"


def _figure_cells(figure: Figure) -> tuple[str, ...]:
    return figure.name, f"{figure.value:.4g} {figure.unit}"


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(row)} |" for row in rows)
