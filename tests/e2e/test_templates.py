"""Templated applications over the end-user API, as real processes and real containers (INV-33 to INV-42)."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tests.support import dockerd, images
from tests.support.stack import NO_DOCKER, Stack, states, texts

NATIVE_TEMPLATE = {"name": "native-template", "version": "1.0.0"}
DOCKER_TEMPLATE = {"name": "docker-template", "version": "1.0.0"}
BASHLESS_TEMPLATE = {"name": "bashless-template", "version": "1.0.0"}
APPLICATIONS = Path(__file__).parents[1] / "support/templated.yaml"
TEXT = 'it\'s "x" $HOME `id`; 日本語\n end '


@pytest.fixture(scope="module")
def templates(shells: Stack, docker_url: str) -> Stack:
    """The stack with the templated applications in its catalogue and a bash among its images."""
    if docker_url != NO_DOCKER:
        with closing(dockerd.client(docker_url)) as api:
            images.bash_image(api)
    added = shells.cli("apps", "add", str(APPLICATIONS))
    assert added.returncode == 0, added.stderr
    return shells


@pytest.fixture(params=[pytest.param(NATIVE_TEMPLATE, id="process"), pytest.param(DOCKER_TEMPLATE, id="container")])
def application(request: pytest.FixtureRequest) -> dict[str, str]:
    if request.param == DOCKER_TEMPLATE:
        request.getfixturevalue("needs_docker")
    found: dict[str, str] = request.param
    return found


def test_a_template_is_rendered_for_each_rank_and_its_exit_code_is_told(
    templates: Stack, application: dict[str, str]
) -> None:
    """INV-16, INV-21, INV-33, INV-35 to INV-38, INV-42."""
    job_id = templates.create(application, var=TEXT, replicas=1)
    job = templates.wait_state(job_id)
    assert states(job) == ["IN_QUEUE", "RUNNING", "SUCCESS"]
    assert texts(job)[-1] == "The job has finished processing! (exit code 3)"
    said = f"<{TEXT}><--count=9007199254740993><--rank><0>[{application['name']} says {TEXT}|1]\n"
    assert templates.output(job_id) == said


def test_an_image_without_bash_is_named(templates: Stack, needs_docker: None) -> None:
    job = templates.run(BASHLESS_TEMPLATE)
    assert states(job) == ["IN_QUEUE", "FAILURE"]
    assert "needs the program bash, which the image dreg.cloud.sdu.dk/batch/batch:1.0.0 does not have" in texts(job)[-1]


def test_an_init_script_runs_first_and_its_exit_code_does_not_matter(
    templates: Stack, application: dict[str, str]
) -> None:
    """INV-26. It is a file of the user's, mounted where it is a container's."""
    home = templates.data / "drives/user/home"
    home.mkdir(parents=True, exist_ok=True)
    (home / "before.sh").write_text("echo first; exit 9\n")
    labels = {"ucloud.dk/init-script": "/home-user/before.sh"}
    job_id = templates.create(application, var="x", replicas=1, labels=labels)
    assert texts(templates.wait_state(job_id))[-1] == "The job has finished processing! (exit code 3)"
    assert templates.output(job_id).startswith("first\n<x>")
