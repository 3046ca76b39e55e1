"""One installation that is broken again and again, with a Docker daemon and two applications that run a script.

The script of a job counts its own starts in the job folder, and goes on until the test opens its gate there: so a test
never sleeps, and a second copy of a rank can never hide.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.faults.installation import installation
from tests.faults.parts import Database
from tests.faults.report import Report, name_of
from tests.faults.victims import Victims
from tests.support import dockerd, postgres
from tests.support.stack import NO_DOCKER, Stack, fresh_daemon, fresh_stack
from tests.support.wait import wait_until

Seen = Callable[[str, str], None]
"""What was seen of a fault, by its name, for docs/faults.md."""

REPORT = pytest.StashKey[Report]()
APPLICATIONS = Path(__file__).with_name("applications")

SCRIPT = """
echo start >> starts-$UCLOUD_RANK.txt
echo "rank $UCLOUD_RANK waits"
while [ ! -e gate ]; do sleep 0.05; done
echo "rank $UCLOUD_RANK goes on"
exit 7
"""


@dataclass
class Gated:
    """A job that runs until its gate is opened and then ends with exit code 7."""

    stack: Stack
    id: str

    @property
    def folder(self) -> Path:
        """Its job folder on this machine."""
        uid = self.stack.job(self.id)["output"]["outputFolder"]
        return self.stack.data / "drives" / "user" / "home" / Path(*Path(uid).parts[2:])

    def open_gate(self) -> None:
        (self.folder / "gate").touch()

    def starts(self, rank: int = 0) -> int:
        file = self.folder / f"starts-{rank}.txt"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def wait_running(self) -> None:
        self.stack.wait_state(self.id, "RUNNING")
        wait_until(lambda: self.starts() > 0, "the script to start")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    if dockerd.missing():
        with fresh_stack(NO_DOCKER) as without_docker:
            yield _with_applications(without_docker)
        return
    with fresh_daemon() as daemon, fresh_stack(daemon.url) as running:
        yield _with_applications(running)


@pytest.fixture(scope="session")
def docker_daemon() -> Iterator[dockerd.PrivateDaemon]:
    """To be killed."""
    if not dockerd.can_start():
        pytest.skip("a Docker daemon of its own can only be started by root, with Debian's docker.io installed")
    with fresh_daemon() as daemon:
        yield daemon


@pytest.fixture(scope="session")
def database() -> Iterator[Database]:
    """To be killed."""
    if reason := postgres.missing_programs():
        pytest.skip(reason)
    with postgres.running_server() as server:
        running = Database(server)
        yield running
        running.server.stop()


@pytest.fixture(scope="session")
def installed(docker_daemon: dockerd.PrivateDaemon, database: Database) -> Iterator[Stack]:
    """For workloads, with a daemon and a database that may be killed."""
    with installation(docker_daemon.url, store=database.server.new_database()) as stack:
        yield stack


@pytest.fixture
def seed() -> int:
    """Of everything that is random; a failure names it."""
    return random.randrange(10**6)


@pytest.fixture
def victims(stack: Stack) -> Victims:
    return Victims(stack)


@pytest.fixture(params=["native", "docker"])
def gated(request: pytest.FixtureRequest, stack: Stack) -> Gated:
    """A running job of each kind."""
    if request.param == "docker" and (reason := dockerd.missing()):
        pytest.skip(reason)
    job = begin(stack, request.param)
    job.wait_running()
    return job


def begin(stack: Stack, kind: str, **changes: Any) -> Gated:
    return Gated(stack, run_script(stack, kind, SCRIPT, **changes))


def run_script(stack: Stack, kind: str, script: str, **changes: Any) -> str:
    """The id of a job that runs this script."""
    application = {"name": f"shell-{kind}", "version": "1.0.0"}
    parameters = {"script": {"type": "text", "value": script}}
    return stack.create(application, parameters=parameters, **changes)


def _with_applications(stack: Stack) -> Stack:
    for file in sorted(APPLICATIONS.glob("*.yaml")):
        done = stack.cli("apps", "add", str(file))
        assert done.returncode == 0, done.stderr
    return stack


# ----------------------------------------------------------------------------------------------------- the report


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Seen:
    """Fills the last cell of a row that a decorator of this test announces."""
    test = name_of(request.node.path, request.node.name)
    faults = {mark.args[0] for mark in request.node.iter_markers("fault")}

    def note(fault: str, words: str) -> None:
        assert fault in faults, f"{fault!r} is none of the test's own rows: {faults}"
        _report(request.config).seen[test, fault] = words

    return note


def _report(config: pytest.Config) -> Report:
    return config.stash.setdefault(REPORT, Report())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed or (report.passed and call.when == "call"):
        _report(item.config).done(item, report.passed)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    _report(session.config).write()
