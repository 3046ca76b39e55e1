"""What a waiting job is told (SCH-13): every reason in words, and only news."""

from __future__ import annotations

import pytest

from ucloud_ray.domain.ids import ProductId
from ucloud_ray.domain.job import Machine
from ucloud_ray.domain.products import Size
from ucloud_ray.domain.waiting import MOST, PAUSE_SECONDS, Said, line, ordinal, reason, worth_telling

GIGA = 10**9


def machine(cpu_milli: int = 10_000, gigs: float = 20, gpu: int = 0) -> Machine:
    return Machine(ProductId("p", "c", "x"), cpu_milli, round(gigs * GIGA), gpu)


def room(cores: float, gigs: float = 1000, gpu: int = 0) -> Size:
    return Size(round(cores * 1000), round(gigs * GIGA), gpu)


def test_the_line_names_place_queue_need_and_what_is_free() -> None:
    why = reason({"a": room(10), "b": room(10)}, {}, machine(), 4)
    assert line(3, "standard", why) == "Waiting for room: 3rd in the queue of standard; needs 4 x 10 cores, 20 are free"


@pytest.mark.parametrize(
    ("free", "wanted", "replicas", "text"),
    [
        ({"a": room(1)}, machine(10_000), 1, "needs 1 x 10 cores, 1 is free"),
        ({"a": room(0)}, machine(1_000), 1, "needs 1 x 1 core, 0 are free"),
        ({"a": room(0.2)}, machine(479), 1, "needs 1 x 0.479 cores, 0.2 are free"),
        ({"a": room(-3), "b": room(2)}, machine(), 1, "needs 1 x 10 cores, 2 are free"),
        ({"a": room(6), "b": room(6)}, machine(), 1, "needs 1 x 10 cores, 12 are free but at most 6 on one machine"),
        ({"a": room(99, 8)}, machine(), 2, "needs 2 x 20 GB of memory, 8 GB is free"),
        ({"a": room(99, 99, 1)}, machine(gpu=2), 1, "needs 1 x 2 GPUs, 1 is free"),
        (
            {"a": room(10, 5), "b": room(2, 40)},
            machine(),
            1,
            "needs 1 x 10 cores with 20 GB of memory, no machine has all of it free at once",
        ),
    ],
)
def test_the_scarce_thing_is_named(free: dict[str, Size], wanted: Machine, replicas: int, text: str) -> None:
    why = reason(free, free, wanted, replicas)
    assert (why.cause, why.text) == ("full", text)


def test_machines_that_are_away_or_in_maintenance_are_no_shortage() -> None:
    assert reason({}, {}, machine(), 1).text == "no machine for it is available at the moment"
    assert reason({}, {}, machine(), 1, in_maintenance=2).text.endswith("(2 in maintenance)")
    assert reason({"a": room(1)}, {}, machine(), 1, in_maintenance=1).text.endswith("1 is free (1 in maintenance)")


def test_room_that_is_kept_for_others_is_said_to_be() -> None:
    why = reason({"a": room(10)}, {"a": room(0)}, machine(), 1)
    assert (why.cause, why.text) == ("kept", "what is free is kept for a job that has waited longer")


def test_room_that_the_cluster_does_not_give_yet_is_not_called_missing() -> None:
    assert reason({"a": room(10)}, {"a": room(10)}, machine(), 1).cause == "refused"


@pytest.mark.parametrize(
    ("place", "cause", "news"),
    [(16, "full", False), (9, "full", False), (8, "full", True), (1, "full", True), (16, "away", True)],
)
def test_only_half_the_place_or_another_cause_is_news(place: int, cause: str, news: bool) -> None:
    said = Said(16, "full", at=0.0)
    assert worth_telling(said, place, cause, PAUSE_SECONDS) is news  # type: ignore[arg-type]  # parametrized


def test_news_are_neither_hasty_nor_endless() -> None:
    assert not worth_telling(Said(16, "full", at=0.0), 1, "away", PAUSE_SECONDS - 1)
    assert not worth_telling(Said(16, "full", at=0.0, times=MOST), 1, "away", PAUSE_SECONDS)


def test_a_category_cannot_make_a_line_into_a_command() -> None:
    """W2."""
    assert "Target:" not in line(1, "Target: x\n", reason({}, {}, machine(), 1))


@pytest.mark.parametrize(
    ("number", "text"),
    [(1, "1st"), (2, "2nd"), (3, "3rd"), (4, "4th"), (11, "11th"), (12, "12th"), (21, "21st"), (112, "112th")],
)
def test_numbers_are_spelled_as_people_do(number: int, text: str) -> None:
    assert ordinal(number) == text
