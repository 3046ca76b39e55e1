"""Kills a part again and again at random moments, each time as soon as it is back."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

TIMES = 10
LONGEST_REPRIEVE = 1.0
"""Seconds that a part gets to work at most, once it is back, before it is killed again."""


@dataclass(frozen=True)
class Victim:
    """One part."""

    name: str
    kill: Callable[[], Callable[[], None]]
    """Returns what waits until the part is back."""


def kill_all(victims: Sequence[Victim], seed: int, times: int = TIMES) -> None:
    """Each one `times` times, independently of the others."""
    with ThreadPoolExecutor(len(victims), "killer") as killers:
        for ended in [killers.submit(kill_again_and_again, victim, seed, times) for victim in victims]:
            ended.result()


def kill_in_turn(victims: Sequence[Victim], seed: int, times: int = TIMES) -> None:
    """Each one `times` times, in random order, never two at once."""
    chance = random.Random(seed)
    order = [victim for victim in victims for _ in range(times)]
    chance.shuffle(order)
    for victim in order:
        reprieve(chance)
        victim.kill()()


def kill_again_and_again(victim: Victim, seed: int, times: int = TIMES) -> None:
    chance = random.Random(f"{victim.name} {seed}")
    for _ in range(times):
        reprieve(chance)
        victim.kill()()


def reprieve(chance: random.Random) -> None:
    """A random moment: nothing is waited for."""
    threading.Event().wait(chance.uniform(0.0, LONGEST_REPRIEVE))
