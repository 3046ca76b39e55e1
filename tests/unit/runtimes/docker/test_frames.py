"""Docker's multiplexed stream, cut anywhere."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtimes.docker.frames import Demultiplexer
from runtimes.errors import RuntimeUnavailable


def frame(kind: int, output: bytes) -> bytes:
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
