"""What following looks like: the job's output on standard output, its states on standard error, in the right order."""

from __future__ import annotations

import sys
from datetime import datetime

import typer

from ucloud_ray.cli import output
from ucloud_ray.client import OutputSeen, Seen, StateSeen


class Screen:
    """Keeps lines whole: a state never lands in the middle of a line of output."""

    def __init__(self, prefix_ranks: bool = False) -> None:
        self._prefix_ranks = prefix_ranks
        self._line_open = False

    def show(self, seen: Seen) -> None:
        if isinstance(seen, StateSeen):
            self._show_state(seen)
        else:
            self._show_output(seen)

    def _show_state(self, seen: StateSeen) -> None:
        self.finish_line()
        clock = datetime.fromtimestamp(seen.timestamp / 1000) if seen.timestamp else datetime.now()
        typer.echo(f"{clock:%H:%M:%S} {output.state_text(seen.state)} {seen.status}".rstrip(), err=True)

    def _show_output(self, seen: OutputSeen) -> None:
        if seen.rank:
            self._prefix_ranks = True
        text = self._prefixed(seen) if self._prefix_ranks else seen.text
        typer.echo(text, nl=False, err=seen.stream == "stderr")
        self._line_open = not text.endswith("\n")

    def _prefixed(self, seen: OutputSeen) -> str:
        """`[rank]` before each line, as soon as a second rank has said something."""
        lines = seen.text.splitlines(keepends=True)
        return "".join(f"[{seen.rank}] {line}" for line in lines)

    def finish_line(self) -> None:
        if self._line_open and sys.stdout.isatty() and sys.stderr.isatty():
            typer.echo("")
        self._line_open = False
        sys.stdout.flush()
