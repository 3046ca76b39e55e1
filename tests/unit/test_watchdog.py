"""A loop that hangs is noticed, one that is busy or stopped with its whole process is not taken for hung (REC-6)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time

from ucloud_ray.watchdog import ROUNDS, STATUS, Watchdog

SHORT = 0.06
LONGER = 0.24

HANGS = """
import asyncio, time
from ucloud_ray import watchdog

async def main():
    watchdog.guard(0.2)
    await asyncio.sleep(0)
    time.sleep(60)  # blocks the loop

asyncio.run(main())
"""


async def test_a_loop_that_goes_on_is_left_alone_however_busy_it_is() -> None:
    ended = threading.Event()
    watchdog = Watchdog(asyncio.get_running_loop(), LONGER, ended.set)
    for _ in range(ROUNDS):
        _block(3 * LONGER / ROUNDS)  # misses a round or two each time
        await asyncio.sleep(0)
    watchdog.close()
    assert not ended.is_set()


async def test_a_loop_that_hangs_is_ended() -> None:
    ended = threading.Event()
    Watchdog(asyncio.get_running_loop(), SHORT, ended.set)
    assert ended.wait(10)  # blocks the loop until then


async def test_a_watchdog_that_was_sent_away_ends_nobody() -> None:
    ended = threading.Event()
    Watchdog(asyncio.get_running_loop(), SHORT, ended.set).close()
    assert not ended.wait(3 * SHORT)


def test_a_process_whose_loop_hangs_says_where_and_leaves() -> None:
    done = subprocess.run([sys.executable, "-c", HANGS], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == STATUS
    assert "the main loop made no progress" in done.stderr
    assert "in main" in done.stderr


def _block(seconds: float) -> None:
    time.sleep(seconds)
