"""The command line of the benchmarks: `python -m benchmarks run | compare | report | list`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from benchmarks import compare as comparison
from benchmarks import machine, report, results
from benchmarks.errors import BenchmarkError, UsageMistake
from benchmarks.options import Options, say
from benchmarks.results import RunResult, ScenarioResult
from benchmarks.scenarios.catalogue import PEERS, SCENARIOS

app = typer.Typer(
    name="benchmarks",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    help="Measure ucloud-ray against its peers, in turns, on this machine.",
)
Results = Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Results; else the newest of each.")]


@app.command("run")
def run(
    names: Annotated[list[str] | None, typer.Argument(metavar="[SCENARIO]...", help="Default: all.")] = None,
    against: Annotated[list[str] | None, typer.Option(metavar="PEER", help="Only this peer; repeatable.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contender.")] = 5,
    jobs: Annotated[int, typer.Option(min=10, help="Jobs a turn, where throughput is measured.")] = 300,
    connections: Annotated[int, typer.Option(min=1, max=64, help="Clients that submit at the same time.")] = 8,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: benchmarks/results/TIME.json.")] = None,
) -> None:
    """Measure; keep the raw figures as JSON; print the ratios.

    A peer that is not installed is skipped, and the results say so. Everything that is started is stopped again.

    \b
    Examples:
      python -m benchmarks run
      python -m benchmarks run native-batch --against slurm
      python -m benchmarks run native-batch container-start --rounds 3 --jobs 100 --out /tmp/quick.json
    """
    chosen, peers = _known(names, SCENARIOS, "scenario"), _known(against, PEERS, "peer")
    options = Options(rounds, jobs, connections, frozenset(peers) if peers else None)
    result = RunResult(machine.facts(), _command(chosen, peers, options))
    file = out or results.FOLDER / f"{datetime.now(UTC):%Y%m%d-%H%M%S}.json"
    for name in chosen or list(SCENARIOS):
        _run_one(result, name, options)
        results.save(result, file)
    for row in report.targets(result):
        typer.echo(f"{'met   ' if row.met else 'MISSED'}  {row.what}: {row.shown}; {row.target.source}")
    say(f"raw figures: {file}")
    if any(scenario.failed for scenario in result.scenarios):
        raise BenchmarkError("not everything could be measured; see above")


def _command(names: list[str], peers: list[str], options: Options) -> str:
    """What gives the same run again."""
    words = ["python -m benchmarks run", *names, *(f"--against {peer}" for peer in peers)]
    numbers = {"rounds": options.rounds, "jobs": options.jobs, "connections": options.connections}
    return " ".join([*words, *(f"--{name} {number}" for name, number in numbers.items())])


def _run_one(result: RunResult, name: str, options: Options) -> None:
    scenario = SCENARIOS[name]
    outcome = ScenarioResult(name, scenario.summary)
    result.scenarios.append(outcome)
    say(f"{name}: {scenario.summary}")
    try:
        scenario.run(outcome, options)
    except (BenchmarkError, OSError) as error:
        outcome.failed = str(error)
        say(f"  {name} ended early: {error}")


def _known(wanted: list[str] | None, known: Iterable[str], kind: str) -> list[str]:
    names = sorted(known)
    for name in wanted or []:
        if name not in names:
            raise UsageMistake(f"there is no {kind} '{name}'; known are: {', '.join(names)}")
    return list(dict.fromkeys(wanted or []))


@app.command("compare")
def compare(
    before: Annotated[Path, typer.Argument(metavar="A", help="Results of one run.")],
    after: Annotated[Path, typer.Argument(metavar="B", help="Results of another one.")],
) -> None:
    """Show two runs side by side: ratios against peers, and figures without one.

    \b
    Example:
      python -m benchmarks compare benchmarks/results/before.json benchmarks/results/after.json
    """
    for line in comparison.lines(results.load(before), results.load(after)):
        typer.echo(line)


@app.command("report")
def make_report(
    file: Results = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The page.")] = report.PAGE,
) -> None:
    """Write the page of a run, or of the newest one of each scenario: the missed targets first.

    \b
    Examples:
      python -m benchmarks report
      python -m benchmarks report benchmarks/results/20260101-120000.json --out /tmp/page.md
    """
    runs = [(results.load(file), file.name)] if file else results.newest_of_each()
    out.write_text(report.page(runs))
    say(f"{out} is written from {', '.join(source for _, source in runs)}")


@app.command("list")
def list_scenarios() -> None:
    """List the scenarios and their peers.

    \b
    Example:
      python -m benchmarks list
    """
    for name, scenario in SCENARIOS.items():
        peers = f"  (against {', '.join(sorted(scenario.peers))})" if scenario.peers else ""
        typer.echo(f"{name:16} {scenario.summary}{peers}")


def main() -> None:
    try:
        app()
    except BenchmarkError as error:
        say(f"benchmarks: {error}")
        sys.exit(error.exit_status)


if __name__ == "__main__":
    main()
