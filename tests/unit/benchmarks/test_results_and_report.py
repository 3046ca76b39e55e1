from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import compare, report, results
from benchmarks.errors import UsageMistake
from benchmarks.results import Figure, Pairing, RunResult, ScenarioResult, Setup, Target

MACHINE = {
    "measuredAt": "2026-01-01T12:00:00+00:00",
    "cpus": 2,
    "cpuModel": "some processor",
    "memoryGiB": 24.0,
    "kernel": "6.1",
    "distribution": "Debian",
    "python": "3.11.7",
    "versions": {"ray": "2.60.0"},
    "commit": "abc",
    "loadBefore": 0.1,
}
AT_LEAST_3 = Target(3.0, "higher", "budget: 3 ×")
AT_MOST_50 = Target(50.0, "lower", "budget: 50 ms")


def a_run(ours: float = 20.0, latency: float = 40.0) -> RunResult:
    setup = Setup(
        "tuned",
        {"replicasPerActor": 100},
        [Pairing("slurm", "jobs/s", [ours, 2 * ours], [10.0, 10.0], AT_LEAST_3, ["how it is set up"])],
        [Figure("p50", "ms", latency, AT_MOST_50, [latency]), Figure("RSS: all", "MiB", 100.0)],
        {"ray-jobs": "install ray[default]"},
    )
    return RunResult(MACHINE, "python -m benchmarks run", [ScenarioResult("native-batch", "jobs per second", [setup])])


def test_results_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    results.save(a_run(), tmp_path / "sub" / "a.json")
    assert results.load(tmp_path / "sub" / "a.json") == a_run()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 1}', '{"format": 1, "machine": {}, "scenarios": [1]}'])
def test_a_file_that_is_no_result_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(UsageMistake, match=r"bad\.json is not a result"):
        results.load(tmp_path / "bad.json")


def test_a_file_of_another_format_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "new.json").write_text('{"format": 2}')
    with pytest.raises(UsageMistake, match="run it again"):
        results.load(tmp_path / "new.json")


def test_a_missing_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageMistake, match="no such file"):
        results.load(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("target", "value", "met"),
    [(AT_LEAST_3, 3.0, True), (AT_LEAST_3, 2.99, False), (AT_MOST_50, 50.0, True), (AT_MOST_50, 50.1, False)],
)
def test_a_target_says_which_side_is_better(target: Target, value: float, met: bool) -> None:
    assert target.met_by(value) is met


def test_the_page_shows_missed_targets_first() -> None:
    lines = report.page([(a_run(ours=20.0, latency=99.0), "a.json")]).splitlines()
    rows = [line for line in lines if line.startswith(("| met", "| **missed**"))]
    assert rows == [
        "| **missed** | native-batch, tuned: p50 | budget: 50 ms | 99 ms |",
        "| met | native-batch, tuned, against slurm | budget: 3 × | 3 × (2 to 4) |",
    ]


def test_the_page_says_what_was_not_measured_and_why() -> None:
    run = a_run()
    run.scenarios[0].failed = "it burnt down"
    page = report.page([(run, "a.json")])
    assert "- native-batch, tuned, against ray-jobs: install ray[default]" in page
    assert "- native-batch ended early: it burnt down" in page


def test_the_page_shows_every_figure_the_policy_and_the_peer() -> None:
    page = report.page([(a_run(), "a.json")])
    for part in ("`replicasPerActor` 100", "RSS: all | 100 MiB", "how it is set up", "benchmarks/results/a.json"):
        assert part in page


def test_the_page_warns_when_the_machine_was_busy() -> None:
    busy = a_run()
    busy.machine = {**MACHINE, "loadBefore": 3.0}
    assert "Other work went on" in report.page([(busy, "a.json")])
    assert "Other work went on" not in report.page([(a_run(), "a.json")])


def test_two_runs_are_compared_by_their_ratios() -> None:
    lines = list(compare.lines(a_run(ours=20.0), a_run(ours=40.0, latency=10.0)))
    assert lines[0].split() == ["native-batch,", "tuned,", "ours", "over", "slurm", "3", "6", "×", "2.00", "×"]
    assert lines[1].split()[2:] == ["p50", "40", "10", "ms", "0.25", "×"]


def test_what_only_one_run_has_is_said() -> None:
    after = a_run()
    after.scenarios[0].setups[0].figures.pop()
    assert list(compare.lines(a_run(), after))[-1].split()[-4:] == ["only", "in", "the", "first"]


def test_the_page_has_the_newest_run_of_each_scenario(tmp_path: Path) -> None:
    """One that ended early is none."""
    for name, scenarios in {"1": ["old", "both"], "2": ["both", "broken"], "3": ["broken"]}.items():
        run = replace(a_run(), scenarios=[ScenarioResult(scenario, f"of run {name}") for scenario in scenarios])
        if name == "3":
            run.scenarios[0].failed = "no disk"
        results.save(run, tmp_path / f"{name}.json")
    runs = results.newest_of_each(tmp_path)
    assert [(source, [s.name for s in run.scenarios]) for run, source in runs] == [
        ("2.json", ["both", "broken"]),
        ("1.json", ["old"]),
    ]
    page = report.page(runs)
    assert [line for line in page.splitlines() if line.startswith("Of run")] == ["Of run 2.", "Of run 2.", "Of run 1."]
