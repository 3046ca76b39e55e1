"""Docker's multiplexed stream, cut anywhere."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.docker.frames import Demultiplexer
from runtimes.docker.lines import FULL
from runtimes.errors import RuntimeUnavailable

TIME = b"2026-01-02T15:04:05.000000000Z "


def frame(kind: int, message: bytes) -> bytes:
    output = TIME + message
    return struct.pack(">BxxxL", kind, len(output)) + output


@given(
    frames=st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=12),
    cut=st.integers(min_value=1, max_value=50),
)
def test_however_the_stream_is_cut_every_byte_comes_out_in_order(frames: list[tuple[int, bytes]], cut: int) -> None:
    stream = b"".join(frame(kind, output) for kind, output in frames)
    demultiplexer = Demultiplexer()
    outputs = [demultiplexer.feed(stream[at : at + cut]) for at in range(0, len(stream), cut)]
    for index, kind in enumerate((1, 2)):
        assert b"".join(pair[index] for pair in outputs) == b"".join(out for k, out in frames if k == kind)


def test_a_frame_that_never_becomes_whole_is_held_back() -> None:
    assert Demultiplexer().feed(frame(1, b"hello")[:-1]) == (b"", b"")


def test_an_error_of_the_daemon_in_the_stream_is_not_taken_for_output() -> None:
    with pytest.raises(RuntimeUnavailable):
        Demultiplexer().feed(frame(3, b"error grabbing logs"))


@pytest.mark.parametrize("length", [FULL, FULL + 1, 2 * FULL, 3 * FULL - 1])
@pytest.mark.parametrize("kept", [True, False], ids=["as new daemons tell it", "as Docker 20.10 tells it"])
def test_a_line_of_16_kib_and_more_has_its_newline_whatever_the_daemon_made_of_it(length: int, kept: bool) -> None:
    """LOG-15: the bytes in the file are the program's."""
    line = b"x" * length
    parts = [line[at : at + FULL] for at in range(0, length, FULL)]
    if len(parts[-1]) == FULL:
        parts.append(b"")
    parts[-1] += b"\n" if kept else b""
    stream = b"".join(frame(1, part) for part in (*parts, b"next\n"))
    assert Demultiplexer().feed(stream)[0] == line + b"\nnext\n"


def test_streams_do_not_end_each_others_lines() -> None:
    stream = frame(1, b"x" * FULL) + frame(2, b"error\n") + frame(1, b"yz") + frame(2, b"again\n")
    assert Demultiplexer().feed(stream) == (b"x" * FULL + b"yz", b"error\nagain\n")


def test_output_that_ends_without_a_newline_gets_none() -> None:
    assert Demultiplexer().feed(frame(1, b"x" * FULL) + frame(1, b"rest"))[0] == b"x" * FULL + b"rest"
