"""Parts of logs: as many lines as wanted, as many parts as it takes, and a machine that is starting again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.client.conftest import Script, no, ok, session
from ucloud_ray.client.effects import Reply, Send
from ucloud_ray.client.errors import Refused
from ucloud_ray.client.log_parts import Parts, last_lines

TEXT = "".join(f"line {number}\n" for number in range(10))


def serve(wanted: Send) -> Reply:
    offset, limit = int(wanted.query["offset"]), int(wanted.query["limit"])
    start = max(0, len(TEXT) + offset) if offset < 0 else offset
    piece = TEXT[start : start + limit]
    return ok({"offset": start, "nextOffset": start + len(piece), "total": len(TEXT), "text": piece})


def read(script: Script, offset: int = 0, tail: int | None = None, part: int = 1000) -> str:
    script.run(Parts(session(), "7", 0, "stdout", part=part).read(offset, tail))
    return "".join(part["text"] for part in script.emitted)


def test_a_long_log_is_read_part_by_part() -> None:
    script = Script(serve=serve)
    assert read(script, part=16) == TEXT
    assert [sent.query["offset"] for sent in script.sent] == ["0", "16", "32", "48", "64"]


def test_the_last_lines_are_looked_for_from_the_end() -> None:
    script = Script(serve=serve)
    assert read(script, tail=3) == "line 7\nline 8\nline 9\n"
    assert [sent.query["offset"] for sent in script.sent] == ["-65536"]


def test_a_log_whose_machine_is_starting_again_is_waited_for() -> None:
    script = Script([no(503), no(503), ok({"text": "hello\n", "nextOffset": 6, "total": 6})])
    assert read(script) == "hello\n"


def test_any_other_refusal_is_told_at_once() -> None:
    script = Script([no(400, "no such rank"), no(503)])
    with pytest.raises(Refused, match="no such rank"):
        read(script)
    assert len(script.sent) == 1


@given(st.lists(st.text("ab\r\x0b\u2028", max_size=3), max_size=6), st.booleans(), st.integers(0, 8))
def test_the_last_lines_are_lines_and_as_many_as_there_are(lines: list[str], ended: bool, wanted: int) -> None:
    """Only a newline ends a line."""
    whole = [f"{line}\n" for line in lines]
    if whole and not ended:
        whole[-1] = whole[-1][:-1] + "x"
    expected: Any = whole[max(0, len(whole) - wanted) :]
    assert last_lines("".join(whole), wanted) == "".join(expected)
