"""`ucloud-ray jobs shell`: from a pseudo-terminal here to a shell beside the job (IS-7 to IS-15)."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.support.stack import COMMAND, DOCKER_SHELL, NATIVE_SHELL, Stack
from tests.support.terminals import shells_of
from tests.support.wait import wait_until
from tests.support.window import Window, window

SLEEPS = "echo running; exec sleep 600"


KINDS = [pytest.param(DOCKER_SHELL, id="container"), pytest.param(NATIVE_SHELL, id="process")]


@pytest.fixture(scope="module", params=KINDS)
def job(request: pytest.FixtureRequest, shells: Stack) -> Iterator[str]:
    """One that runs."""
    if request.param == DOCKER_SHELL:
        request.getfixturevalue("needs_docker")
    job_id = shells.create(request.param, var=SLEEPS)
    shells.wait_state(job_id, "RUNNING")
    yield job_id
    shells.stop(job_id)


def terminal(stack: Stack, job_id: str, *options: str) -> AbstractContextManager[Window]:
    return window([*COMMAND, "jobs", "shell", job_id, *options], stack.environment, stack.data.parent)


def piped(stack: Stack, job_id: str, text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, "jobs", "shell", job_id],
        env=stack.environment,
        cwd=stack.data.parent,
        input=text,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


def test_what_is_typed_runs_in_the_job_as_its_user(shells: Stack, job: str) -> None:
    """IS-13."""
    with terminal(shells, job) as screen:
        screen.types("echo user-$(id -u) job-$UCLOUD_JOB_ID $TERM; ls\r")
        screen.sees(f"user-11042 job-{job} xterm-256color")
        screen.sees("stdout-0.log")


def test_ctrl_c_ends_what_runs_in_the_foreground_and_not_the_job(shells: Stack, job: str) -> None:
    with terminal(shells, job) as screen:
        # It says so itself: a key that comes before a shell has put it into the foreground is the shell's.
        screen.types("sh -c 'echo begun-$((40+2)); exec sleep 500'\r")
        screen.sees("begun-42")
        screen.types("\x03")
        screen.types("echo after-$((40+2))\r")
        screen.sees("after-42")
    assert shells.job(job)["status"]["state"] == "RUNNING"


def test_a_full_screen_program_draws_on_the_whole_window_and_follows_its_size(shells: Stack, job: str) -> None:
    """`vi` of busybox: alternate positions, keys without Enter, the size of the window."""
    with terminal(shells, job) as screen:
        screen.types("stty size\r")
        screen.sees("30 100")
        screen.types("busybox vi note-$UCLOUD_JOB_ID\r")
        wait_until(lambda: screen.looked().lines[27].startswith("~"), "vi to fill the window")
        screen.types("ihello from vi")
        screen.sees("I note-")
        screen.types("\x1b")
        screen.sees("- note-")
        screen.types(":wq\r")
        screen.types("cat note-$UCLOUD_JOB_ID | tr a-z A-Z\r")
        screen.sees("HELLO FROM VI")
        screen.resize(120, 40)
        screen.types("clear; stty size\r")
        screen.sees("40 120")


def test_ten_megabytes_of_output_arrive(shells: Stack, job: str) -> None:
    with terminal(shells, job) as screen:
        screen.types("yes 0123456789abcdef | head -c 10000000; echo; echo the-$((1+1))nd-end\r")
        screen.has_seen(b"the-2nd-end")
        assert screen.seen.count(b"0123456789abcdef") >= 10_000_000 // 17


def test_a_paste_of_a_megabyte_arrives_whole(shells: Stack, job: str) -> None:
    with terminal(shells, job) as screen:
        screen.types("stty -echo; echo ready-$((1+1)); md5sum; stty echo\r")
        screen.sees("ready-2")
        screen.types(("y" * 99 + "\n") * 10_000 + "\x04")
        screen.sees(hashlib.md5((b"y" * 99 + b"\n") * 10_000, usedforsecurity=False).hexdigest())


def test_the_way_out_leaves_the_job_alone_and_no_shell_behind(shells: Stack, job: str) -> None:
    """IS-15."""
    with terminal(shells, job) as screen:
        screen.types("echo here-$((40+2))\r")
        screen.sees("here-42")
        screen.types("\r~.")
        assert screen.ends() == 0
    wait_until(lambda: not shells_of(job), "the shell to be gone")
    assert shells.job(job)["status"]["state"] == "RUNNING"


def test_a_window_that_is_closed_leaves_no_shell_behind(shells: Stack, job: str) -> None:
    """IS-15: the browser, or the laptop, is gone."""
    with terminal(shells, job) as screen:
        screen.types("echo here-$((40+2)); sleep 500\r")
        screen.sees("here-42")
        assert shells_of(job)
        screen.process.kill()
    wait_until(lambda: not shells_of(job), "the shell to be gone")


def test_what_comes_through_a_pipe_is_typed(shells: Stack, job: str) -> None:
    done = piped(shells, job, "echo piped-$((40+2))\n")
    assert done.returncode == 0, done.stderr
    assert "piped-42" in done.stdout
    assert "The shell has ended" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "why"),
    [(("--rank", "3"), "node 4 does not exist"), (("--token", "nonsense"), "token")],
)
def test_a_refusal_is_one_line(shells: Stack, job: str, arguments: tuple[str, ...], why: str) -> None:
    done = shells.cli("jobs", "shell", job, *arguments)
    assert done.returncode == 1
    assert why in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_job_that_is_over_has_no_terminal(shells: Stack) -> None:
    """IS-2."""
    done = shells.cli("jobs", "shell", shells.run(NATIVE_SHELL, var="true")["id"])
    assert (done.returncode, done.stdout) == (1, "")
    assert "while the job is running" in done.stderr


def test_the_end_of_the_job_ends_its_terminals(shells: Stack) -> None:
    """IS-5."""
    job_id = shells.create(NATIVE_SHELL, var=SLEEPS)
    shells.wait_state(job_id, "RUNNING")
    with terminal(shells, job_id) as screen:
        screen.types("echo here-$((40+2))\r")
        screen.sees("here-42")
        shells.stop(job_id)
        screen.sees("The shell has ended")
        screen.ends()


# -------------------------------------------------------------------------------------------------------- attacks


def opened(stack: Stack, job_id: str) -> dict[str, str]:
    wanted = {"id": job_id, "rank": 0, "sessionType": "SHELL"}
    (session,) = stack.post("/api/jobs/interactiveSession", wanted)["responses"]
    return {"domain": session["providerDomain"], "id": session["session"]["sessionIdentifier"]}


def socket_of(session: Mapping[str, str]) -> str:
    """As the web client makes it."""
    hint = base64.b64encode(b"user").decode()
    domain = session["domain"].replace("http", "ws", 1)
    return f"{domain}/ucloud/example/websocket?session={session['id']}&usernameHint={hint}"


def test_an_id_is_good_for_one_connection(shells: Stack, job: str) -> None:
    """IS-12, W3."""
    session = opened(shells, job)
    with connect(socket_of(session), proxy=None):
        with pytest.raises(InvalidStatus) as refused:
            connect(socket_of(session), proxy=None)
        assert refused.value.response.status_code == 403
        assert "not known" in json.loads(refused.value.response.body or b"")["why"]


def test_somebody_else_gets_no_session(shells: Stack, job: str) -> None:
    """The Core's own check: a job of another user is not found."""
    headers = {"Authorization": f"Bearer {shells.token('mallory')}"}
    item = {"id": job, "rank": 0, "sessionType": "SHELL"}
    answer = httpx.post(f"{shells.url}/api/jobs/interactiveSession", json={"items": [item]}, headers=headers)
    assert answer.status_code == 404
    assert "sessionIdentifier" not in answer.text


def test_an_id_is_in_no_log(shells: Stack, job: str) -> None:
    """IS-3: never logged."""
    session = opened(shells, job)
    with connect(socket_of(session), proxy=None):
        pass
    assert session["id"] not in shells.logs()
    for file in (shells.data / "logs-of-services").rglob("*"):
        assert not file.is_file() or session["id"].encode() not in file.read_bytes()
