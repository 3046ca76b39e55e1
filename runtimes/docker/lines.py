"""Gives lines of 16 KiB and more back the newline that Docker's log loses. Pure; one object per stream.

dockerd cuts what a container writes into messages: a line is one, with its newline; a longer line is several of exactly
`FULL` bytes and a last one. Docker 20.10 keeps that last one without its newline (an empty one if nothing else was
left); newer versions keep it. So a last part without a newline had one, unless it is the end of the output: that only
shows when another message follows. The newline of a long line that ends the output stays lost.
"""

from __future__ import annotations

FULL = 16 * 1024
"""Bytes of a message that is not the last one of its line."""


class Lines:
    def __init__(self) -> None:
        self._inside = False
        """Whether the last message was not the last one of its line."""
        self._owed = False
        """Whether a line was ended without its newline."""

    def restore(self, message: bytes) -> bytes:
        """The output that this message stands for; what is owed to the one before comes first."""
        ended = message.endswith(b"\n")
        output = b"\n" + message if self._owed else message
        partial = len(message) == FULL and not ended
        self._owed = self._inside and not partial and not ended
        self._inside = partial
        return output
