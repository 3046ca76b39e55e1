"""How far a pull is, from the daemon's lines about its layers (ENV-54)."""

from __future__ import annotations

from typing import Any

import pytest

from runtimes.docker.layers import Layers, size


def heard(*lines: tuple[str, str] | tuple[str, str, int, int]) -> Layers:
    """Layers that heard of `(layer, status)` or `(layer, status, current, total)`."""
    layers = Layers()
    layers.hear({"id": "1.0", "status": "Pulling from acme/batch"})
    for layer, status, *amounts in lines:
        layers.hear({"id": layer, "status": status, "progressDetail": detail(*amounts)})
    return layers


def detail(*amounts: Any) -> dict[str, int]:
    return {"current": amounts[0], "total": amounts[1]} if amounts else {}


ANNOUNCED = (("a", "Pulling fs layer"), ("b", "Pulling fs layer"))


def test_nothing_is_said_before_anything_is_known() -> None:
    assert heard(*ANNOUNCED).so_far() == ""


def test_the_share_is_told_once_every_size_is_known() -> None:
    layers = heard(*ANNOUNCED, ("a", "Downloading", 500_000_000, 1_000_000_000))
    assert layers.so_far() == "500 MB so far"
    layers.hear({"id": "b", "status": "Downloading", "progressDetail": {"current": 40_000_000, "total": 200_000_000}})
    assert layers.so_far() == "45 % of 1.2 GB"


def test_a_layer_that_arrived_counts_whole_whatever_was_told_of_it_last() -> None:
    layers = heard(*ANNOUNCED, ("a", "Downloading", 1, 100), ("a", "Download complete"), ("b", "Downloading", 50, 100))
    assert layers.so_far() == "75 % of 200 bytes"


def test_a_layer_that_is_there_already_is_not_waited_for() -> None:
    layers = heard(("a", "Already exists"), ("b", "Pulling fs layer"), ("b", "Downloading", 1, 4))
    assert layers.so_far() == "25 % of 4 bytes"


def test_it_is_being_unpacked_once_every_layer_is_here() -> None:
    layers = heard(*ANNOUNCED, ("a", "Download complete"))
    assert not layers.unpacking
    layers.hear({"id": "b", "status": "Extracting", "progressDetail": {"current": 1, "total": 2}})
    assert layers.unpacking


def test_a_layer_that_is_tried_again_is_trouble_until_something_arrives() -> None:
    layers = heard(*ANNOUNCED, ("a", "Downloading", 10, 100), ("a", "Retrying in 5 seconds"))
    assert layers.struggling
    layers.hear({"id": "a", "status": "Downloading", "progressDetail": {"current": 5, "total": 100}})
    assert not layers.struggling


def test_only_what_was_never_reached_before_is_an_advance() -> None:
    """A registry that breaks off at the same place again and again does not get anywhere."""
    layers = heard(*ANNOUNCED, ("a", "Downloading", 10, 100))
    before = layers.advances
    layers.begin()
    for line in ("Pulling fs layer", "Downloading"):
        layers.hear({"id": "a", "status": line, "progressDetail": {"current": 10, "total": 100}})
    assert layers.advances == before
    layers.hear({"id": "a", "status": "Downloading", "progressDetail": {"current": 11, "total": 100}})
    assert layers.advances > before


@pytest.mark.parametrize(
    ("count", "told"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_500, "1.5 kB"),
        (45_000_000, "45 MB"),
        (1_234_000_000, "1.2 GB"),
        (10**12, "1000 GB"),
    ],
)
def test_sizes_are_decimal(count: int, told: str) -> None:
    assert size(count) == told
