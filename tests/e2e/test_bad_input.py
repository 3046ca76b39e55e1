"""Everything that is wrong with a request: a 4xx whose `why` says what to do, nothing stored, nothing started.

Against both servers over real HTTP. "Nothing stored" is every row of both databases, compared before and after.
"""

from __future__ import annotations

import copy
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import jwt
import psutil
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.support import leftovers
from tests.support.stack import NATIVE, PROVIDER, Stack, specification
from tests.support.stored import everything_stored, nothing_under_way
from tests.support.wait import wait_until
from ucloud_ray.orchestrator import tokens

MEGABYTE = 1_000_000
NUL = "a\0b"
HUGE_BYTES = 100 * MEGABYTE


@pytest.fixture
def untouched(stack: Stack) -> Iterator[Stack]:
    """The stack; fails afterwards if a row of a database changed, or something was started."""
    wait_until(lambda: nothing_under_way(stack), "the jobs of earlier tests to be over and told")
    before = everything_stored(stack.data)
    yield stack
    assert everything_stored(stack.data) == before
    assert leftovers.of_ended_jobs(stack.data, stack.docker_url) == {}


def refused(answer: httpx.Response, status: int, *words: str) -> None:
    assert answer.status_code == status, answer.text
    why = answer.json()["why"]
    assert all(word in why for word in words), why


# ----------------------------------------------------------------------------------------------- what is not JSON

NOT_A_REQUEST = {
    "half": b'{"items": [',
    "no JSON at all": b"items=1",
    "a list": b"[]",
    "a text": b'"items"',
    "items is a text": b'{"items": "all"}',
    "an item is a number": b'{"items": [1]}',
    "not UTF-8": b'{"items": ["\xff\xfe"]}',
    "bottomless": b'{"items": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "no items": b"{}",
}


@pytest.mark.parametrize("content", NOT_A_REQUEST.values(), ids=NOT_A_REQUEST.keys())
@pytest.mark.parametrize("path", ["/api/jobs", "/api/jobs/terminate", "/api/jobs/extend"])
def test_the_orchestrator_refuses_what_is_no_request(untouched: Stack, path: str, content: bytes) -> None:
    refused(untouched.http.post(path, content=content), 400)


@pytest.mark.parametrize(
    "content", [pytest.param(content, id=name) for name, content in NOT_A_REQUEST.items() if name != "no items"]
)
@pytest.mark.parametrize("path", ["/jobs", "/jobs/terminate", "/jobs/extend"])
def test_the_provider_refuses_what_is_no_request(untouched: Stack, path: str, content: bytes) -> None:
    """The Core may ask for nothing: a request without items is answered with no answers."""
    refused(untouched.as_core.post(path, content=content), 400)


# -------------------------------------------------------------------------------------------- what cannot be a job

WRONG_JOBS: dict[str, tuple[dict[str, Any], str]] = {
    "unknown product": ({"product": {"id": "x", "category": "example-compute", "provider": PROVIDER}}, "product"),
    "unknown provider": ({"product": {"id": "example-small", "category": "example-compute", "provider": "x"}}, ""),
    "unknown application": ({"application": {"name": "no-such", "version": "1.0.0"}}, "no-such"),
    "unknown version": ({"application": {"name": NATIVE["name"], "version": "9"}}, "9"),
    "no application": ({"application": None}, "application"),
    "replicas is 0": ({"replicas": 0}, "replicas"),
    "replicas is negative": ({"replicas": -1}, "replicas"),
    "replicas is a text": ({"replicas": "two"}, "replicas"),
    "replicas is a fraction": ({"replicas": 1.5}, "replicas"),
    "no time": ({"timeAllocation": {"hours": 0, "minutes": 0, "seconds": 0}}, "ime"),
    "negative time": ({"timeAllocation": {"hours": -1, "minutes": 0, "seconds": 0}}, "ime"),
    "time is a text": ({"timeAllocation": "1h"}, "timeAllocation"),
    "mandatory parameter missing": ({"parameters": {}}, "var"),
    "parameter of the wrong type": ({"parameters": {"var": {"type": "integer", "value": 1}}}, "var"),
    "parameter is no value": ({"parameters": {"var": "Example"}}, "var"),
    "parameter of unknown type": ({"parameters": {"var": {"type": "nonsense", "value": 1}}}, "var"),
    "NUL in a parameter": ({"parameters": {"var": {"type": "text", "value": NUL}}}, "NUL"),
    "NUL in the name": ({"name": NUL}, "name"),
    "NUL in the application": ({"application": {"name": NUL, "version": "1"}}, ""),
    "resources is a number": ({"resources": 7}, "resources"),
}


@pytest.mark.parametrize(("changes", "word"), WRONG_JOBS.values(), ids=WRONG_JOBS.keys())
def test_the_orchestrator_refuses_what_cannot_be_a_job(untouched: Stack, changes: dict[str, Any], word: str) -> None:
    item = specification(NATIVE) | changes
    refused(untouched.http.post("/api/jobs", json={"items": [item]}), 400, word)


@pytest.fixture(scope="module")
def job_document(stack: Stack) -> dict[str, Any]:
    """A job as the Core sends it to us: one that has ended, read through the control API."""
    job_id = stack.run(NATIVE)["id"]
    query = {"id": job_id, "includeApplication": "true", "includeProduct": "true", "includeSupport": "true"}
    headers = {"Authorization": f"Bearer {tokens.provider_token(stack.keys, PROVIDER)}"}
    answer = stack.http.get("/api/jobs/control/retrieve", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_the_document_of_the_tests_below_is_accepted_as_it_is(stack: Stack, job_document: dict[str, Any]) -> None:
    """Otherwise they would prove nothing. It is a job that is known, so nothing is started."""
    assert stack.as_core.post("/jobs", json={"items": [job_document]}).status_code == 200


AT_THE_PROVIDER = {
    name: case
    for name, case in WRONG_JOBS.items()
    if name not in ("unknown application", "unknown version", "NUL in the application")
}
"""The Core sends the application along: for a provider there is none that is unknown."""
PROVIDERS_WORDS = {"product": "machine", "replicas": "nodes"}
"""Where it says something else than the orchestrator, which checks first: what the user calls it."""


@pytest.mark.parametrize(("changes", "word"), AT_THE_PROVIDER.values(), ids=AT_THE_PROVIDER.keys())
def test_the_provider_refuses_what_cannot_be_a_job(
    untouched: Stack, job_document: dict[str, Any], changes: dict[str, Any], word: str
) -> None:
    document = copy.deepcopy(job_document) | {"id": "987654321"}
    document["specification"] |= changes
    answer = untouched.as_core.post("/jobs", json={"items": [document]})
    refused(answer, 400)
    assert word in answer.json()["why"] or PROVIDERS_WORDS.get(word, word) in answer.json()["why"]


@pytest.mark.parametrize(
    ("field", "word"), [("id", "id"), ("specification", "specification"), ("owner", "owner"), ("status", "application")]
)
def test_the_provider_refuses_a_job_with_a_part_missing(
    untouched: Stack, job_document: dict[str, Any], field: str, word: str
) -> None:
    document = job_document | {"id": "987654321"}
    del document[field]
    refused(untouched.as_core.post("/jobs", json={"items": [document]}), 400, word)


# ------------------------------------------------------------------------------------------------- unknown jobs


@pytest.mark.parametrize("job_id", ["999999999", "no-number", "", NUL, "9" * 400])
def test_the_orchestrator_does_not_know_other_jobs(untouched: Stack, job_id: str) -> None:
    hour = {"hours": 1, "minutes": 0, "seconds": 0}
    answers = [
        untouched.http.get("/api/jobs/retrieve", params={"id": job_id}),
        untouched.http.post("/api/jobs/terminate", json={"items": [{"id": job_id}]}),
        untouched.http.post("/api/jobs/extend", json={"items": [{"jobId": job_id, "requestedTime": hour}]}),
    ]
    for answer in answers:
        assert answer.status_code in (400, 404), answer.text
        assert answer.json()["why"]


def test_the_provider_does_not_know_other_jobs(untouched: Stack, job_document: dict[str, Any]) -> None:
    """11.4."""
    hour = {"hours": 1, "minutes": 0, "seconds": 0}
    item = {"job": job_document | {"id": "987654321"}, "requestedTime": hour}
    refused(untouched.as_core.post("/jobs/extend", json={"items": [item]}), 404)


# ------------------------------------------------------------------------------------------------ forged tokens


def core_claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {"sub": "_UCloud", "role": "SERVICE", "iss": "cloud.sdu.dk", "iat": now, "exp": now + 600}
    return {name: value for name, value in (claims | changes).items() if value is not None}


def forged_for_the_provider(stack: Stack) -> dict[str, tuple[str, int]]:
    """Token and the status that it must be refused with."""
    ours, stranger = stack.keys.private, rsa.generate_private_key(public_exponent=65537, key_size=2048)
    past = int(time.time()) - 3600
    return {
        "none at all": ("", 401),
        "nonsense": ("a.b.c", 401),
        "alg none": (jwt.encode(core_claims(), "", algorithm="none"), 401),
        "HS256 with the public key": (hs256_with_public_key(stack, core_claims()), 401),
        "another key": (jwt.encode(core_claims(), stranger, algorithm="RS256"), 401),
        "the provider's own": (tokens.provider_token(stack.keys, PROVIDER), 403),
        "a user's": (stack.token(), 401),
        "expired": (jwt.encode(core_claims(iat=past - 600, exp=past), ours, algorithm="RS256"), 401),
        "never expires": (jwt.encode(core_claims(exp=None), ours, algorithm="RS256"), 401),
        "wrong sub": (jwt.encode(core_claims(sub="user"), ours, algorithm="RS256"), 403),
        "wrong role": (jwt.encode(core_claims(role="USER"), ours, algorithm="RS256"), 403),
        "wrong issuer": (jwt.encode(core_claims(iss="example.com"), ours, algorithm="RS256"), 401),
    }


def hs256_with_public_key(stack: Stack, claims: dict[str, Any]) -> str:
    """Signed by hand: the library refuses to take a public key for a secret."""
    import base64
    import hashlib
    import hmac

    def part(content: bytes) -> bytes:
        return base64.urlsafe_b64encode(content).rstrip(b"=")

    secret = stack.keys.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(json.dumps(claims).encode())
    return (signed + b"." + part(hmac.new(secret, signed, hashlib.sha256).digest())).decode()


FORGED = [
    "none at all", "nonsense", "alg none", "HS256 with the public key", "another key", "the provider's own", "a user's",
    "expired", "never expires", "wrong sub", "wrong role", "wrong issuer",
]  # fmt: skip


@pytest.mark.parametrize("kind", FORGED)
def test_the_provider_refuses_forged_tokens(untouched: Stack, job_document: dict[str, Any], kind: str) -> None:
    token, status = forged_for_the_provider(untouched)[kind]
    headers = {"Authorization": f"Bearer {token}".strip()}
    document = job_document | {"id": "987654321"}
    refused(untouched.as_core.post("/jobs", json={"items": [document]}, headers=headers), status)
    refused(untouched.as_core.get("/jobs/retrieveProducts", headers=headers), status)


def forged_for_the_orchestrator(stack: Stack) -> dict[str, str]:
    user = core_claims(sub="user", role="USER")
    past = int(time.time()) - 3600
    return {
        "none at all": "",
        "nonsense": "a.b.c",
        "alg none": jwt.encode(user, "", algorithm="none"),
        "alg none as provider": jwt.encode(core_claims(sub="#P_example", role="PROVIDER"), "", algorithm="none"),
        "HS256 with the public key": hs256_with_public_key(stack, core_claims(sub="#P_example", role="PROVIDER")),
        "HS512 with a guessed secret": jwt.encode(user, "s" * 64, algorithm="HS512"),
        "a user signed by the provider": jwt.encode(user, stack.keys.private, algorithm="RS256"),
        "what the orchestrator shows to providers": jwt.encode(core_claims(), stack.keys.private, algorithm="RS256"),
        "another provider": jwt.encode(core_claims(sub="#P_other"), stack.keys.private, algorithm="RS256"),
        "expired provider": jwt.encode(
            core_claims(sub="#P_example", iat=past - 600, exp=past), stack.keys.private, algorithm="RS256"
        ),
    }


FORGED_USERS = [
    "none at all", "nonsense", "alg none", "alg none as provider", "HS256 with the public key",
    "HS512 with a guessed secret", "a user signed by the provider", "what the orchestrator shows to providers",
    "another provider", "expired provider",
]  # fmt: skip


@pytest.mark.parametrize("kind", FORGED_USERS)
def test_the_orchestrator_refuses_forged_tokens(untouched: Stack, kind: str) -> None:
    headers = {"Authorization": f"Bearer {forged_for_the_orchestrator(untouched)[kind]}".strip()}
    job_id = untouched.get("/api/jobs/browse", itemsPerPage=1)["items"][0]["id"]
    update = {"items": [{"id": job_id, "update": {"state": "FAILURE"}}]}
    refused(untouched.http.post("/api/jobs", json={"items": [specification(NATIVE)]}, headers=headers), 401)
    refused(untouched.http.get("/api/jobs/browse", headers=headers), 401)
    refused(untouched.http.post("/api/jobs/control/update", json=update, headers=headers), 401)


def test_users_and_providers_may_not_do_what_is_the_others(untouched: Stack) -> None:
    job_id = untouched.get("/api/jobs/browse", itemsPerPage=1)["items"][0]["id"]
    update = {"items": [{"id": job_id, "update": {"state": "FAILURE"}}]}
    refused(untouched.http.post("/api/jobs/control/update", json=update), 403)
    provider = {"Authorization": f"Bearer {tokens.provider_token(untouched.keys, PROVIDER)}"}
    refused(untouched.http.post("/api/jobs", json={"items": [specification(NATIVE)]}, headers=provider), 403)
    refused(untouched.http.put("/api/hpc/apps", content=b"application: v1"), 403)


# ---------------------------------------------------------------------------------------------------- too large


@pytest.mark.parametrize("length", ["announced", "chunked"])
@pytest.mark.parametrize("part", ["orchestrator", "provider"])
def test_a_body_of_100_mb_is_refused_without_being_read(
    untouched: Stack, part: str, length: str, tmp_path: Path
) -> None:
    """By curl, which sends on while it is answered, as programs do."""
    if part == "orchestrator":
        url, token = f"{untouched.url}/api/jobs", untouched.token()
    else:
        url, token = f"{untouched.provider_url}/ucloud/{PROVIDER}/jobs", tokens.ServiceToken(untouched.keys).current()
    before = resident_bytes(untouched, part)
    answer = send_100_mb(url, token, length == "chunked", tmp_path)
    assert answer["status"] == 413
    assert "bytes" in answer["why"]
    assert resident_bytes(untouched, part) - before < HUGE_BYTES / 2


def send_100_mb(url: str, token: str, chunked: bool, folder: Path) -> dict[str, Any]:
    """The answer's body, and the status as `status`."""
    file = folder / "zeros"
    with file.open("wb") as zeros:
        zeros.truncate(HUGE_BYTES)
    source = "-" if chunked else str(file)
    command = ["curl", "-sS", "-X", "POST", "-H", "Expect:", "-H", f"Authorization: Bearer {token}", "-T", source]
    with file.open("rb") as body:
        done = subprocess.run([*command, "-w", "\n%{http_code}", url], stdin=body, capture_output=True, check=False)
    content, _, status = done.stdout.rpartition(b"\n")
    assert content, done.stderr
    return {**json.loads(content), "status": int(status)}


def resident_bytes(stack: Stack, part: str) -> int:
    return int(psutil.Process(stack.pid(part)).memory_info().rss)
