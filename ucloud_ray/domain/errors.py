"""What the pure rules refuse. The service answers it with 400 and `why` as the text for users."""

from __future__ import annotations


class InvalidInvocation(Exception):
    """The application cannot be turned into a command, its environment or its mounts. Survives pickling."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
