"""Docker's multiplexed stream, taken apart: each frame is a type, a length, a time and a message. Pure.

The times are of no use here, but without them the daemon leaves out empty messages, which end a line of 16 KiB.
"""

from __future__ import annotations

import struct

from runtimes.docker.lines import Lines
from runtimes.errors import RuntimeUnavailable

_FRAME = struct.Struct(">BxxxL")
_STDERR = 2
_DAEMON_ERROR = 3
_TIME = len("2006-01-02T15:04:05.000000000Z ")


class Demultiplexer:
    """Takes the stream in pieces, cut anywhere, and keeps a frame that is not whole yet for the next piece."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines = (Lines(), Lines())

    def feed(self, piece: bytes) -> tuple[bytes, bytes]:
        """New output to stdout and to stderr.

        Raises `errors.RuntimeUnavailable` if the daemon says in the stream that it cannot read its log.
        """
        data = self._rest + piece
        outputs: tuple[list[bytes], list[bytes]] = ([], [])
        at = 0
        while at + _FRAME.size <= len(data):
            kind, length = _FRAME.unpack_from(data, at)
            end = at + _FRAME.size + length
            if end > len(data):
                break
            if kind == _DAEMON_ERROR:
                raise RuntimeUnavailable("The Docker daemon cannot read the container's log.")
            stream = kind == _STDERR
            outputs[stream].append(self._lines[stream].restore(data[at + _FRAME.size + _TIME : end]))
            at = end
        self._rest = data[at:]
        return b"".join(outputs[0]), b"".join(outputs[1])
