"""Input that is odd and yet right, or wrong only where it is used: the job runs, or fails with a text that names it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conformance.looking import file, home
from tests.support.follow import following, printed
from tests.support.stack import NATIVE_SHELL, Stack, specification, states, texts

ODD_TITLE = {"name": "odd-title", "version": "1.0.0"}
DOCKER_FILE = {"name": "docker-file", "version": "1.0.0"}
MANY = {"name": "many-parameters", "version": "1.0.0"}
PARAMETERS = 10_000


def test_a_job_of_an_application_with_an_odd_title_has_a_folder_within_its_drive(catalogue: Stack) -> None:
    """ENV-3."""
    job = catalogue.run(ODD_TITLE, var="echo mine > result")
    (result,) = home(catalogue).glob(f"Jobs/*/{job['id']}/result")
    assert result.read_text() == "mine\n"
    title = result.parent.parent.name
    assert title.startswith(".._a_b 😀 ..")
    assert len(title.encode()) <= 100
    (told,) = {update["outputFolder"] for update in job["updates"] if update["outputFolder"]}
    assert told == f"/home-user/Jobs/{title}/{job['id']}"


USERS = ["..", ".", "a/b", "a_b", "a b ", "../a_b", "x" * 200, "x" * 200 + "y", "x" * 100, "é" * 99, "user\n"]


def test_users_with_odd_names_have_homes_of_their_own(catalogue: Stack) -> None:
    """ENV-2: within the folder of all homes, and never that of another."""
    folders = [run_as(catalogue, user) for user in USERS]
    drives = catalogue.data / "drives"
    for folder, user in zip(folders, USERS, strict=True):
        assert folder.resolve().is_relative_to(drives.resolve())
        assert (folder / "whose").read_text() == f"{len(user)}\n"
    assert len({folder.relative_to(drives).parts[0] for folder in folders}) == len(USERS)


def run_as(stack: Stack, user: str) -> Path:
    """Where the job folder of a job of this user is."""
    headers = {"Authorization": f"Bearer {stack.token(user)}"}
    asked = specification(NATIVE_SHELL, var=f"echo {len(user)} > whose; echo $UCLOUD_JOB_ID")
    answer = stack.http.post("/api/jobs", json={"items": [asked]}, headers=headers)
    assert answer.status_code == 200, answer.text
    job_id = answer.json()["responses"][0]["id"]
    with following(stack, job_id, stack.token(user)) as frames:
        assert printed(list(frames)) == f"{job_id}\n"
    (folder,) = (stack.data / "drives").glob(f"*/home/Jobs/*/{job_id}")
    return folder


@pytest.mark.parametrize("name", ["no-such-file", "no/such/folder/file", "ünï 😀.txt"])
def test_a_file_that_is_missing_fails_the_job_with_its_path(catalogue: Stack, needs_docker: None, name: str) -> None:
    """ENV-15: nothing is made in its place."""
    job = catalogue.run(DOCKER_FILE, parameters={"file": file(f"/home-user/{name}")})
    assert states(job) == ["IN_QUEUE", "FAILURE"]
    assert f"/home-user/{name}" in texts(job)[-1]
    assert not (home(catalogue) / name).exists()


def test_what_is_no_image_fails_the_job_with_its_name(catalogue: Stack, needs_docker: None) -> None:
    """LC-12, ENV-55."""
    job = catalogue.run({"name": "no-image", "version": "1.0.0"}, parameters={})
    assert states(job) == ["IN_QUEUE", "FAILURE"]
    assert "Not/An Image:at all" in texts(job)[-1]


def test_ten_thousand_parameters_all_arrive(catalogue: Stack, tmp_path: Path) -> None:
    names = [f"p{number}" for number in range(PARAMETERS)]
    document = tmp_path / "many.yaml"
    document.write_text(yaml.safe_dump(many(names)))
    added = catalogue.cli("apps", "add", str(document))
    assert added.returncode == 0, added.stderr
    values = {name: {"type": "text", "value": f"value of {name}"} for name in names}
    job_id = catalogue.create(MANY, parameters=values)
    catalogue.wait_state(job_id)
    with following(catalogue, job_id) as frames:
        assert printed(list(frames)) == "".join(f"value of {name}\n" for name in names)


def many(names: list[str]) -> dict[str, Any]:
    return {
        "application": "v1",
        **MANY,
        "title": "Many parameters",
        "tool": {"name": "native-shell-tool", "version": "1.0.0"},
        "authors": ["UCloud"],
        "description": "Shows every one of them",
        "applicationType": "BATCH",
        "invocation": ["printf", "%s\\n", {"type": "var", "vars": names}],
        "parameters": {name: {"type": "text", "optional": True, "description": ""} for name in names},
    }
