"""What a daemon says and what a user reads. The words are those of Docker 20.10, as they came (ENV-55)."""

from __future__ import annotations

import pytest

from runtimes.docker import pull_errors
from runtimes.docker.pull_errors import Trouble

BODY = "response body: invalid character '<' looking for beginning of value: \"<html>\""
PERMANENT = {
    "manifest for 127.0.0.1:5000/a/b:2 not found: manifest unknown: manifest unknown": "has no such image",
    "pull access denied for h/a, repository does not exist or may require 'docker login': denied: no": "wants a login",
    'Head "http://127.0.0.1:5000/v2/a/b/manifests/1": no basic auth credentials': "wants a login",
    "unauthorized: authentication required": "wants a login",
    "invalid reference format: repository name must be lowercase": "not a name of an image",
    "no matching manifest for linux/amd64 in the manifest list entries": "not made for this type of machine",
    'image operating system "windows" cannot be used on this platform': "not made for this type of machine",
    "invalid character 'g' looking for beginning of value": "is not an image",
    "error unmarshalling content: invalid character '<' looking for beginning of value": "is not an image",
    "mediaType in manifest should be 'application/vnd.docker.distribution.manifest.v2+json' not ''": "is not an image",
    "missing signature key": "is not an image",
    'Encountered remote "application/vnd.cncf.helm.config.v1+json"(unknown) when fetching': "is not an image",
    "unsupported media type application/vnd.cncf.helm.config.v1+json": "is not an image",
    "failed to register layer: Error processing tar file(exit status 1): archive/tar: invalid tar header": "damaged",
    f"error parsing HTTP 404 {BODY}": "has no such image",
    f"error parsing HTTP 403 {BODY}": "wants a login",
    'Get "https://h:5000/v2/": http: server gave HTTP response to HTTPS client': "not secure",
    'Get "https://h/v2/": x509: certificate signed by unknown authority': "not secure",
}
PASSING = {
    'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused': "does not answer",
    'Get "https://no.invalid/v2/": dial tcp: lookup no.invalid on 10.2.3.4:53: no such host': "of this name",
    "received unexpected HTTP status: 503 Service Unavailable": "trouble of its own",
    "toomanyrequests: slow down": "limits how often",
    f"error parsing HTTP 429 {BODY}": "limits how often",
    "read tcp 127.0.0.1:1->127.0.0.1:2: read: connection reset by peer": "does not answer",
    "filesystem layer verification failed for digest sha256:12": "arrives damaged",
    "net/http: request canceled while waiting for connection (Client.Timeout exceeded)": "does not answer",
    "something that no version ever said": "does not answer",
}
FULL = "failed to register layer: Error processing tar file(exit status 1): write /x: no space left on device"


@pytest.mark.parametrize("words", PERMANENT)
def test_what_will_never_work_is_permanent_and_told_so(words: str) -> None:
    assert pull_errors.kind(words) is Trouble.PERMANENT
    told = pull_errors.explain("acme/batch:1.0", words)
    assert told.message.startswith("The image acme/batch:1.0 could not be fetched: ")
    assert PERMANENT[words] in told.message
    assert not told.retryable


@pytest.mark.parametrize("words", PASSING)
def test_what_may_pass_is_passing_and_tells_nothing_of_our_network(words: str) -> None:
    assert pull_errors.kind(words) is Trouble.PASSING
    assert PASSING[words] in pull_errors.reason(words)
    assert not {"127.0.0.1", "10.2.3.4", "tcp"} & set(pull_errors.explain("a:1", words).message.split())


def test_a_full_disk_is_the_machines() -> None:
    assert pull_errors.kind(FULL) is Trouble.MACHINE
    assert pull_errors.explain("a:1", FULL).retryable
    assert "the disk of the machine is full" in pull_errors.reason(FULL)


def test_a_refused_login_of_ours_is_told_as_that() -> None:
    assert "refuses the login" in pull_errors.reason("unauthorized: authentication required", logged_in=True)


def test_a_long_name_leaves_room_for_the_reason() -> None:
    name = f"registry.example.com/{'x' * 300}:1.0"
    assert len(pull_errors.short(name)) < 105
    assert pull_errors.short(name).endswith(":1.0")


@pytest.mark.parametrize(
    "reference", ["h:5000/acme/denied-x509:1.0", "h:5000/acme/denied-x509@sha256:12", "denied-x509"]
)
def test_the_name_of_an_image_is_not_taken_for_a_reason(reference: str) -> None:
    name = reference.partition("@")[0].removesuffix(":1.0")
    words = f'Get "https://{name}/manifests/1.0": dial tcp: connect: connection refused ({name})'
    assert pull_errors.kind(words) is Trouble.PERMANENT
    assert pull_errors.kind(pull_errors.without_name(words, reference)) is Trouble.PASSING
    for other in (reference, "h:5000/a:1", "m:1", "unknown:1"):
        missing = f"manifest for {other} not found: manifest unknown"
        assert pull_errors.kind(pull_errors.without_name(missing, other)) is Trouble.PERMANENT
