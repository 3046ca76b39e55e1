"""Images of jobs come from a registry that wants a login: what users read meanwhile, and what they never see.

A stack of its own, because its configuration names the registry. The image that takes long is fetched over a slow line.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from tests.support import dockerd
from tests.support.registry import PASSWORD, USERNAME, Registry, SlowLine, missing, noise, program_layer
from tests.support.stack import Stack, fresh_daemon, new_stack, states, texts
from tests.support.wait import wait_until

SLOW = 2_000_000
TOLD = "Fetching the image {image} on "


@dataclass
class Place:
    stack: Stack
    registry: Registry
    line: SlowLine
    """To the registry; images are named by its port."""

    def image(self, name: str, megabytes: int = 0) -> str:
        layers = [program_layer(), *([noise(megabytes)] if megabytes else [])]
        self.registry.put(name, "1.0", layers)
        return f"127.0.0.1:{self.line.port}/{name}:1.0"

    def application(self, name: str, image: str) -> dict[str, str]:
        """That runs the image as it is."""
        tool = {"tool": "v1", "backend": "DOCKER", "image": image, "license": "None"}
        invocation = ["/bin/sh", "-c", {"type": "var", "vars": "var"}]
        runs = {
            "application": "v1",
            "tool": {"name": name, "version": "1.0"},
            "invocation": invocation,
            "parameters": {"var": {"type": "text"}},
            "container": {"runAsRoot": True},
            "allowMultiNode": True,
        }
        both = {"title": name, "name": name, "version": "1.0", "authors": ["us"], "description": name}
        file = self.stack.data.parent / f"{name}.yaml"
        file.write_text("\n---\n".join(json.dumps(document | both) for document in (tool, runs)))
        added = self.stack.cli("apps", "add", str(file))
        assert added.returncode == 0, added.stderr
        return {"name": name, "version": "1.0"}

    def pulls(self, name: str) -> int:
        asked = self.registry.requests(name)
        return len(
            [path for method, path, status in asked if method == "HEAD" and "/manifests/" in path and status == 200]
        )


@pytest.fixture(scope="module")
def place(needs_docker: None) -> Iterator[Place]:
    if reason := missing():
        pytest.skip(reason)
    if not dockerd.can_start():
        pytest.skip("a Docker daemon of one's own needs root")
    with fresh_daemon() as daemon, tempfile.TemporaryDirectory(prefix="registry-") as folder:
        registry = Registry(Path(folder), login=True)
        registry.start()
        line = SlowLine(registry.port, None)
        stack = new_stack(daemon.url)
        try:
            stack.up("--config", str(_configuration(stack, line)))
            yield Place(stack, registry, line)
        finally:
            line.rate = None
            stack.close()
            line.close()
            registry.kill()


def _configuration(stack: Stack, line: SlowLine) -> Path:
    login = {"host": f"127.0.0.1:{line.port}", "username": USERNAME, "password": PASSWORD}
    file = stack.data.parent / "ucloud-ray.yaml"
    file.write_text(json.dumps({"registries": [login], "policy": {"pullRetrySeconds": 5}}))
    file.chmod(0o600)
    return file


def told(stack: Stack, job_id: str, beginning: str, part: str = "") -> list[str]:
    return [text for text in texts(stack.job(job_id)) if text.startswith(beginning) and part in text]


def test_jobs_that_want_the_same_image_wait_for_one_pull_and_read_how_far_it_is(place: Place) -> None:
    """ENV-54: `IN_QUEUE` meanwhile; one line for a job, however many ranks it has there."""
    image = place.image("acme/large", megabytes=30)
    application = place.application("large", image)
    place.line.rate = SLOW
    jobs = [place.stack.create(application, var="echo it runs", replicas=1 + number % 2) for number in range(5)]
    beginning = TOLD.format(image=image)
    for job_id in jobs:
        wait_until(partial(told, place.stack, job_id, beginning, " % of 32 MB"), f"news for {job_id}")
        assert place.stack.job(job_id)["status"]["state"] == "IN_QUEUE"
    place.line.rate = None
    for job_id in jobs:
        job = place.stack.wait_state(job_id, "SUCCESS")
        assert states(job) == ["IN_QUEUE", "RUNNING", "SUCCESS"]
        read = texts(job)
        fetching = [text for text in read if text.startswith(beginning)]
        assert len(fetching) == len(set(fetching))
        assert read.index(fetching[0]) < read.index("Your job is now running!")
        assert place.stack.output(job_id).splitlines()[-1].endswith("it runs")
    assert place.pulls("acme/large") == 1


def test_a_job_that_is_stopped_while_its_image_is_fetched_ends_at_once_and_never_starts(place: Place) -> None:
    """REC-18."""
    image = place.image("acme/stopped", megabytes=40)
    application = place.application("stopped", image)
    place.line.rate = SLOW
    job_id = place.stack.create(application, var="echo it runs")
    wait_until(lambda: told(place.stack, job_id, TOLD.format(image=image)), "the pull to be told")
    place.stack.stop(job_id)
    job = place.stack.job(job_id)
    assert "RUNNING" not in states(job)
    assert texts(job)[-1] == "Your job has been cancelled!"
    wait_until(lambda: place.line.connections == 0, "the daemon to stop fetching")
    place.line.rate = None
    with closing(dockerd.client(place.stack.docker_url)) as api:
        assert not api.containers(all=True, filters={"label": [f"ucloud-ray/job={job_id}"]})
        assert not api.images(image)


def test_a_job_whose_image_does_not_exist_fails_at_once_with_its_name(place: Place) -> None:
    """ENV-55, LC-12."""
    image = place.image("acme/there").replace(":1.0", ":2.0")
    job = place.stack.run(place.application("nowhere", image))
    assert states(job) == ["IN_QUEUE", "FAILURE"]
    assert texts(job)[-1] == (
        f"Your job could not be started: The image {image} could not be fetched: the registry has no such image."
    )


def test_a_registry_that_stays_away_is_told_and_ends_the_job_after_the_configured_time(place: Place) -> None:
    """ENV-55."""
    image = "127.0.0.1:9/acme/away:1.0"
    job_id = place.stack.create(place.application("away", image))
    beginning = TOLD.format(image=image)
    wait_until(lambda: told(place.stack, job_id, beginning, "the registry does not answer; it is tried again"), "news")
    job = place.stack.wait_state(job_id, "FAILURE")
    assert texts(job)[-1] == (
        f"Your job could not be started: The image {image} could not be fetched: the registry does not answer."
    )


def test_the_password_is_nowhere_but_in_its_file(place: Place) -> None:
    """ENV-55. The last test, so that everything has been written that is written."""
    place.stack.run(place.application("quiet", place.image("acme/quiet")), var="env; cat /etc/ucloud/*")
    secret = PASSWORD.encode()
    files = [file for file in place.stack.data.rglob("*") if file.is_file() and secret in file.read_bytes()]
    assert {file.parent.name for file in files} == {"registry-passwords"}
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert not [pid for pid in _processes() if secret in _read(pid, "cmdline") + _read(pid, "environ")]
    shown = place.stack.cli("status", "--json").stdout + place.stack.cli("doctor", "--json").stdout
    assert shown
    assert PASSWORD not in shown


def _processes() -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def _read(pid: str, what: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{what}").read_bytes()
    except OSError:
        return b""
