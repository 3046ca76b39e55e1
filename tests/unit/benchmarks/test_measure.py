from __future__ import annotations

import pytest

from benchmarks import measure
from benchmarks.measure import Spread


def test_contenders_take_turns_and_the_order_is_turned_around() -> None:
    called: list[str] = []

    def contender(name: str, value: float) -> measure.Measure:
        return lambda: called.append(name) or value

    samples = measure.interleave({"ours": contender("ours", 2.0), "peer": contender("peer", 1.0)}, 3)
    assert called == ["ours", "peer", "peer", "ours", "ours", "peer"]
    assert samples == {"ours": [2.0, 2.0, 2.0], "peer": [1.0, 1.0, 1.0]}


def test_a_ratio_is_taken_within_a_round() -> None:
    assert measure.ratios([10, 30], [5, 10]) == [2, 3]


def test_a_round_that_one_side_lacks_is_no_ratio() -> None:
    with pytest.raises(ValueError, match="shorter"):
        measure.ratios([1, 2], [1])


@pytest.mark.parametrize(("percent", "expected"), [(50, 5), (99, 10), (100, 10), (0, 1), (10, 1), (11, 2)])
def test_a_percentile_is_a_value_that_was_measured(percent: float, expected: float) -> None:
    assert measure.percentile([3, 1, 2, 10, 9, 8, 7, 6, 5, 4], percent) == expected


def test_a_spread_knows_its_ends() -> None:
    assert Spread.of([3, 1, 2]) == Spread(median=2, low=1, high=3)


@pytest.mark.parametrize("of_nothing", [lambda: Spread.of([]), lambda: measure.percentile([], 50)])
def test_of_nothing_there_is_no_figure(of_nothing: measure.Measure) -> None:
    with pytest.raises(ValueError, match="nothing was measured"):
        of_nothing()
