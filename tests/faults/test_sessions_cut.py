"""A terminal is open and what carries it is killed: the job goes on, no shell stays, and another one can be opened."""

from __future__ import annotations

import subprocess

import pytest

from tests.faults.conftest import Gated
from tests.faults.test_a_job_outlives_us import ends_as_if_nothing_had_happened
from tests.faults.victims import Victims
from tests.support.stack import COMMAND, Stack
from tests.support.terminals import shells_of
from tests.support.wait import wait_until
from tests.support.window import window

pytestmark = pytest.mark.timeout(180)


def types_again(stack: Stack, job_id: str) -> bool:
    done = subprocess.run(
        [*COMMAND, "jobs", "shell", job_id],
        env=stack.environment, cwd=stack.data.parent, input="echo again-$((40+2)); exit\n", capture_output=True,
        text=True, timeout=90, check=False,
    )  # fmt: skip
    return done.returncode == 0 and "again-42" in done.stdout


@pytest.mark.parametrize("victim", ["node agent", "front end", "supervisor"])
def test_what_carries_a_terminal_is_killed(gated: Gated, victims: Victims, stack: Stack, victim: str) -> None:
    """D1, IS-15. A killed supervisor is not on the way of one that is open."""
    with window([*COMMAND, "jobs", "shell", gated.id], stack.environment, stack.data.parent) as screen:
        screen.types("trap '' HUP; echo here-$((40+2))\r")
        screen.sees("here-42")
        if victim == "supervisor":
            victims.kill(victims.supervisor())
            screen.types("echo still-$((40+2))\r")
            screen.sees("still-42")
            screen.types("exit\r")
        elif victim == "front end":
            stack.kill("provider")
        else:
            victims.kill(victims.node_agents())
        screen.ends()
    wait_until(lambda: shells_of(gated.id) == [], "no shell to be left", timeout=60)
    wait_until(lambda: types_again(stack, gated.id), "another terminal", timeout=90)
    ends_as_if_nothing_had_happened(gated)
