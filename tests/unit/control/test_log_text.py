"""Bytes to text, however they are cut (LOG-3, LOG-10)."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from ucloud_ray.control.log_text import PIECE, LogText
from ucloud_ray.control.service import LogChunk

AWKWARD = st.sampled_from(
    [b"\xff", b"\xc3", b"\xf0\x9f\x98", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"\xc0\xaf"]
)
"""Bytes that are no text: never, too early, surrogates, beyond Unicode, out of place, overlong."""

OUTPUT = st.lists(st.text(max_size=5).map(str.encode) | AWKWARD, max_size=30).map(b"".join)


def cut(data: bytes, places: list[int]) -> list[tuple[int, bytes]]:
    """Offset and content of each part."""
    ends = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [(start, data[start:end]) for start, end in itertools.pairwise(ends)]


def text_of(chunks: list[LogChunk]) -> str:
    assert all(chunk.stdout and chunk.stderr is None and chunk.rank == 3 for chunk in chunks)
    return "".join(chunk.stdout or "" for chunk in chunks)


@given(OUTPUT, st.lists(st.integers(0, 10**6), max_size=12))
def test_text_is_the_same_however_the_bytes_are_cut(data: bytes, places: list[int]) -> None:
    """LOG-3: what is invalid is skipped, what is whole comes out whole, and nothing is sent empty."""
    log = LogText(3, "stdout")
    chunks = [chunk for start, part in cut(data, places) for chunk in log.chunks(part, start)]
    assert text_of(chunks) == data.decode(errors="ignore")


@given(OUTPUT, st.lists(st.integers(0, 10**6), min_size=1, max_size=12), st.integers(0, 10**6))
def test_a_reader_that_goes_on_from_any_offset_misses_nothing_and_sees_nothing_twice(
    data: bytes, places: list[int], left_after: int
) -> None:
    """LOG-5: the offset of a piece is before a character of which only a part was there."""
    log = LogText(3, "stdout")
    chunks = [chunk for start, part in cut(data, places) for chunk in log.chunks(part, start)]
    seen = chunks[: left_after % (len(chunks) + 1)]
    begin = seen[-1].offset if seen else 0
    again = list(LogText(3, "stdout").chunks(data[begin:], begin))
    assert text_of(seen) + text_of(again) == data.decode(errors="ignore")


@given(st.integers(0, 5), st.sampled_from(["a", "é", "€", "😀"]))
def test_no_piece_is_of_more_than_64_kib(shift: int, character: str) -> None:
    """LOG-10."""
    data = b"." * shift + character.encode() * (3 * PIECE // len(character.encode()))
    log = LogText(0, "stderr")
    texts = [chunk.stderr or "" for chunk in log.chunks(data, 0)]
    assert "".join(texts) == data.decode()
    assert max(len(text.encode()) for text in texts) <= 64 * 1024
    assert log.offset == len(data)


def test_a_stream_that_begins_anew_does_not_keep_half_a_character() -> None:
    """LOG-16: the file was truncated behind the first byte of one."""
    log = LogText(0, "stdout")
    assert [*log.chunks(b"a\xc3", 0)] == [LogChunk(0, stdout="a", offset=1)]
    assert [*log.chunks(b"\xb8b", 0)] == [LogChunk(0, stdout="b", offset=2)]


def test_half_a_character_at_the_very_end_is_dropped() -> None:
    """LOG-3: and so is not waited for."""
    log = LogText(0, "stdout")
    assert [chunk.stdout for chunk in log.chunks(b"end\xe2\x82", 0)] == ["end"]
    assert log.offset == 3
