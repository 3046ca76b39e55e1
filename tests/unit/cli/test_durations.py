from __future__ import annotations

import pytest

from ucloud_ray.cli import durations
from ucloud_ray.cli.errors import UsageMistake


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1h", (1, 0, 0)), ("90m", (1, 30, 0)), ("1h30m5s", (1, 30, 5)), ("2d", (48, 0, 0)), ("61s", (0, 1, 1))],
)
def test_a_time_becomes_hours_minutes_and_seconds(text: str, expected: tuple[int, int, int]) -> None:
    assert tuple(durations.parse(text).values()) == expected


@pytest.mark.parametrize("text", ["", "5", "h", "-1h", "1 h", "1.5h", "0s", "one hour"])
def test_a_time_without_unit_or_length_is_refused(text: str) -> None:
    with pytest.raises(UsageMistake):
        durations.parse(text)


@pytest.mark.parametrize(
    ("milliseconds", "text"), [(0, "0s"), (999, "0s"), (61_000, "1m 1s"), (90_061_000, "1d 1h"), (-5, "0s")]
)
def test_a_length_is_shown_by_its_two_largest_units(milliseconds: int, text: str) -> None:
    assert durations.show(milliseconds) == text
