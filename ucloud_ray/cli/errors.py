"""What a command may raise; `main.run` prints it in one line and leaves with its exit status.

CliError            1   the command failed
└── UsageMistake    2   it was asked for wrongly: an unknown name, a value of the wrong type

What `ucloud_ray.client` raises becomes one of these in `connect`.
"""

from __future__ import annotations


class CliError(Exception):
    """`message` says what happened, `remedy` what to do; both are for users."""

    exit_status = 1

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}; {remedy}" if remedy else message)


class UsageMistake(CliError):
    exit_status = 2
