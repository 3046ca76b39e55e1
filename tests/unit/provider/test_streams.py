"""Cutting text into messages (LOG-10)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ucloud_ray.control.service import LogChunk
from ucloud_ray.provider.streams import MAX_TEXT_BYTES, messages, pieces

LIMITS = st.integers(min_value=4, max_value=40)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(TEXTS, LIMITS)
def test_pieces_are_short_whole_and_in_order(text: str, limit: int) -> None:
    cut = list(pieces(text, limit))
    assert "".join(cut) == text
    assert all(0 < len(piece.encode()) <= limit for piece in cut)


def test_a_text_at_the_limit_is_one_piece() -> None:
    assert len(list(pieces("x" * MAX_TEXT_BYTES))) == 1
    assert len(list(pieces("x" * (MAX_TEXT_BYTES + 1)))) == 2


def test_a_chunk_of_both_streams_becomes_one_message_each() -> None:
    """LOG-4."""
    out, err = messages(LogChunk(3, stdout="o", stderr="e"), "s")
    assert out == {"streamId": "s", "rank": 3, "stdout": "o", "stderr": None, "channel": None}
    assert err == {"streamId": "s", "rank": 3, "stdout": None, "stderr": "e", "channel": None}
