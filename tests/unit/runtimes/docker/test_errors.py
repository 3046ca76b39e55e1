"""Whatever the Docker library raises, the driver raises one of ours."""

from __future__ import annotations

import email.errors
import inspect
import pickle
from types import ModuleType

import docker.errors
import pytest
import requests
import urllib3

from runtimes import errors
from runtimes.docker import client


def classes(module: ModuleType) -> list[type[Exception]]:
    return [kind for _, kind in inspect.getmembers(module, inspect.isclass) if issubclass(kind, Exception)]


def raised(kind: type[Exception]) -> Exception:
    """An instance without its constructor: these take arguments of all sorts, and the map looks at none of them."""
    error = kind.__new__(kind)
    Exception.__init__(error, "words")
    return error


UNREACHABLE = {
    email.errors.MessageDefect,  # a name that urllib3 imports, not an error that it raises
    urllib3.exceptions.ProxySchemeUnsupported,  # the client uses no proxy
}
LIBRARY = [
    kind
    for module in (docker.errors, requests.exceptions, urllib3.exceptions)
    for kind in classes(module)
    if not issubclass(kind, Warning) and kind not in UNREACHABLE
]


@pytest.mark.parametrize("kind", LIBRARY, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_error_of_the_libraries_becomes_ours(kind: type[Exception]) -> None:
    with pytest.raises(errors.DriverError) as caught, client.translated():
        raise raised(kind)
    assert isinstance(caught.value.__cause__, kind)
    assert pickle.loads(pickle.dumps(caught.value)).message == caught.value.message


def answer(status: int, words: str = "Conflict.") -> docker.errors.APIError:
    response = requests.Response()
    response.status_code = status
    return docker.errors.APIError("http error", response=response, explanation=words)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.InvalidTask),
        (404, errors.TaskNotFound),
        (409, client.Conflict),
        (500, errors.StartFailed),
        (502, errors.RuntimeUnavailable),
        (503, errors.RuntimeUnavailable),
        (504, errors.RuntimeUnavailable),
    ],
)
def test_an_answer_of_the_daemon_is_told_by_its_status(status: int, kind: type[Exception]) -> None:
    assert type(client.translate(answer(status), errors.StartFailed)) is kind


def test_a_server_error_leaves_a_tasks_state_unknown() -> None:
    """D4: only a start takes a 500 for a refusal."""
    assert type(client.translate(answer(500))) is errors.RuntimeUnavailable


@pytest.mark.parametrize("status", [400, 404, 409, 500])
def test_a_refused_pull_keeps_the_daemons_words_for_whoever_explains_it(status: int) -> None:
    error = client.translate(answer(status, "manifest unknown"), client.PullFailed, client.PullFailed)
    assert type(error) is client.PullFailed
    assert error.message == "manifest unknown"


def test_the_daemons_layers_of_failed_are_taken_off() -> None:
    words = (
        "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process:"
        " error during container init: sethostname: invalid argument: unknown"
    )
    assert client.translate(answer(500, words), errors.StartFailed).message == "sethostname: invalid argument"


def test_our_own_errors_pass_unchanged() -> None:
    ours = errors.TaskNotFound("gone")
    with pytest.raises(errors.TaskNotFound) as caught, client.translated():
        raise ours
    assert caught.value is ours
