"""A machine without a Docker daemon: it says so everywhere, crashes nowhere, and runs processes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.stack import BATCH, NATIVE, NO_DOCKER, Stack, fresh_stack, specification


@pytest.fixture(scope="module")
def bare() -> Iterator[Stack]:
    with fresh_stack(NO_DOCKER) as running:
        yield running


def test_no_product_offers_containers_and_all_offer_processes(bare: Stack) -> None:
    offered = [
        (entry["support"]["docker"]["enabled"], entry["support"]["native"]["enabled"]) for entry in bare.support()
    ]
    assert offered == [(False, True), (False, True)]


def test_the_doctor_says_why_and_what_to_do(bare: Stack) -> None:
    done = bare.cli("doctor", "--json", "--port", "0", "--provider-port", "0")
    (docker,) = [check for check in json.loads(done.stdout)["checks"] if check["name"] == "docker"]
    assert docker["ok"] is False
    assert "/nonexistent/docker.sock does not exist" in docker["detail"]
    assert "start its daemon" in docker["detail"] + docker["remedy"]
    assert done.returncode == 0, "processes can run here"


def test_the_status_names_the_problem_of_the_node(bare: Stack) -> None:
    done = bare.cli("status", "--json")
    assert done.returncode == 0
    (node,) = json.loads(done.stdout)["provider"]["nodes"]
    assert node["backends"] == ["NATIVE"]
    assert "docker.sock" in json.dumps(node["problems"])


def test_a_container_is_refused_with_a_text_that_says_what_is_missing(bare: Stack) -> None:
    answer = bare.http.post("/api/jobs", json={"items": [specification(BATCH)]})
    assert answer.status_code == 400
    assert "DOCKER" in answer.json()["why"]
    assert bare.get("/api/jobs/browse")["items"] == []


def test_the_command_line_refuses_it_and_points_to_the_doctor(bare: Stack) -> None:
    done = bare.cli("run", BATCH["name"], "var=x")
    assert (done.returncode, done.stdout) == (1, "")
    assert "no machine can run this application (DOCKER); see `ucloud-ray doctor` for the reason" in done.stderr


def test_a_process_runs_to_success(bare: Stack) -> None:
    job = bare.run(NATIVE)
    assert job["status"]["state"] == "SUCCESS"
    assert bare.output(job["id"]) == "Example\n"
