"""Carries the output of a container, which is no child of ours: until the driver tells that it has ended."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from runtimes.native.small import exists
from runtimes.output.pump import Pump, is_readable

if TYPE_CHECKING:
    from runtimes.native.order import Order

DRAINED = "drained"
"""Exists once everything that was written before the end was told is in the log files."""


def stand_beside(order: Order) -> None:
    """What is told is left in its pipe, so that whoever succeeds us sees it too."""
    if (end := order.end) is None:
        return
    lock = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=order.state)
    fcntl.flock(lock, fcntl.LOCK_EX)
    if exists(order.state, DRAINED):
        return
    pump = Pump(order.state, order.readers, order.logs, order.copies)
    pump.carry_while(lambda: not is_readable(end), end)
    pump.finish()
    os.close(os.open(DRAINED, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600, dir_fd=order.state))
