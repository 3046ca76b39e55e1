"""Why a job waits, in words for its user (SCH-13), and when that is worth another status update.

Called by the scheduler. Texts only: what is free and what is kept is decided elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ucloud_ray.domain import texts
from ucloud_ray.domain.job import Machine
from ucloud_ray.domain.products import GIGABYTE, Size, Sizes, fits, how_many, size_of, total

Cause = Literal["away", "full", "kept", "refused"]
"""No machine is there; they are occupied; what is free is kept for others; the cluster does not give it yet."""


@dataclass(frozen=True, slots=True)
class Reason:
    cause: Cause
    text: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a waiting job was told last."""

    place: int
    cause: Cause
    at: float
    """Seconds by a monotonic clock."""
    times: int = 1


MOST = 16
"""How often one stay in the queue is commented at most."""

PAUSE_SECONDS = 30.0
"""Between two comments."""


def worth_telling(said: Said, place: int, cause: Cause, now: float) -> bool:
    """Whether there is news: another cause, half the place, or the head of the queue."""
    if said.times >= MOST or now - said.at < PAUSE_SECONDS:
        return False
    return cause != said.cause or place * 2 <= said.place or (place == 1 and said.place > 1)


def reason(
    free: Sizes,
    open_to_it: Sizes,
    machine: Machine,
    replicas: int,
    in_maintenance: int = 0,
    without_network: int = 0,
) -> Reason:
    """Args:

    free: what is free on each machine that can run the job at all.
    open_to_it: the same, less what is kept for jobs that waited longer.
    in_maintenance: machines of the category that take no new jobs.
    without_network: machines that could run it if it had nobody to talk to (D14).
    """
    apart = _maintenance(in_maintenance) + _unconnected(without_network)
    if not free:
        return Reason("away", f"no machine for it is available at the moment{apart}")
    if not fits(free, {}, machine, replicas):
        return Reason("full", _shortage(free, machine, replicas) + apart)
    if not fits(open_to_it, {}, machine, replicas):
        return Reason("kept", "what is free is kept for a job that has waited longer")
    return Reason("refused", "the machines are being made ready")


def line(place: int, category: str, why: Reason) -> str:
    """`Waiting for room: 3rd in the queue of standard; needs 4 x 10 cores, 20 are free`."""
    return f"Waiting for room: {ordinal(place)} in the queue of {texts.one_line(category)}; {why.text}"


def ordinal(number: int) -> str:
    ending = "th" if number // 10 % 10 == 1 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _shortage(free: Sizes, machine: Machine, replicas: int) -> str:
    """Names the dimension that is short; if none is by itself, the machines have room of the wrong shape."""
    for index, one in enumerate(_dimensions(machine)):
        if size_of(machine)[index] > 0 and sum(how_many(size, one) for size in free.values()) < replicas:
            return _short_of(index, free.values(), machine, replicas)
    return f"needs {replicas} x {_whole(machine)}, no machine has all of it free at once"


def _short_of(index: int, free: Iterable[tuple[int, int, int]], machine: Machine, replicas: int) -> str:
    sizes = [Size(*(max(0, amount) for amount in size)) for size in free]
    have, need = total(sizes)[index], size_of(machine)[index]
    verb = "is" if _is_one(index, have) else "are"
    words = f"needs {replicas} x {_amount(index, need)}, {_number(index, have)} {verb} free"
    if have < need * replicas:
        return words
    return f"{words} but at most {_number(index, max(size[index] for size in sizes))} on one machine"


def _dimensions(machine: Machine) -> tuple[Machine, ...]:
    """The product as if it needed nothing but cores, memory, or GPUs."""
    cpu, memory, gpu = size_of(machine)
    return tuple(Machine(machine.product, *size) for size in ((cpu, 0, 0), (0, memory, 0), (0, 0, gpu)))


def _whole(machine: Machine) -> str:
    return " with ".join(_amount(index, amount) for index, amount in enumerate(size_of(machine)) if amount)


def _amount(index: int, amount: int) -> str:
    match index:
        case 0:
            return f"{_number(0, amount)} core{'' if amount == 1000 else 's'}"
        case 1:
            return f"{_number(1, amount)} of memory"
        case _:
            return f"{amount} GPU{'' if amount == 1 else 's'}"


def _number(index: int, amount: int) -> str:
    match index:
        case 0:
            return f"{amount / 1000:g}"
        case 1:
            return f"{amount / GIGABYTE:.4g} GB"
        case _:
            return str(amount)


def _is_one(index: int, amount: int) -> bool:
    return index == 1 or amount == (1000 if index == 0 else 1)


def _unconnected(machines: int) -> str:
    return f", not counting {machines} without a network for containers" if machines else ""


def _maintenance(machines: int) -> str:
    return f" ({machines} in maintenance)" if machines else ""
