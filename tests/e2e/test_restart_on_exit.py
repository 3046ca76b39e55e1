"""Jobs with `restartOnExit` on real parts: started again by the orchestrator, as one process and as a container
(LC-25, LC-26).

The orchestrator is killed while they wait: what it means to do is on disk.
"""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.stack import DOCKER_SHELL, NATIVE_SHELL, NO_DOCKER, Stack, states, texts
from tests.support.wait import wait_until

LIVES = 'echo start >> starts; echo "life $(wc -l < starts)"; [ "$(wc -l < starts)" = 1 ] && exit 7; exec sleep 1000'
"""Ends by itself the first time, and never again."""
PRICE = 100_000
"""Of a minute of the machine."""
KINDS = {"native": NATIVE_SHELL, "docker": DOCKER_SHELL}


@dataclass
class Lived:
    stack: Stack
    id: str
    follower: subprocess.Popen[str]
    """Follows the job from its first life on."""

    @property
    def starts(self) -> int:
        shown = self.stack.job(self.id)["output"]["outputFolder"]
        folder = self.stack.data / "drives" / "user" / "home" / Path(*Path(shown).parts[2:])
        return (folder / "starts").read_text().count("start\n")


@pytest.fixture(scope="module")
def lived(shells: Stack, docker_url: str) -> Iterator[Mapping[str, Lived]]:
    """One job of each kind, in its second life."""
    kinds = {kind: one for kind, one in KINDS.items() if kind == "native" or docker_url != NO_DOCKER}
    jobs = {kind: shells.create(application, var=LIVES, restartOnExit=True) for kind, application in kinds.items()}
    made = {kind: Lived(shells, job, shells.spawn("jobs", "logs", "-f", job)) for kind, job in jobs.items()}
    try:
        for job in jobs.values():
            wait_until(lambda job=job: "SUSPENDED" in states(shells.job(job)), f"job {job} to wait for its next life")
        killed = shells.pid("orchestrator")
        shells.kill("orchestrator")
        shells.wait_restarted("orchestrator", killed)
        shells.wait_answering()
        for job in jobs.values():
            wait_until(lambda job=job: states(shells.job(job)).count("RUNNING") == 2, f"job {job} to run again", 60.0)
        yield made
    finally:
        for one in made.values():
            one.follower.kill()
            one.follower.communicate()
        shells.stop(*jobs.values())


@pytest.fixture(params=list(KINDS))
def job(request: pytest.FixtureRequest, lived: Mapping[str, Lived]) -> Lived:
    if request.param not in lived:
        pytest.skip("there is no Docker daemon here")
    return lived[request.param]


def test_a_user_sees_two_lives_of_one_job(job: Lived) -> None:
    """T11; the pause is not final, and says what happens next."""
    shown = job.stack.job(job.id)
    assert states(shown) == ["IN_QUEUE", "RUNNING", "SUSPENDED", "IN_QUEUE", "RUNNING"]
    assert "The job has finished processing! (exit code 7)" in texts(shown)
    assert texts(shown).count("Your job will be started again in 2 seconds") == 1


def test_both_lives_share_the_folder_and_the_log(job: Lived) -> None:
    """LC-26. The program counts its own starts."""
    wait_until(lambda: job.starts == 2, "the second start")
    folders = {update["outputFolder"] for update in job.stack.job(job.id)["updates"] if update["outputFolder"]}
    assert len(folders) == 1
    assert job.stack.output(job.id) == "life 1\nlife 2\n"


def test_a_follower_hears_both_lives_once(job: Lived) -> None:
    assert job.follower.stdout is not None
    heard = [job.follower.stdout.readline() for _ in range(2)]
    assert heard == ["life 1\n", "life 2\n"]


def test_a_job_that_is_stopped_is_not_started_again(lived: Mapping[str, Lived]) -> None:
    """LC-14: the user wants its end, while it runs or while it waits. Last: it ends the jobs of the others."""
    stack = lived["native"].stack
    waiting = stack.create(NATIVE_SHELL, var="exit 0", restartOnExit=True)
    wait_until(lambda: "SUSPENDED" in states(stack.job(waiting)), "the job to wait for its next life")
    stack.stop(waiting, *(one.id for one in lived.values()))
    for job_id in (waiting, *(one.id for one in lived.values())):
        shown = stack.job(job_id)
        assert (shown["status"]["state"], texts(shown)[-1]) == ("SUCCESS", "Your job has been cancelled!")
        assert shown["status"]["allowRestart"] is False
    assert states(stack.job(waiting)) == ["IN_QUEUE", "RUNNING", "SUSPENDED", "SUCCESS"]
    assert all(one.starts == 2 for one in lived.values())


def test_each_life_is_charged_once(lived: Mapping[str, Lived]) -> None:
    """ACC-1, ACC-6: a begun minute of a life is a whole one, the pause between two costs nothing."""
    one = lived["native"]

    def charged() -> list[tuple[int, int, int]]:
        with closing(sqlite3.connect(one.stack.data / "orchestrator.db")) as file:
            question = "SELECT units, periods, amount FROM orchestrator_charges WHERE job_id = ? ORDER BY charged_at"
            return [tuple(row) for row in file.execute(question, (int(one.id),))]

    wait_until(lambda: len(charged()) == 2, "the charges of both lives")
    assert charged() == [(1, 1, PRICE), (1, 1, PRICE)]
