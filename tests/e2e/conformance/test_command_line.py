"""Conformance point 4: what stands in an application and what users type reaches the program byte for byte."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.follow import following, printed
from tests.support.stack import Stack

VALUE = "  a  b\n\n$HOME `id` * ' \" \\ ; ~ é 😀 --  "


def arguments(kind: str) -> dict[str, Any]:
    return {
        "application": {"name": f"{kind}-arguments", "version": "1.0.0"},
        "parameters": {"text": {"type": "text", "value": VALUE}, "empty": {"type": "text", "value": ""}},
    }


def test_point_4_words_and_values_are_untouched_and_affixes_are_trimmed(catalogue: Stack, kind: str) -> None:
    """INV-8, INV-10 to INV-15, INV-23, INV-25: no shell stands in between."""
    job_id = catalogue.create(**arguments(kind))
    catalogue.wait_state(job_id)
    with following(catalogue, job_id) as frames:
        shown = printed(list(frames))
    expected = [
        "  two blanks around  ",
        "$HOME * `id` ~ ; 'quoted' \"twice\"",
        "",
        "--all",
        f"--one={VALUE}",
        "--one=",
        "--end",
    ]
    assert shown == "".join(f"[{argument}]\n" for argument in expected)


@pytest.mark.parametrize(
    "character", ["\x01", "\x1b[31m", "\r", "\t", "\u202e", "\ufeff", "\U0001f468\u200d\U0001f469"]
)
def test_point_4_every_character_comes_through(catalogue: Stack, character: str) -> None:
    value = f"{character}x{character}"
    asked = arguments("native")
    asked["parameters"]["text"]["value"] = value
    job_id = catalogue.create(**asked)
    catalogue.wait_state(job_id)
    with following(catalogue, job_id) as frames:
        assert f"[--one={value}]\n" in printed(list(frames))
