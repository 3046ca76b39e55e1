"""Permissions to read from a relay: only ours, only for what they say, only for a minute (D8)."""

from __future__ import annotations

import base64
import json

import pytest

from ucloud_ray.control import tickets
from ucloud_ray.control.tickets import BadTicket, check, make

KEY = b"k" * 32
NOW = 1_700_000_000.0


def test_a_ticket_says_what_it_is_for() -> None:
    assert check(KEY, make(KEY, "log", "uid", NOW), "log", NOW + tickets.LIFETIME_SECONDS) == "uid"


def test_a_ticket_ends_after_its_lifetime() -> None:
    with pytest.raises(BadTicket, match="expired"):
        check(KEY, make(KEY, "log", "uid", NOW), "log", NOW + tickets.LIFETIME_SECONDS + 1)


def test_a_ticket_for_another_purpose_is_refused() -> None:
    with pytest.raises(BadTicket, match="purpose"):
        check(KEY, make(KEY, "shell", "uid", NOW), "log", NOW)


def test_a_ticket_of_another_key_is_refused() -> None:
    with pytest.raises(BadTicket, match="not signed"):
        check(KEY, make(b"x" * 32, "log", "uid", NOW), "log", NOW)


def test_a_ticket_that_was_changed_is_refused() -> None:
    _, signature = make(KEY, "log", "uid", NOW).split(".")
    body = base64.urlsafe_b64encode(json.dumps(["log", "other", NOW + 60, ""]).encode()).rstrip(b"=").decode()
    with pytest.raises(BadTicket, match="not signed"):
        check(KEY, f"{body}.{signature}", "log", NOW)


@pytest.mark.parametrize("text", ["", ".", "a.b.c", "no-dot", "ø.ø", "!!.!!", "e30." + "A" * 43])
def test_what_is_no_ticket_is_refused(text: str) -> None:
    with pytest.raises(BadTicket):
        check(KEY, text, "log", NOW)


def test_two_tickets_for_the_same_differ() -> None:
    assert make(KEY, "log", "uid", NOW) != make(KEY, "log", "uid", NOW)
