"""The command line as a user types it: real processes, exit statuses, and what is said where."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.support.stack import NATIVE_SHELL, Stack
from tests.support.wait import wait_until

Done = subprocess.CompletedProcess[str]

RUN = ("run", "native-shell")


def refusal(done: Done, status: int = 1) -> str:
    """The one line that a command failed with."""
    assert done.returncode == status, done
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("ucloud-ray: ")
    return line


# --------------------------------------------------------------------------------------------------------- run


def test_run_prints_the_output_and_says_the_states_beside_it(shells: Stack) -> None:
    done = shells.cli(*RUN, "var=echo out; echo bad >&2")
    assert (done.returncode, done.stdout) == (0, "out\n")
    for word in ("IN_QUEUE", "RUNNING", "SUCCESS", "bad"):
        assert word in done.stderr


def test_run_of_a_job_that_expires_fails(shells: Stack) -> None:
    done = shells.cli(*RUN, "var=sleep 600", "--time", "1s")
    assert done.returncode == 1
    assert "EXPIRED Your job has expired" in done.stderr


def test_run_detached_prints_the_id_alone(shells: Stack) -> None:
    done = shells.cli(*RUN, "var=true", "--detach")
    assert done.returncode == 0
    assert shells.wait_state(done.stdout.strip())["status"]["state"] == "SUCCESS"


def test_run_as_json_prints_the_job_as_it_ended(shells: Stack) -> None:
    done = shells.cli(*RUN, "var=echo not shown", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["status"]["state"] == "SUCCESS"


def test_ctrl_c_stops_following_and_leaves_the_job(shells: Stack) -> None:
    process = shells.spawn(*RUN, "var=echo ready; sleep 600")
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    job_id = shells.get("/api/jobs/browse", itemsPerPage=1)["items"][0]["id"]
    try:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        assert process.returncode == 1
        assert "Traceback" not in said
        assert f"job {job_id} goes on; stop it with `ucloud-ray jobs stop {job_id}`" in said
        assert shells.job(job_id)["status"]["state"] == "RUNNING"
    finally:
        process.kill()
        shells.stop(job_id)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("no-such-app",), "there is no application 'no-such-app'"),
        (("native-shel", "var=x"), "native-shell"),
        (("native-shell",), "var"),
        (("native-shell", "other=x"), "other"),
        (("native-shell", "var=x", "--product", "example-smal"), "example-small"),
        (("native-shell", "var=x", "--time", "soon"), "soon"),
    ],
    ids=["unknown application", "misspelt application", "missing", "unknown parameter", "misspelt product", "time"],
)
def test_what_was_asked_for_wrongly_is_named_in_one_line(shells: Stack, words: tuple[str, ...], expected: str) -> None:
    before = shells.get("/api/jobs/browse", itemsPerPage=1)["items"][:1]
    assert expected in refusal(shells.cli("run", *words), status=2)
    assert shells.get("/api/jobs/browse", itemsPerPage=1)["items"][:1] == before


# -------------------------------------------------------------------------------------------------------- jobs


def test_jobs_can_be_listed_shown_read_and_stopped(shells: Stack) -> None:
    job_id = shells.create(NATIVE_SHELL, var="echo hello; exec sleep 600", name="My job")
    shells.wait_state(job_id, "RUNNING")
    listed = shells.cli("jobs", "list", "--state", "running")
    assert [line.split()[:3] for line in listed.stdout.splitlines()[1:]] == [[job_id, "RUNNING", "native-shell@1.0.0"]]
    shown = shells.cli("jobs", "show", job_id).stdout
    assert f"{job_id} My job" in shown
    assert "Your job is now running!" in shown
    wait_until(lambda: shells.cli("jobs", "logs", job_id).stdout == "hello\n", "the output")
    assert shells.cli("jobs", "stop", job_id).returncode == 0
    assert shells.wait_state(job_id)["status"]["state"] == "SUCCESS"
    followed = shells.cli("jobs", "logs", "-f", job_id)
    assert (followed.returncode, followed.stdout) == (0, "hello\n")
    assert "Your job has been cancelled!" in followed.stderr


@pytest.mark.parametrize("command", ["show", "logs", "stop"])
def test_an_unknown_job_is_one_line(stack: Stack, command: str) -> None:
    assert "999999999" in refusal(stack.cli("jobs", command, "999999999"))


# ------------------------------------------------------------------------------------------------ what there is


@pytest.mark.parametrize(
    "command",
    [
        ("status",),
        ("products",),
        ("nodes",),
        ("utilization",),
        ("token",),
        ("apps", "list"),
        ("apps", "show", "native-shell"),
        ("jobs", "list"),
    ],
    ids=" ".join,
)
def test_whatever_prints_data_prints_valid_json_when_asked(shells: Stack, command: tuple[str, ...]) -> None:
    done = shells.cli(*command, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
    assert done.stderr == ""


def test_the_status_shows_parts_nodes_products_and_queues(stack: Stack) -> None:
    done = stack.cli("status")
    assert done.returncode == 0, done.stderr
    for word in ("minder", "ray", "provider", "orchestrator", "example-small", "NATIVE", "outbox", "queue"):
        assert word in done.stdout


def test_a_token_from_the_command_line_is_accepted(stack: Stack) -> None:
    token = stack.cli("token", "--user", "somebody").stdout.strip()
    answer = stack.http.get("/api/jobs/browse", headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["items"] == []


def test_an_application_that_exists_is_not_added_again(shells: Stack, tmp_path: Path) -> None:
    file = tmp_path / "tool.yaml"
    file.write_text("tool: v1\ntitle: t\nname: native-shell-tool\nversion: 1.0.0\nbackend: NATIVE\nauthors: [a]\n")
    done = shells.cli("apps", "add", str(file))
    assert done.returncode == 2
    assert "native-shell-tool" in done.stdout + done.stderr
    assert "tool.yaml has a mistake; nothing was added" in done.stderr


# ----------------------------------------------------------------------------------------- nothing, nobody, twice


def test_a_host_where_nothing_answers_is_one_line(stack: Stack) -> None:
    line = refusal(stack.cli("jobs", "list", "--host", "http://127.0.0.1:9", "--token", "x"))
    assert "nothing answers at http://127.0.0.1:9" in line


def test_a_bad_token_is_one_line_that_does_not_repeat_it(stack: Stack) -> None:
    line = refusal(stack.cli("jobs", "list", "--token", "not-a-token"))
    assert "token" in line
    assert "not-a-token" not in line


def test_a_folder_where_nothing_was_started_is_one_line(stack: Stack, tmp_path: Path) -> None:
    assert "ucloud-ray up" in refusal(stack.cli("jobs", "list", "--data", str(tmp_path)))


def test_a_second_up_on_the_same_data_says_so_and_touches_nothing(stack: Stack) -> None:
    before = stack.state
    for more in ((), ("--detach",)):
        line = refusal(stack.cli("up", "--port", "0", "--provider-port", "0", *more))
        assert f"already running on {stack.data}" in line
    assert stack.state == before
    assert stack.get("/api/jobs/browse")


@pytest.mark.parametrize("option", ["--port", "--provider-port"])
def test_up_on_a_port_that_is_taken_says_which_option_to_change(stack: Stack, option: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        other = {"--port": "--provider-port", "--provider-port": "--port"}[option]
        asked = ("up", "--data", str(tmp_path / "data"), option, str(port), other, "0")
        line = refusal(stack.cli(*asked))
    assert f"port {port} of 127.0.0.1 is taken; choose another with {option}" in line


def test_the_doctor_finds_what_can_run_jobs_here(stack: Stack) -> None:
    done = stack.cli("doctor", "--json", "--port", "0", "--provider-port", "0")
    assert done.returncode == 0
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["native"]["ok"] is True
