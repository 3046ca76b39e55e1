"""Bytes of one log to text, cut for messages (LOG-3, LOG-10). Pure; called by `relay_reader`.

Incremental: invalid bytes are skipped, and a character that was cut by a read comes out whole. With every piece goes
the offset to read on from, which is before the bytes of a character that is not complete yet.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass, field

from ucloud_ray.control.service import LogChunk

PIECE = 64 * 1024 - 4
"""Bytes that are decoded together. With the rest of a cut character before them they are 64 KiB at most, and so is the
text, which is never longer than what it was decoded from."""


def _decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")(errors="ignore")


@dataclass(slots=True)
class LogText:
    rank: int
    stream: str
    _end: int = 0
    _decoder: codecs.IncrementalDecoder = field(default_factory=_decoder)

    @property
    def offset(self) -> int:
        """Where to read on: behind everything of which text was made, or which will never be any."""
        return self._end - len(self._decoder.getstate()[0])

    def chunks(self, data: bytes, start: int) -> Iterator[LogChunk]:
        """`start`: offset of `data`. Elsewhere than where the last one ended, it begins anew: the file was truncated,
        or a part of it is gone."""
        if start != self._end:
            self._decoder.reset()
        for begin in range(0, len(data), PIECE):
            piece = data[begin : begin + PIECE]
            text = self._decoder.decode(piece)
            self._end = start + begin + len(piece)
            if text:
                yield self._chunk(text)

    def _chunk(self, text: str) -> LogChunk:
        if self.stream == "stdout":
            return LogChunk(self.rank, stdout=text, offset=self.offset)
        return LogChunk(self.rank, stderr=text, offset=self.offset)
