"""A terminal over real TCP: from the shell's side through the relay to the front end's (D8, IS-15)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtimes.terminals import Terminal, TerminalSize
from runtimes.types import TaskId
from tests.support.terminals import NO_TERMINALS, ScriptedTerminals
from tests.support.wait import async_wait_until
from ucloud_ray.control import terminal_relay, tickets
from ucloud_ray.control.errors import BadRequest, NotReady
from ucloud_ray.control.relay import Relay
from ucloud_ray.control.service import TerminalSource
from ucloud_ray.control.terminal_client import open_terminal
from ucloud_ray.control.terminal_relay import MOST_PER_TASK, TerminalRelay
from ucloud_ray.domain.ids import JobId

KEY = b"k" * 32
TASK = TaskId("j-1-job-0", "7")
SIZE = TerminalSize(100, 30)


@pytest.fixture
def shells() -> ScriptedTerminals:
    return ScriptedTerminals()


@pytest.fixture
async def port(shells: ScriptedTerminals, tmp_path: Path) -> AsyncIterator[int]:
    relay = Relay(tmp_path, KEY, TerminalRelay(shells.open))
    yield await relay.start("127.0.0.1")
    await relay.close()


def source(port: int, ticket: str | None = None) -> TerminalSource:
    good = tickets.make(KEY, "terminal", terminal_relay.target("docker", TASK))
    return TerminalSource("127.0.0.1", port, ticket or good, JobId("1"), 0)


@pytest.fixture
async def terminal(port: int) -> AsyncIterator[Terminal]:
    opened = await open_terminal(source(port), SIZE)
    yield opened
    await opened.close()


async def test_a_terminal_is_opened_in_the_task_of_its_ticket(terminal: Terminal, shells: ScriptedTerminals) -> None:
    ((driver, task, opened),) = shells.opened
    assert (driver, task, opened.sizes) == ("docker", TASK, [SIZE])


async def test_what_is_shown_and_typed_arrives(terminal: Terminal, shells: ScriptedTerminals) -> None:
    shells.newest.shows(b"\xffhello")
    assert await terminal.read() == b"\xffhello"
    await terminal.write(b"a" * 200_000 + b"z")
    await shells.newest.has_typed(b"a" * 200_000 + b"z")


async def test_a_change_of_the_size_arrives(terminal: Terminal, shells: ScriptedTerminals) -> None:
    await terminal.resize(TerminalSize(1, 2))
    await terminal.write(b".")
    await shells.newest.has_typed(b".")
    assert shells.newest.sizes == [SIZE, TerminalSize(1, 2)]


async def test_the_end_of_the_shell_is_the_end_of_the_terminal(terminal: Terminal, shells: ScriptedTerminals) -> None:
    shells.newest.shows(b"bye")
    shells.newest.shows(b"")
    assert [await terminal.read(), await terminal.read()] == [b"bye", b""]
    await shells.newest.is_closed()


async def test_whoever_leaves_ends_the_shell(terminal: Terminal, shells: ScriptedTerminals) -> None:
    """IS-15."""
    await terminal.close()
    await shells.newest.is_closed()


async def test_whoever_leaves_while_the_program_reads_nothing_ends_the_shell(
    port: int, shells: ScriptedTerminals, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody reads the connection then; that it is gone shows when something is written into it."""
    monkeypatch.setattr(terminal_relay, "BEAT_SECONDS", 0.01)
    terminal = await open_terminal(source(port), SIZE)
    shells.newest.takes_input.clear()
    await asyncio.wait([asyncio.create_task(terminal.write(b"x" * 1_000_000))], timeout=0.2)
    await terminal.close()
    await shells.newest.is_closed()


async def test_a_reader_that_stands_still_stops_the_shell_and_not_the_memory(
    terminal: Terminal, shells: ScriptedTerminals
) -> None:
    """Back-pressure: what nobody reads stays with the shell."""
    pieces, size = 1000, 64 * 1024
    for _ in range(pieces):
        shells.newest.shows(b"x" * size)

    async def taken() -> int:
        return pieces - shells.newest.unread

    settled = await _settles(taken)
    assert 0 < settled < pieces / 2
    for _ in range(settled):
        await terminal.read()
    await async_wait_until(lambda: _more(taken, settled), "more to be taken")


async def _more(taken: object, than: int) -> bool:
    assert callable(taken)
    return bool(await taken() > than)


async def _settles(taken: object) -> int:
    """The number once it stops growing: three looks in a row agree."""
    assert callable(taken)
    seen: list[int] = []

    async def agrees() -> bool:
        seen.append(await taken())
        return len(seen) > 10 and len(set(seen[-10:])) == 1

    await async_wait_until(agrees, "the relay to stop reading")
    return seen[-1]


@pytest.mark.parametrize(
    "ticket",
    [
        pytest.param(tickets.make(KEY, "log", terminal_relay.target("docker", TASK)), id="for logs"),
        pytest.param(tickets.make(b"x" * 32, "terminal", terminal_relay.target("docker", TASK)), id="of another key"),
        pytest.param(tickets.make(KEY, "terminal", terminal_relay.target("docker", TASK), 1.0), id="expired"),
        pytest.param("nonsense", id="no ticket"),
    ],
)
async def test_nobody_gets_in_without_a_ticket_for_a_terminal(
    port: int, shells: ScriptedTerminals, ticket: str
) -> None:
    """IS-3."""
    with pytest.raises(NotReady):
        await open_terminal(source(port, ticket), SIZE)
    assert shells.opened == []


async def test_a_refusal_of_the_driver_is_told(tmp_path: Path) -> None:
    relay = Relay(tmp_path, KEY, NO_TERMINALS)
    port = await relay.start("127.0.0.1")
    with pytest.raises(BadRequest, match="no terminals here"):
        await open_terminal(source(port), SIZE)
    await relay.close()


async def test_a_machine_that_is_away_is_worth_another_attempt(tmp_path: Path) -> None:
    relay = Relay(tmp_path, KEY, NO_TERMINALS)
    port = await relay.start("127.0.0.1")
    await relay.close()
    with pytest.raises(NotReady):
        await open_terminal(source(port), SIZE)


async def test_a_task_has_a_bounded_number_of_terminals(port: int, shells: ScriptedTerminals) -> None:
    """W3."""
    opened = [await open_terminal(source(port), SIZE) for _ in range(MOST_PER_TASK)]
    with pytest.raises(BadRequest, match="Too many terminals"):
        await open_terminal(source(port), SIZE)
    await opened.pop().close()
    await shells.newest.is_closed()
    opened.append(await _open_again(port))
    for terminal in opened:
        await terminal.close()


async def _open_again(port: int) -> Terminal:
    async def attempt() -> Terminal | None:
        try:
            return await open_terminal(source(port), SIZE)
        except BadRequest:
            return None

    found = await async_wait_until(attempt, "room for another terminal")
    assert found is not None
    return found
