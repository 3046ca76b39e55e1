"""What a command may raise; `main.run` prints it in one line and leaves with its exit status.

CliError            1   the command failed
├── UsageMistake    2   it was asked for wrongly: an unknown name, a value of the wrong type
├── Unreachable     1   nothing answers at the address
└── Refused         1   the other side said no
    └── NotLoggedIn 1   the token is missing, expired or of someone else
"""

from __future__ import annotations


class CliError(Exception):
    """`message` says what happened, `remedy` what to do; both are for users."""

    exit_status = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}; {remedy}" if remedy else message)


class UsageMistake(CliError):
    exit_status = 2


class Unreachable(CliError):
    pass


class Refused(CliError):
    def __init__(self, message: str, remedy: str = "", status: int = 400, body: object = None) -> None:
        super().__init__(message, remedy)
        self.status = status
        self.body = body
        """What was answered, if it was JSON."""


class NotLoggedIn(Refused):
    pass
