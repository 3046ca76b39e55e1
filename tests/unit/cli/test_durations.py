from __future__ import annotations

import pytest

from ucloud_ray.cli import durations
from ucloud_ray.cli.errors import UsageMistake


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1h", 3_600), ("90m", 5_400), ("1h30m5s", 5_405), ("2d", 172_800), ("61s", 61)],
)
def test_a_time_is_the_sum_of_its_parts(text: str, expected: int) -> None:
    assert durations.delta(text).total_seconds() == expected


@pytest.mark.parametrize("text", ["", "5", "h", "-1h", "1 h", "1.5h", "0s", "one hour"])
def test_a_time_without_unit_or_length_is_refused(text: str) -> None:
    with pytest.raises(UsageMistake):
        durations.delta(text)


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(0, "0s"), (999, "0s"), (61_000, "1m 1s"), (90_061_000, "1d 1h"), (-5, "0s")]
)
def test_a_length_is_shown_by_its_two_largest_units(milliseconds: int, text: str) -> None:
    assert durations.show(milliseconds) == text
