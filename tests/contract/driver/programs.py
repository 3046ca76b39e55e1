"""What a program of the suite shall do, in words that every kind of driver can carry out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Program:
    """Prints, then runs for `seconds` (None: until it is stopped), then ends with `exit` or by `signal`."""

    out: str = ""
    err: str = ""
    seconds: float | None = 0
    exit: int = 0
    signal: int | None = None
    ignores_term: bool = False
    says_goodbye: str = ""
    """Printed on SIGTERM, before the end with `exit`."""

    def as_shell(self) -> tuple[str, ...]:
        return ("sh", "-c", "\n".join(self._lines()))

    def _lines(self) -> list[str]:
        lines = []
        # Traps come first: whoever has read `out` knows that they are in force.
        if self.ignores_term:
            lines.append("trap '' TERM")
        if self.says_goodbye:
            lines.append(f"trap 'echo {self.says_goodbye}; exit {self.exit}' TERM")
        if self.out:
            lines.append(f"echo {self.out}")
        if self.err:
            lines.append(f"echo {self.err} >&2")
        if self.seconds is None:
            lines.append("while :; do sleep 0.05; done")
        elif self.seconds:
            lines.append(f"sleep {self.seconds}")
        lines.append(f"kill -{self.signal} $$" if self.signal else f"exit {self.exit}")
        return lines
