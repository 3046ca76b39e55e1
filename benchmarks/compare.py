"""Two files of results side by side. Ratios are compared, not rates: a rate of another day says nothing. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.results import RunResult


def lines(before: RunResult, after: RunResult) -> Iterator[str]:
    """One line per pairing and figure that both have; then what only one has."""
    old, new = _figures(before), _figures(after)
    width = max((len(name) for name in old.keys() | new.keys()), default=0)
    for name in [name for name in old if name in new]:
        (was, unit), (now, _) = old[name], new[name]
        change = f"{now / was:6.2f} ×" if was else "     -"
        yield f"{name:{width}}  {was:10.4g}  {now:10.4g} {unit:7} {change}"
    for name in old.keys() ^ new.keys():
        yield f"{name:{width}}  only in the {'first' if name in old else 'second'}"


def _figures(result: RunResult) -> dict[str, tuple[float, str]]:
    found = {
        f"{scenario}, {setup}, ours over {pairing.peer}": (pairing.ratio.median, "×")
        for scenario, setup, pairing in result.pairings()
    }
    return found | {
        f"{scenario}, {setup}: {figure.name}": (figure.value, figure.unit)
        for scenario, setup, figure in result.figures()
    }
