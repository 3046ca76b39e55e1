"""The mission document's example "Connecting two Jobs together": its own commands, real containers, a real network."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e import mission
from tests.e2e.conftest import AsWritten
from tests.support import dockerd
from tests.support.acme import SMALL, WEB_APP, Acme
from tests.support.stack import states, texts
from tests.support.wait import wait_until


@pytest.fixture(scope="module", autouse=True)
def _followed(acme: Acme) -> None:
    acme.follow_the_document()


def test_the_commands_answer_what_the_document_shows(acme: Acme, as_written: AsWritten) -> None:
    assert len(acme.answers) == len(mission.commands(mission.CONNECT))
    for number, answer in enumerate(acme.answers):
        as_written(mission.CONNECT, number, answer, mission.AN_ID)


def test_the_web_application_connects_to_the_database_by_the_name_in_the_specification(acme: Acme) -> None:
    """The document's last sentence."""
    wait_until(lambda: "the database says: 42 customers\n" in acme.stack.output(acme.ids[1]), "the answer to be shown")


def test_the_database_may_connect_back(acme: Acme) -> None:
    """ENV-47."""
    web_app = f"j-{acme.ids[1]}-job-0"
    assert acme.ask(acme.ids[0], web_app, 8000) == web_app


def test_every_rank_finds_the_database_and_is_found(acme: Acme) -> None:
    """ENV-48: not only rank 0."""
    job_id = acme.web_app(acme.ids[0], replicas=2)
    assert [acme.ask(job_id, "database", 5432, rank) for rank in range(2)] == ["42 customers"] * 2
    names = [f"j-{job_id}-job-{rank}" for rank in range(2)]
    assert [acme.ask(acme.ids[0], name, 8000) for name in names] == names
    assert [acme.ask(acme.ids[1], name, 8000) for name in names] == ["", ""]
    acme.stack.stop(job_id)


def test_peers_of_a_peer_cannot_be_reached(acme: Acme) -> None:
    """ENV-52: neither by name nor by address."""
    other = acme.web_app(acme.ids[1])
    assert acme.ask(other, "database", 8000) == f"j-{acme.ids[1]}-job-0"
    assert acme.ask(other, f"j-{acme.ids[0]}-job-0", 5432) == ""
    assert acme.ask(other, _address(acme, acme.ids[0]), 5432) == ""
    acme.stack.stop(other)


@pytest.mark.parametrize("first", ["server", "guest"])
def test_the_connection_ends_with_either_of_the_two(acme: Acme, first: str) -> None:
    """ENV-48: while the other one goes on."""
    server = acme.stack.create(WEB_APP, **SMALL)
    acme.stack.wait_state(server, "RUNNING")
    guest = acme.web_app(server)
    ends, stays = (server, guest) if first == "server" else (guest, server)
    address = _address(acme, ends)
    assert acme.ask(stays, address, 8000) == f"j-{ends}-job-0"
    acme.stack.stop(ends)
    assert acme.ask(stays, address, 8000) == ""
    assert _hosts(acme, stays).keys() & {"database", f"j-{ends}-job-0"} == set()
    acme.stack.stop(stays)


def test_they_stay_connected_while_supervisor_and_daemon_are_killed(acme: Acme) -> None:
    """And nobody else is connected with them."""
    supervisors = _supervisors(acme)
    os.kill(supervisors[0], signal.SIGKILL)
    acme.daemon.kill()
    acme.daemon.start()
    wait_until(lambda: _supervisors(acme) not in ([], supervisors), "another supervisor")
    acme.stack.wait_answering()
    stranger = _eventually(lambda: acme.stack.create(WEB_APP, **SMALL))
    acme.stack.wait_state(stranger, "RUNNING")
    assert acme.ask(acme.ids[1], "database", 5432) == "42 customers"
    assert acme.ask(acme.ids[0], f"j-{acme.ids[1]}-job-0", 8000) == f"j-{acme.ids[1]}-job-0"
    assert acme.ask(stranger, _address(acme, acme.ids[0]), 5432) == ""
    acme.stack.stop(stranger)


def test_a_database_that_ended_meanwhile_is_said_and_its_name_leads_nowhere(acme: Acme) -> None:
    """ENV-49: the Core checked it, and it ended before the job was placed."""
    big = {**SMALL, "product": {**SMALL["product"], "id": "example-compute"}}
    server, filler = acme.stack.create(WEB_APP, **SMALL), acme.stack.create(WEB_APP, **big)
    for job_id in (server, filler):
        acme.stack.wait_state(job_id, "RUNNING")
    peer = {"type": "peer", "hostname": "database", "jobId": server}
    guest = acme.stack.create(WEB_APP, resources=[peer], **big)  # there is room for it once the server has ended
    wait_until(lambda: states(acme.stack.job(guest)) == ["IN_QUEUE"], "the guest to be queued")
    acme.stack.stop(server)
    job = acme.stack.wait_state(guest, "RUNNING")
    told = f"The job {server}, which your job was to reach as database, is not running; your job goes on without it"
    assert texts(job).count(told) == 1
    assert "database" not in _hosts(acme, guest)
    acme.stack.stop(guest, filler)


def _hosts(acme: Acme, job_id: str) -> dict[str, str]:
    """Name to address, of the hosts file in its container."""
    with closing(dockerd.client(acme.daemon.url)) as api:
        made = api.exec_create(f"j-{job_id}-job-0", ["cat", "/etc/hosts"])
        lines = [line.split() for line in api.exec_start(made["Id"]).decode().splitlines()]
    return {name: address for address, *names in lines if not address.startswith("#") for name in names}


def _address(acme: Acme, job_id: str) -> str:
    return _hosts(acme, job_id)[f"j-{job_id}-job-0"]


def _supervisors(acme: Acme) -> list[int]:
    """Processes of the actor. Those of other installations have other data in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            title, environment = (entry / "cmdline").read_bytes(), (entry / "environ").read_bytes()
        except OSError:
            continue
        if title.startswith(b"ray::JobSupervisor") and os.fsencode(acme.stack.data) in environment:
            found.append(int(entry.name))
    return found


def _eventually(create: Callable[[], str]) -> str:
    """The machine describes itself again before jobs are taken."""
    made: list[str] = []

    def attempt() -> bool:
        try:
            made.append(create())
        except AssertionError:
            return False
        return True

    wait_until(attempt, "a job to be taken")
    return made[0]
