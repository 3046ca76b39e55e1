"""Whole lives of jobs, with what must come of them whatever breaks on the way.

A story orders things as a Core and its users do, waits for what they see, and judges the end. It may be interrupted
between any two effects; nothing in it depends on how often.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from tests.unit.control.rig import ref
from tests.unit.crashes.fuse import Fault
from tests.unit.crashes.world import RULES, World
from ucloud_ray.control.errors import BadRequest
from ucloud_ray.control.service import NewJob
from ucloud_ray.domain.ids import Millis
from ucloud_ray.domain.job import Backend, Rank, Rules

MINUTE = 60_000
FINISHED = "The job has finished processing!"
CANCELLED = "Your job has been cancelled!"
NO_CREDITS = "Your job has been terminated (No more credits)"


@dataclass(frozen=True)
class Outcome:
    """What a user may see in the end. Several: both are right, depending on who was first."""

    states: tuple[str, ...]
    """Joined by blanks."""
    text: str
    starts: tuple[int, ...] = (1,)
    """How often every rank may have been started."""
    units: tuple[int, ...] = (1,)
    """How many minutes may have been charged."""


@dataclass(frozen=True)
class Story:
    name: str
    play: Callable[[World], Awaitable[None]]
    outcome: Outcome
    rules: Rules = RULES
    ranks: int = 1
    faults: tuple[Fault, ...] = (Fault.CRASH_AFTER, Fault.LOST_ANSWER)
    """A crash before an effect is mostly one after the effect before it, and costs as much time."""
    judge: Callable[[World], None] = lambda world: None
    """What else must be true."""
    ended: Callable[[Rank], bool] = lambda rank: rank.exit is not None and not rank.lost
    """How every rank of the last job ended."""
    repeats: bool = False
    """Whether an update may be seen twice in a row."""


def _unknown(rank: Rank) -> bool:
    """It never ran, or nobody saw its end."""
    return rank.exit is None


def _either(rank: Rank) -> bool:
    return rank.over


def _with(code: int) -> Callable[[Rank], bool]:
    return lambda rank: rank.exit is not None and rank.exit.code == code


async def submit(world: World, new: NewJob) -> None:
    [uid] = await world.ask(lambda requests: requests.submit([new]))
    world.uids = list(dict.fromkeys([*world.uids, uid]))


async def terminate(world: World) -> None:
    await world.ask(lambda requests: requests.terminate([ref("1", None)]))


async def _ends(world: World) -> None:
    await submit(world, world.new("1", "stdout=started", "run=10ms", "exit=7"))


async def _ranks(world: World) -> None:
    await submit(world, world.new("1", "stdout=started", "run=20ms", replicas=3))


async def _ranks_apart(world: World) -> None:
    """On two machines, whose firewalls have to let them talk."""
    await submit(world, world.new("1", "stdout=started", "run=20ms", replicas=2, machine="whole"))


async def _second_attempt(world: World) -> None:
    world.machines.hosts["node-a"].driver.failures = 1
    await submit(world, world.new("1", "stdout=started", "run=10ms"))


async def _given_up(world: World) -> None:
    """REC-11: the Core gave up waiting for the answer to its `create`, and has no such job."""
    world.core.denied = True
    await submit(world, world.new("1", "stdout=started", "run=forever"))


async def _cancelled_in_the_queue(world: World) -> None:
    world.full = True
    if world.life is not None:
        world.life.cluster.full = True
    await submit(world, world.new("1", "stdout=started", "run=forever"))
    await world.until(lambda: len(world.core.job("1").updates) >= 2, "the text that there is no room")
    await terminate(world)


async def _cancelled_while_it_starts(world: World) -> None:
    await submit(world, world.new("1", "stdout=started", "run=forever", "stall-start=10ms"))
    await terminate(world)


async def _cancelled_while_it_runs(world: World) -> None:
    await submit(world, world.new("1", "stdout=started", "run=forever", replicas=2))
    await world.until_state("1", "RUNNING")
    await terminate(world)
    await terminate(world)


async def _second_start(world: World) -> None:
    await submit(world, world.new("1", "stdout=started", "run=10ms", "fail-start:1"))


async def _never_starts(world: World) -> None:
    await submit(world, world.new("1", "stdout=started", "image-missing"))


async def _expired(world: World) -> None:
    await submit(world, world.new("1", "stdout=started", "run=forever", time_allocation=30))


async def _machine_lost(world: World) -> None:
    await submit(world, world.new("1", "stdout=started", "run=forever"))
    await world.until_state("1", "RUNNING")
    for name in world.machines.hosts:
        world.machines.lose(name)
    await world.until_state("1", "FAILURE")
    for name in world.machines.hosts:
        world.machines.bring_back(name)


async def _extended(world: World) -> None:
    await submit(world, world.new("1", "stdout=started", "run=forever", time_allocation=3_600_000))
    await world.until_state("1", "RUNNING")
    await world.ask(lambda requests: requests.extend([(ref("1", None), 3_600_000)]))
    await terminate(world)


def _as_extended(world: World) -> None:
    """An order whose answer was lost may have been taken, and whoever repeats it then extends twice (TIME-8)."""
    told = [update["newTimeAllocation"] for update in world.core.job("1").updates if update["newTimeAllocation"]]
    assert told == [7_200_000, 10_800_000][: len(told)], told
    assert told or world.ended == 0, told


async def _restarted(world: World) -> None:
    again = world.new("1", "stdout=started", "run=30ms", restart_on_exit=True)
    await submit(world, again)
    await world.until_state("1", "SUCCESS")
    await world.until_heard()
    world.core.job("1").state = "IN_QUEUE"  # the Core begins it anew, then asks us to
    await submit(world, again)


async def _suspended(world: World) -> None:
    await submit(world, world.new("1", "stdout=started", "run=forever", backend=Backend.VIRTUAL_MACHINE))
    await world.until_state("1", "RUNNING")
    await world.ask(lambda requests: requests.suspend([ref("1", None)]))
    await world.until_state("1", "SUSPENDED")
    with suppress(BadRequest):  # it is starting already: the answer to the first order was lost
        await world.ask(lambda requests: requests.unsuspend([ref("1", None)]))
    await world.until(lambda: world.core.job("1").states.count("RUNNING") == 2, "it to run again")
    await terminate(world)


async def _charged(world: World) -> None:
    await submit(world, world.new("1", "stdout=started", "run=forever"))
    await world.until_state("1", "RUNNING")
    world.clock.shift += 2 * MINUTE
    await world.until(lambda: world.core.units("1") >= 2, "two minutes to be charged")
    await terminate(world)


async def _no_credits(world: World) -> None:
    """If the Core does not tell, it runs until it is to pay (ACC-22)."""
    world.core.funds = False
    await submit(world, world.new("1", "stdout=started", "run=forever"))
    await world.until(lambda: len(set(world.core.job("1").states)) > 1, "it to run or to end")
    world.clock.shift += MINUTE


async def _out_of_credits(world: World) -> None:
    await submit(world, world.new("1", "stdout=started", "run=forever"))
    await world.until_state("1", "RUNNING")
    world.core.funds = False
    world.clock.shift += MINUTE


async def _id_given_away(world: World) -> None:
    """O3: the Core gave up the first one and calls another job the same."""
    await submit(world, world.new("1", "stdout=started", "run=forever"))
    await world.until_state("1", "RUNNING")
    await world.until_heard()  # what is said later of the first one, the Core would take for the second one's
    world.core.jobs.clear()
    second = world.new("1", "stdout=started", "run=10ms")
    await submit(world, replace(second, created_at=Millis(second.created_at + 1)))


async def _denied(world: World) -> None:
    """REC-9."""
    await submit(world, world.new("1", "stdout=started", "run=forever"))
    await world.until_state("1", "RUNNING")
    world.core.denied = True
    await terminate(world)


_SUCCESS = ("IN_QUEUE RUNNING SUCCESS",)
_CANCELLED = ("IN_QUEUE RUNNING CANCELING SUCCESS",)

STORIES = (
    Story(
        "a job that ends", _ends, Outcome(_SUCCESS, f"{FINISHED} (exit code 7)"), faults=tuple(Fault), ended=_with(7)
    ),
    Story("three ranks", _ranks, Outcome(_SUCCESS, FINISHED), ranks=3, ended=_with(0)),
    Story("ranks on two machines", _ranks_apart, Outcome(_SUCCESS, FINISHED), ranks=2, ended=_with(0)),
    Story("an image that comes at the second attempt", _second_attempt, Outcome(_SUCCESS, FINISHED), ended=_with(0)),
    Story("a create that was given up", _given_up, Outcome(("",), "", (0, 1), (0, 1)), ended=_either),
    Story(
        "cancelled in the queue", _cancelled_in_the_queue,
        Outcome(("IN_QUEUE CANCELING SUCCESS",), CANCELLED, starts=(0,), units=(0,)),
    ),
    Story(
        "cancelled while it starts", _cancelled_while_it_starts,
        Outcome(("IN_QUEUE CANCELING SUCCESS", *_CANCELLED), CANCELLED, starts=(0, 1), units=(0, 1)),
        ended=_either,
    ),
    Story("cancelled while it runs", _cancelled_while_it_runs, Outcome(_CANCELLED, CANCELLED), ranks=2),
    Story(
        "a start that fails once", _second_start,
        Outcome((*_SUCCESS, "IN_QUEUE FAILURE"), "", starts=(0, 1), units=(0, 1)),
        ended=_either,
    ),
    Story(
        "a job that cannot start", _never_starts,
        Outcome(("IN_QUEUE FAILURE",), "Your job could not be started: there is no image of this name", (0,), (0,)),
        ended=_unknown,
    ),
    Story("a deadline", _expired, Outcome(("IN_QUEUE RUNNING EXPIRED",), "Your job has expired")),
    Story(
        "a machine that is lost", _machine_lost,
        Outcome(
            ("IN_QUEUE RUNNING FAILURE",),
            "Your job failed because the machine it was running on is no longer available",
        ),
        ended=_unknown,
    ),
    Story("an extension", _extended, Outcome(_CANCELLED, CANCELLED), judge=_as_extended),
    Story(
        "restart on exit", _restarted,
        # Whoever asks again after the second life has ended asks for a third one.
        Outcome((" ".join(_SUCCESS * 2), " ".join(_SUCCESS * 3)), FINISHED, starts=(2, 3), units=(2, 3)),
        faults=(Fault.CRASH_AFTER,),
    ),
    Story(
        "a machine that is suspended and resumed", _suspended,
        Outcome(
            # Whoever orders what is done already hears the state again (W12).
            (
                "IN_QUEUE RUNNING SUSPENDED IN_QUEUE RUNNING CANCELING SUCCESS",
                "IN_QUEUE RUNNING SUSPENDED IN_QUEUE IN_QUEUE RUNNING CANCELING SUCCESS",
            ),
            CANCELLED,
            starts=(2,),
            units=(1,),
        ),
        repeats=True,
    ),
    Story("a job that is charged while it runs", _charged, Outcome(_CANCELLED, CANCELLED, units=(3,))),
    Story(
        "a workspace without credits", _no_credits,
        Outcome(("IN_QUEUE SUCCESS", "IN_QUEUE RUNNING SUCCESS"), NO_CREDITS, starts=(0, 1), units=(0, 1, 2)),
        ended=_either,
    ),
    Story("credits that run out", _out_of_credits, Outcome(_SUCCESS, NO_CREDITS, units=(2,))),
    Story("an id that is given to another job", _id_given_away, Outcome(_SUCCESS, FINISHED)),
    Story(
        "a job that the Core denies", _denied, Outcome(("IN_QUEUE RUNNING",), "Your job is now running!", units=(0, 1))
    ),
)  # fmt: skip
