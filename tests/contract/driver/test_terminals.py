"""A shell inside a running task (IS-13, IS-15): of containers and of processes."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import pickle
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from runtimes.abilities import OpensTerminals
from runtimes.driver import Driver
from runtimes.errors import TaskNotFound
from runtimes.terminals import MARK, TerminalSize
from runtimes.types import TaskId, TaskSpec, TaskState
from tests.contract.driver.kits import DriverKit
from tests.contract.driver.programs import Program
from tests.contract.driver.typist import Typist
from tests.contract.driver.waiting import becomes_true

ROOT = Path(__file__).parents[3]
SIZE = TerminalSize(100, 30)
SLEEPS = Program(seconds=None)


@asynccontextmanager
async def typing(driver: Driver, id: TaskId, size: TerminalSize = SIZE) -> AsyncIterator[Typist]:
    assert isinstance(driver, OpensTerminals)
    typist = Typist(await driver.open_terminal(id, size))
    try:
        yield typist
    finally:
        await typist.leaves()


@pytest.fixture
async def running(real_kit: DriverKit, real_driver: Driver) -> TaskSpec:
    spec = real_kit.make_spec(SLEEPS, environment={"GREETING": "hello there"})
    await real_driver.start(spec)
    return spec


def shells_of(spec: TaskSpec) -> list[int]:
    """Processes of terminals: of this test only, whose shells are told by where their job folder is, or their host."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except (psutil.Error, OSError):
            continue
        if MARK in environment and environment.get("GREETING") == f"of {spec.id.name}":
            found.append(process.pid)
    return found


async def test_a_shell_runs_with_the_variables_of_the_job(real_driver: Driver, running: TaskSpec) -> None:
    """IS-13: the environment of the job and `TERM`."""
    async with typing(real_driver, running.id) as typist:
        await typist.types('echo "<$GREETING> <$TERM>"\n')
        await typist.sees("<hello there> <xterm-256color>")


async def test_a_shell_runs_as_the_user_of_the_job_and_in_its_folder(real_kit: DriverKit, real_driver: Driver) -> None:
    """IS-13."""
    spec = real_kit.make_spec(SLEEPS, user=(11042, 11042))
    real_kit.folder.parent.chmod(0o755)
    for folder in (spec.job_folder, *spec.job_folder.parents):
        if folder.is_relative_to(real_kit.folder):
            folder.chmod(0o777)
    await real_driver.start(spec)
    async with typing(real_driver, spec.id) as typist:
        await typist.types("echo $((11000+42)) is `id -u`; echo made > in-the-folder\n")
        await typist.sees("11042 is 11042")
        await becomes_true((spec.job_folder / "in-the-folder").exists, "the file in the job folder")


async def test_the_size_of_a_terminal_is_the_one_asked_for_and_changes(real_driver: Driver, running: TaskSpec) -> None:
    async with typing(real_driver, running.id) as typist:
        await typist.types('echo "size=$(stty size)"\n')
        await typist.sees("size=30 100")
        await typist.terminal.resize(TerminalSize(120, 40))
        await typist.types('echo "size=$(stty size)"\n')
        await typist.sees("size=40 120")


async def test_ctrl_c_reaches_what_runs_in_the_foreground(real_driver: Driver, running: TaskSpec) -> None:
    async with typing(real_driver, running.id) as typist:
        # It says so itself: a key that comes before a shell has put it into the foreground is the shell's.
        await typist.types("sh -c 'echo sleeping-$((1+1)); exec sleep 1000'\n")
        await typist.sees("sleeping-2")
        await typist.types("\x03")
        await typist.types("echo alive-$((40+2))\n")
        await typist.sees("alive-42")


async def test_keys_that_docker_would_take_for_itself_arrive(real_driver: Driver, running: TaskSpec) -> None:
    """Ctrl-P Ctrl-Q leaves a container in Docker's own client."""
    async with typing(real_driver, running.id) as typist:
        await typist.types("stty raw -echo; echo raw-$((1+1)); head -c 2 | od -An -tx1; stty sane\n")
        await typist.sees("raw-2")
        await typist.types("\x10\x11")
        await typist.sees("10 11")


async def test_ten_megabytes_of_output_arrive_whole(real_driver: Driver, running: TaskSpec) -> None:
    async with typing(real_driver, running.id) as typist:
        await typist.types("head -c 10000000 /dev/zero | tr '\\0' x; echo; echo the-$((1+1))nd-end\n")
        await typist.sees("the-2nd-end")
        assert typist.seen.count(b"x") >= 10_000_000


async def test_a_paste_of_a_megabyte_arrives_whole(real_driver: Driver, running: TaskSpec) -> None:
    async with typing(real_driver, running.id) as typist:
        await typist.types("stty -echo; echo ready-$((1+1)); cat > pasted; wc -c < pasted\n")
        await typist.sees("ready-2")
        await typist.types(("y" * 99 + "\n") * 10_000 + "\x04")
        await typist.sees("1000000")


async def test_closing_a_terminal_ends_its_shell_and_not_the_job(real_kit: DriverKit, real_driver: Driver) -> None:
    """IS-15."""
    spec = real_kit.make_spec(SLEEPS)
    spec = greeted(spec)
    handle = await real_driver.start(spec)
    async with typing(real_driver, spec.id) as typist:
        await typist.types("echo ready-$((1+1)); sleep 1000\n")
        await typist.sees("ready-2")
        assert shells_of(spec)
    await becomes_true(lambda: not shells_of(spec), "the shells to be gone")
    assert (await real_driver.inspect(handle)).state is TaskState.RUNNING


async def test_a_shell_that_ignores_the_hang_up_is_killed(real_kit: DriverKit, real_driver: Driver) -> None:
    spec = greeted(real_kit.make_spec(SLEEPS))
    await real_driver.start(spec)
    async with typing(real_driver, spec.id) as typist:
        await typist.types("trap '' HUP TERM; echo deaf-$((1+1))\n")
        await typist.sees("deaf-2")
    await becomes_true(lambda: not shells_of(spec), "the shells to be gone")


async def test_the_end_of_a_shell_is_the_end_of_its_output(real_driver: Driver, running: TaskSpec) -> None:
    async with typing(real_driver, running.id) as typist:
        await typist.types("echo bye-$((1+1)); exit\n")
        await typist.sees("bye-2")
        await typist.sees_the_end()


async def test_the_end_of_the_job_ends_its_shells(real_kit: DriverKit, real_driver: Driver) -> None:
    """IS-5."""
    spec = greeted(real_kit.make_spec(SLEEPS))
    handle = await real_driver.start(spec)
    async with typing(real_driver, spec.id) as typist:
        await typist.types("echo ready-$((1+1))\n")
        await typist.sees("ready-2")
        await real_driver.stop(handle, 0)
        await typist.sees_the_end()
    await becomes_true(lambda: not shells_of(spec), "the shells to be gone")


async def test_a_job_that_has_ended_has_no_terminal(real_kit: DriverKit, real_driver: Driver) -> None:
    spec = real_kit.make_spec(Program(exit=0))
    await real_driver.wait(await real_driver.start(spec))
    assert isinstance(real_driver, OpensTerminals)
    with pytest.raises(TaskNotFound):
        await real_driver.open_terminal(spec.id, SIZE)


async def test_another_attempt_has_no_terminal(real_driver: Driver, running: TaskSpec) -> None:
    assert isinstance(real_driver, OpensTerminals)
    with pytest.raises(TaskNotFound):
        await real_driver.open_terminal(TaskId(running.id.name, "another"), SIZE)


async def test_shells_of_an_owner_that_was_killed_are_found_and_ended(real_kit: DriverKit, real_driver: Driver) -> None:
    """A killed agent leaves no shell behind that nobody sees."""
    spec = greeted(real_kit.make_spec(SLEEPS))
    await real_driver.start(spec)
    assert isinstance(real_driver, OpensTerminals)
    await kill_an_owner(real_kit, spec)
    await real_driver.end_abandoned_terminals()
    await becomes_true(lambda: not shells_of(spec), "the shells to be gone")


async def test_shells_of_an_owner_that_lives_are_left_alone(real_driver: Driver, running: TaskSpec) -> None:
    assert isinstance(real_driver, OpensTerminals)
    async with typing(real_driver, running.id) as typist:
        await real_driver.end_abandoned_terminals()
        await typist.types("echo alive-$((40+2))\n")
        await typist.sees("alive-42")


def greeted(spec: TaskSpec) -> TaskSpec:
    return dataclasses.replace(spec, environment={"GREETING": f"of {spec.id.name}"})


async def kill_an_owner(kit: DriverKit, spec: TaskSpec) -> None:
    """Another process opens a terminal whose shell is deaf to a hang-up, and is killed."""
    order = kit.folder / "owner.order"
    order.write_bytes(pickle.dumps((kit.name, kit.settings, spec.id)))
    owner = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.contract.driver.owner", str(order)),
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
    )
    assert owner.stdout is not None
    assert await asyncio.wait_for(owner.stdout.readline(), 60) == b"deaf\n"
    owner.kill()
    await owner.wait()
