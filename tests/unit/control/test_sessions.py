"""What may be opened in a job, and what a session's id is good for (IS-2, IS-5, IS-6, O9)."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from tests.unit.control.rig import Life, Rig, job, ref
from ucloud_ray.control import tickets
from ucloud_ray.control.errors import BadRequest, NoSuchSession, NotFound
from ucloud_ray.control.service import SessionWanted
from ucloud_ray.domain.job import Interface, JobState

RELAY = ("127.0.0.9", 4242)


@pytest.fixture
async def life(rig: Rig) -> Life:
    for host in rig.machines.hosts.values():
        host.relay = RELAY
    return await rig.start()


def shell(id: str = "41", rank: int = 0, kind: str = "SHELL") -> SessionWanted:
    return SessionWanted(ref(id), rank, kind)


async def running(rig: Rig, life: Life, *words: str, replicas: int = 1) -> None:
    await life.requests.submit([job("41", *(words or ("run=forever",)), replicas=replicas)])
    await rig.until_state("41", JobState.RUNNING)


async def test_a_session_leads_to_the_relay_of_the_rank_with_a_ticket_for_its_task(rig: Rig, life: Life) -> None:
    await running(rig, life, replicas=2)
    (session,) = await life.requests.open_sessions([shell(rank=1)])
    source = await life.requests.redeem_terminal(session.secret)
    driver, name, incarnation = orjson.loads(tickets.check(b"k" * 32, source.ticket, "terminal"))
    assert (source.address, source.port, source.job, source.rank) == (*RELAY, "41", 1)
    assert (driver, name) == ("scripted", "j-41-job-1")
    assert incarnation


async def test_a_session_is_good_for_one_connection(rig: Rig, life: Life) -> None:
    """IS-12."""
    await running(rig, life)
    (session,) = await life.requests.open_sessions([shell()])
    await life.requests.redeem_terminal(session.secret)
    with pytest.raises(NoSuchSession):
        await life.requests.redeem_terminal(session.secret)


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        (shell(rank=7), "node 8"),
        (shell(rank=-1), "node 0"),
        (shell(kind="WEB"), "no web page"),
        (shell(kind="VNC"), "no desktop"),
    ],
)
async def test_what_cannot_be_opened_is_refused_with_the_reason(
    rig: Rig, life: Life, wanted: SessionWanted, word: str
) -> None:
    """IS-2, O9: the Core checks none of this."""
    await running(rig, life)
    with pytest.raises(BadRequest, match=word):
        await life.requests.open_sessions([shell(), wanted])


async def test_a_job_that_does_not_run_has_no_sessions(rig: Rig, life: Life) -> None:
    """IS-2: before, and after."""
    await running(rig, life)
    await life.requests.submit([job("42", "run=forever", "stall-start")])
    with pytest.raises(BadRequest, match="running"):
        await life.requests.open_sessions([shell("42")])
    await life.requests.terminate([ref("41")])
    await rig.until_state("41", JobState.SUCCESS)
    with pytest.raises(BadRequest, match="running"):
        await life.requests.open_sessions([shell("41")])


async def test_an_unknown_job_is_not_found(life: Life) -> None:
    with pytest.raises(NotFound):
        await life.requests.open_sessions([shell("nobody's")])


async def test_the_end_of_the_job_is_the_end_of_its_sessions(rig: Rig, life: Life) -> None:
    """IS-5."""
    await running(rig, life)
    (session,) = await life.requests.open_sessions([shell()])
    await life.requests.terminate([ref("41")])
    await rig.until_state("41", JobState.SUCCESS)
    with pytest.raises(NoSuchSession):
        await life.requests.redeem_terminal(session.secret)


def page(rank: int = 0) -> SessionWanted:
    return SessionWanted(ref("41"), rank, "WEB")


async def serving(rig: Rig, life: Life, replicas: int = 1) -> None:
    """Runs, and has a web page on port 8000 and a desktop."""
    interfaces = (Interface("WEB", 8000), Interface("VNC", 5901, "secret"))
    await life.requests.submit([job("41", "run=forever", replicas=replicas, interfaces=interfaces)])
    await rig.until_state("41", JobState.RUNNING)


async def test_a_web_session_leads_to_the_port_of_its_rank_as_often_as_one_likes(rig: Rig, life: Life) -> None:
    """W8, IS-24."""
    await serving(rig, life, replicas=2)
    first, second = await life.requests.open_sessions([page(0), page(1)])
    for session, rank in ((first, 0), (second, 1), (first, 0)):
        source = await life.requests.redeem_port(session.secret)
        _, port = orjson.loads(tickets.check(b"k" * 32, source.ticket, "port"))
        assert (source.address, source.port, source.job, source.rank, source.kind) == (*RELAY, "41", rank, "WEB")
        assert port == 8000
    assert first.password is None


async def test_a_desktop_comes_with_its_password(rig: Rig, life: Life) -> None:
    """IS-25, W18."""
    await serving(rig, life)
    (session,) = await life.requests.open_sessions([SessionWanted(ref("41"), 0, "VNC")])
    assert session.password == "secret"
    assert (await life.requests.redeem_port(session.secret)).kind == "VNC"


async def test_a_web_session_outlives_the_supervisor_and_ends_with_the_job(rig: Rig, life: Life) -> None:
    """IS-23, IS-5."""
    await serving(rig, life)
    (session,) = await life.requests.open_sessions([page()])
    await life.supervisor.close()
    successor = await rig.start()
    await successor.requests.redeem_port(session.secret)
    await successor.requests.terminate([ref("41")])
    await rig.until_state("41", JobState.SUCCESS)
    with pytest.raises(NoSuchSession):
        await successor.requests.redeem_port(session.secret)


@pytest.mark.parametrize("forged", ["", "nonsense", "a.b", tickets.make(b"x" * 32, "session", "[]")])
async def test_a_ticket_that_is_not_ours_leads_nowhere(life: Life, forged: str) -> None:
    """IS-3."""
    with pytest.raises(NoSuchSession):
        await life.requests.redeem_port(forged)


async def test_a_product_without_terminals_refuses_them(rig: Rig) -> None:
    """IS-2: each flag that is not advertised is refused (5.6)."""
    rig.products = tuple(replace(product, backends={"docker": {"terminal": False}}) for product in rig.products)
    life = await rig.start()
    await running(rig, life)
    with pytest.raises(BadRequest, match="Terminal access is not supported"):
        await life.requests.open_sessions([shell()])
