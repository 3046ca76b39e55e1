"""Users with passwords on a real installation: added by its operator, logged in on another machine's command line."""

from __future__ import annotations

import json
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stack import COMMAND, Stack

PASSWORD = "correct horse battery"


@pytest.fixture
def elsewhere(stack: Stack, tmp_path: Path) -> Iterator[Path]:
    """Somebody's own settings, without the installation's data folder."""
    yield tmp_path
    stack.cli("users", "remove", "alice")


def run(stack: Stack, settings: Path, *arguments: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    environment = {
        **{name: value for name, value in stack.environment.items() if name != "UCLOUD_RAY_DATA"},
        "XDG_CONFIG_HOME": str(settings),
        "UCLOUD_RAY_URL": stack.url,
    }
    return subprocess.run(
        [*COMMAND, *arguments], env=environment, cwd=settings, input=typed, capture_output=True, text=True, timeout=90,
        check=False,
    )  # fmt: skip


def add(stack: Stack, settings: Path, name: str) -> None:
    environment = stack.environment | {"XDG_CONFIG_HOME": str(settings)}
    done = subprocess.run(
        [*COMMAND, "users", "add", name], env=environment, cwd=settings, input=f"{PASSWORD}\n", capture_output=True,
        text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_user_who_was_added_logs_in_works_and_logs_out(stack: Stack, elsewhere: Path) -> None:
    add(stack, elsewhere, "alice")
    refused = run(stack, elsewhere, "jobs", "list")
    assert refused.returncode == 1
    assert "ucloud-ray login" in refused.stderr
    wrong = run(stack, elsewhere, "login", "--user", "alice", typed="something else\n")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
    assert "password is wrong" in wrong.stderr

    done = run(stack, elsewhere, "login", "--user", "alice", typed=f"{PASSWORD}\n")
    assert done.returncode == 0, done.stderr
    (kept,) = elsewhere.rglob("logins.json")
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert PASSWORD not in kept.read_text()

    ran = run(stack, elsewhere, "run", "a-native-batch-application", "var=Example", "--detach")
    assert ran.returncode == 0, ran.stderr
    listed = json.loads(run(stack, elsewhere, "jobs", "list", "--json").stdout)
    assert [job["owner"]["createdBy"] for job in listed] == ["alice"]
    assert ran.stdout.strip() == listed[0]["id"]

    assert run(stack, elsewhere, "logout").returncode == 0
    assert run(stack, elsewhere, "jobs", "list").returncode == 1


def test_a_user_who_was_removed_is_told_to_log_in_again(stack: Stack, elsewhere: Path) -> None:
    add(stack, elsewhere, "alice")
    assert run(stack, elsewhere, "login", "--user", "alice", typed=f"{PASSWORD}\n").returncode == 0
    assert stack.cli("users", "remove", "alice").returncode == 0
    refused = run(stack, elsewhere, "jobs", "list")
    assert refused.returncode == 1
    assert "log in" in refused.stderr
    assert refused.stderr.count("\n") == 1


def test_a_job_of_a_project_is_seen_by_who_leads_it(stack: Stack, elsewhere: Path) -> None:
    """End-user-api 8, by the command line alone."""
    add(stack, elsewhere, "alice")
    assert run(stack, elsewhere, "login", "--user", "alice", typed=f"{PASSWORD}\n").returncode == 0
    project = stack.cli("projects", "create", "Ours").stdout.strip()
    assert stack.cli("projects", "invite", project, "alice").returncode == 0
    ran = run(stack, elsewhere, "run", "a-native-batch-application", "var=1", "--project", project, "--detach")
    assert (ran.returncode, "not a member" in ran.stderr) == (1, True)
    assert run(stack, elsewhere, "projects", "accept", project).returncode == 0
    ran = run(stack, elsewhere, "run", "a-native-batch-application", "var=1", "--project", project)
    assert ran.returncode == 0, ran.stderr
    listed = json.loads(stack.cli("jobs", "list", "--json", "--project", project).stdout)
    assert [(job["owner"]["createdBy"], job["owner"]["project"]) for job in listed] == [("alice", project)]
    assert stack.cli("projects", "group", project, "Students", "--add", "alice").returncode == 0
    shown = stack.cli("projects", "show", project)
    assert "Students" in shown.stdout
    assert stack.cli("projects", "remove", project, "alice").returncode == 0
    assert run(stack, elsewhere, "jobs", "list", "--project", project).returncode == 1
