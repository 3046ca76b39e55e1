"""What must be refused when a job is created: 400 with a text that says what to do, nothing stored, nothing started.

Each case goes to the orchestrator as a user sends it and to the provider as UCloud/Core sends it, in the documented
form and in the current one. The rest of wrong requests is in `tests/e2e/test_bad_input.py`.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conformance.looking import as_sent, file, home, put
from tests.support.stack import NATIVE_SHELL, Stack, specification
from tests.support.stored import everything_stored, nothing_under_way
from tests.support.wait import wait_until

DOCKER_FILE = {"name": "docker-file", "version": "1.0.0"}
NATIVE_FILE = {"name": "native-file", "version": "1.0.0"}
CONNECTED = {"name": "native-connected", "version": "1.0.0"}
IN = file("/home-user/refusals/in.txt")
NO_PEERS = "cannot be connected"
"""What the orchestrator says first where the machines have no network for jobs."""
ZERO = {"hours": 0, "minutes": 0, "seconds": 0}


def wanting(*resources: dict[str, Any], application: dict[str, str] = CONNECTED, **more: Any) -> dict[str, Any]:
    return specification(application, parameters={}, resources=list(resources)) | more


def showing(path: Any, application: dict[str, str] = DOCKER_FILE, **more: Any) -> dict[str, Any]:
    return specification(application, parameters={"file": file(path)}) | more


def saying(text: str) -> dict[str, Any]:
    return specification(NATIVE_SHELL, var=text)


def peer(hostname: str, job_id: str = "1") -> dict[str, Any]:
    return {"type": "peer", "hostname": hostname, "jobId": job_id}


CASES: dict[str, tuple[dict[str, Any], str]] = {
    "block storage (RES-25)": (wanting({"type": "block_storage", "id": "7"}), "block"),
    "a link of another provider (RES-3)": (wanting({"type": "ingress", "id": "7"}), "link"),
    "an address (RES-3)": (wanting({"type": "network", "id": "7"}), "address"),
    "a private network (RES-3)": (wanting({"type": "private_network", "id": "7", "subdomain": "a"}), "private network"),
    "a licence among resources (RES-3)": (wanting({"type": "license_server", "id": "7"}), "licen"),
    "an unknown resource (RES-3)": (wanting({"type": "teapot", "id": "7"}), "teapot"),
    "mounted at the root (ENV-14)": (wanting(IN | {"mountPath": "/"}), "mount"),
    "mounted at /work (ENV-14)": (wanting(IN | {"mountPath": "/work/a"}), "/work"),
    "mounted over /etc/ucloud (ENV-14)": (wanting(IN | {"mountPath": "/etc//ucloud/./x"}), "/etc/ucloud"),
    "mounted at /x/../opt/ucloud (ENV-14)": (wanting(IN | {"mountPath": "/x/../opt/ucloud"}), "/opt/ucloud"),
    "mounted relatively (ENV-14)": (wanting(IN | {"mountPath": "data"}), "absolute"),
    "two at one mount path (ENV-14)": (
        wanting(IN | {"mountPath": "/m"}, file("/home-user/refusals/b") | {"mountPath": "/m/"}),
        "/m",
    ),
    "a peer named localhost (ENV-50)": (wanting(peer("localhost")), "localhost"),
    "a peer with a dot (ENV-50)": (wanting(peer("a.b")), "a.b"),
    "a peer with a slash (ENV-50)": (wanting(peer("../a")), ""),
    "a peer without a name (ENV-50)": (wanting(peer("")), ""),
    "a peer with a long name (ENV-50)": (wanting(peer("a" * 64)), ""),
    "two peers of one name (ENV-50)": (wanting(peer("db"), peer("DB")), ""),
    "a path with .. (INV-32)": (showing("/home-user/../other/x"), ".."),
    "a path with .. at its end (INV-32)": (showing("/home-user/a/.."), ".."),
    "a resource with .. (INV-32)": (wanting(file("/home-user/../x")), ".."),
    "a path without a drive (INV-32)": (showing("/"), "path"),
    "a path that is not absolute (INV-32)": (showing("home-user/x"), "path"),
    "a drive that is not ours": (showing("/no-such-drive/x"), "drive"),
    "another workspace's drive": (showing("/home-stranger/secret"), "drive"),
    "another workspace's drive for a process": (showing("/home-stranger/secret", NATIVE_FILE), "/home-stranger"),
    "a process and a drive that is not ours": (showing("/no-such-drive/x", NATIVE_FILE), ""),
    "a link out of the drive": (showing("/home-user/refusals/out"), "link"),
    "a folder link out of the drive": (showing("/home-user/refusals/outside/passwd"), "link"),
    "a NUL in a path (INV-7)": (showing("/home-user/a\0b"), "NUL"),
    "a NUL in a value (INV-7)": (saying("a\0b"), "NUL"),
    "no time (TIME-2)": (wanting(timeAllocation=ZERO), "ime"),
    "an argument that no program can be given": (saying("x" * (128 * 1024)), "argument"),
    "arguments of more than Linux takes": (saying("x" * 3_000_000), "file"),
}


@pytest.fixture(scope="module")
def files(catalogue: Stack) -> Stack:
    """What the cases name."""
    put(home(catalogue, "stranger") / "secret", "secret")
    folder = put(home(catalogue) / "refusals/in.txt", "in").parent
    (folder / "out").symlink_to("/etc/passwd")
    (folder / "outside").symlink_to("/etc")
    return catalogue


@pytest.fixture(scope="module")
def documents(files: Stack, needs_docker: None) -> dict[str, dict[str, Any]]:
    """Of each application, a job as UCloud/Core sends it."""
    found = {}
    for application, parameters in (
        (CONNECTED, {}),
        (NATIVE_SHELL, {"var": {"type": "text", "value": "true"}}),
        (DOCKER_FILE, {"file": IN}),
        (NATIVE_FILE, {"file": IN}),
    ):
        job = files.run(application, parameters=parameters)
        found[application["name"]] = as_sent(files, job["id"])
    return found


@pytest.fixture
def untouched(files: Stack, documents: dict[str, dict[str, Any]]) -> Iterator[Stack]:
    """Fails afterwards if anything was stored, told or started."""
    wait_until(lambda: nothing_under_way(files), "the jobs of earlier tests to be over and told")
    before = everything_stored(files.data)
    yield files
    assert everything_stored(files.data) == before


@pytest.mark.parametrize(("asked", "word"), CASES.values(), ids=CASES.keys())
def test_a_user_is_told_what_is_wrong_and_nothing_is_stored(untouched: Stack, asked: dict[str, Any], word: str) -> None:
    answer = untouched.http.post("/api/jobs", json={"items": [asked]})
    assert answer.status_code == 400, answer.text
    why = answer.json()["why"]
    assert word in why or NO_PEERS in why


@pytest.mark.parametrize("era", ["documented", "current"])
@pytest.mark.parametrize(("asked", "word"), CASES.values(), ids=CASES.keys())
def test_the_provider_refuses_it_by_itself(
    untouched: Stack, documents: dict[str, dict[str, Any]], asked: dict[str, Any], word: str, era: str
) -> None:
    """The Core checks little of this (O9, O10)."""
    job = copy.deepcopy(documents[asked["application"]["name"]]) | {"id": "987654323"}
    job["specification"] |= asked
    body: dict[str, Any] = {"items": [job]}
    if era == "current":
        job["specification"] |= {"hostname": "h", "labels": {}}
        body = {"type": "bulk", "items": [job]}  # W16
    answer = untouched.as_core.post("/jobs", json=body)
    assert answer.status_code == 400, answer.text
    assert word in answer.json()["why"]
    assert len(answer.json()["why"]) < 500


@pytest.mark.parametrize("name", ["MY NAME", "1A", "A=B", "", "Ä", "A\n"])
def test_the_provider_refuses_a_variable_that_no_process_can_have(
    untouched: Stack, documents: dict[str, dict[str, Any]], name: str
) -> None:
    """INV-22. A document with such a name never gets into the catalogue of the orchestrator."""
    job = copy.deepcopy(documents[CONNECTED["name"]]) | {"id": "987654323"}
    word = {"type": "word", "word": "value"}
    job["status"]["resolvedApplication"]["invocation"]["environment"] = {name: word}
    answer = untouched.as_core.post("/jobs", json={"items": [job]})
    assert answer.status_code == 400, answer.text
    assert repr(name) in answer.json()["why"]


@pytest.mark.parametrize("call", ["suspend", "unsuspend"])
def test_what_is_no_machine_cannot_be_suspended(catalogue: Stack, shell: dict[str, str], call: str) -> None:
    """SUS-2, conformance point 12: refused, the job runs on, and its page hears that it does (W12)."""
    job_id = catalogue.create(shell, var="exec sleep 600")
    catalogue.wait_state(job_id, "RUNNING")
    answer = catalogue.http.post(f"/api/jobs/{call}", json={"items": [{"id": job_id}]})
    assert answer.status_code == 400
    assert "virtual machines" in answer.json()["why"]
    job = as_sent(catalogue, job_id)
    core = catalogue.as_core
    forms = [core.post(f"/jobs/{call}", json={"items": [item]}) for item in ({"job": job}, job)]
    assert [form.status_code for form in forms] == [400, 400]
    assert catalogue.job(job_id)["status"]["state"] == "RUNNING"
    wait_until(lambda: told_running(catalogue, job_id) > 1, "the page to hear it")
    catalogue.stop(job_id)


def told_running(stack: Stack, job_id: str) -> int:
    return sum(update["state"] == "RUNNING" for update in stack.job(job_id)["updates"])
