"""Which TCP ports of this machine are free. Called by `up` and `doctor`."""

from __future__ import annotations

import random
import socket
from enum import Enum

from ucloud_ray.cli.errors import CliError


def is_free(host: str, port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        # As servers do: a port whose last connections have not timed out yet is free.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return False
        return True


def is_open(host: str, port: int, timeout: float = 0.5) -> bool:
    """Whether something listens there."""
    try:
        with socket.create_connection((host, port), timeout):
            return True
    except OSError:
        return False


class Answer(Enum):
    """What a machine says when its port is knocked at."""

    LISTENS = "listens"
    REFUSES = "refuses"
    """It says that nothing listens there."""
    SILENT = "silent"
    """Which says nothing: it may be cut off, or we are."""


def knock(host: str, port: int, timeout: float = 0.5) -> Answer:
    try:
        with socket.create_connection((host, port), timeout):
            return Answer.LISTENS
    except ConnectionRefusedError:
        return Answer.REFUSES
    except OSError:
        return Answer.SILENT


def any_free(host: str, taken: set[int]) -> int:
    """A free port below the kernel's range for outgoing connections, so that none of those takes it meanwhile.

    Tried in random order: it is taken some seconds later, and two installations that start at once must not meet.
    """
    candidates = range(18_080, 30_000)
    for port in random.sample(candidates, len(candidates)):
        if port not in taken and is_free(host, port):
            return port
    raise CliError(f"{host} has no free port between 18080 and 30000", "name one with --port and --provider-port")


def settle(host: str, wanted: int, before: int | None, taken: set[int], option: str) -> int:
    """The wanted port if it is free; for 0 the one of the last time, so that addresses stay, else any free one."""
    if wanted:
        if wanted in taken or not is_free(host, wanted):
            raise CliError(f"port {wanted} of {host} is taken", f"choose another with {option}, or 0 for any free one")
        return wanted
    if before and before not in taken and is_free(host, before):
        return before
    return any_free(host, taken)
