"""The Docker daemon's interface as this driver uses it: the only file that imports the Docker library.

Called by every other file of the driver. All methods block; `run` carries one to a thread of this client's own. They
raise nothing but `runtimes.errors` (and the two subclasses below, which stay inside the driver); `translate` is total
over what the library raises.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, Generic, ParamSpec, TypeVar

import docker
import docker.errors
import requests
import urllib3
from docker.types import CancellableStream
from docker.utils import parse_repository_tag

from runtimes import errors

P = ParamSpec("P")
T = TypeVar("T")

_REQUEST_SECONDS = 60
_THREADS = 8
_PULLS_AT_ONCE = 4
_SILENCE_SECONDS = 900
"""After which a pull that tells nothing is given up. The last writes of a large layer are silent minutes."""
_BATCH_BYTES = 1 << 16
_UNAVAILABLE = frozenset({502, 503, 504})
_WRAPPING = re.compile(
    r"failed to create \w+ task: |OCI runtime \w+ failed: |runc \w+ failed: "
    r"|unable to start container process: |error during container init: |: unknown$"
)
LIBRARY_ERRORS = (
    docker.errors.DockerException,
    docker.errors.StreamParseError,
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    http.client.HTTPException,
    json.JSONDecodeError,
    OSError,
)
"""What the library lets through, its own and from below; proved complete by `test_errors`."""


class Conflict(errors.StartFailed):
    """The name is in use, or the container is not in the state for this call."""


class PullFailed(errors.ImageUnavailable):
    """The daemon's own words on why an image could not be fetched; `images` says it in ours."""


class Stream(Generic[T]):
    """An endless answer, read by one thread and closed by another. Ends, without an error, when either side closes."""

    def __init__(self, stream: CancellableStream[T]) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[T]:
        with translated():
            yield from self._stream

    def close(self) -> None:
        try:
            self._stream.close()
        except (AttributeError, *LIBRARY_ERRORS):
            pass  # It ended at this very moment; the library then has no socket left to close.


class DockerClient:
    """One daemon. Opens nothing until it is first used, and connects again after the daemon was away."""

    def __init__(self, base_url: str | None) -> None:
        self.base_url = base_url
        self._api: docker.APIClient | None = None
        self._opening = threading.Lock()
        self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="docker")
        self._pulls = ThreadPoolExecutor(_PULLS_AT_ONCE, thread_name_prefix="pull")

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call in a thread of ours. A caller that leaves does not stop the call."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, lambda: function(*args, **kwargs))

    def close(self) -> None:
        for threads in (self.threads, self._pulls):
            threads.shutdown(wait=False, cancel_futures=True)
        with self._opening:
            if self._api is not None:
                self._api.close()
                self._api = None

    def version(self) -> Mapping[str, Any]:
        with translated():
            return self._connected().version()

    def info(self) -> Mapping[str, Any]:
        with translated():
            answer: Mapping[str, Any] = self._connected().info()
        return answer

    def create(self, name: str, config: dict[str, Any]) -> str:
        """Returns the container's id. The definition goes as it is: the library's own helper would add the proxy
        settings of this process's user to the task's environment (ENV-32)."""
        with translated(errors.StartFailed):
            untyped: Any = self._connected()
            answer = untyped.create_container_from_config(config, name)
        return str(answer["Id"])

    def start(self, container: str) -> None:
        """Starting what runs already is success."""
        with translated(errors.StartFailed):
            self._connected().start(container)

    def inspect(self, container: str) -> dict[str, Any]:
        with translated():
            answer: dict[str, Any] = self._connected().inspect_container(container)
        return answer

    def kill(self, container: str, signal: str) -> None:
        """Raises `Conflict` when it does not run."""
        with translated():
            self._connected().kill(container, signal)

    def remove(self, container: str) -> None:
        """Kill and remove it, with the anonymous volumes of its image. Raises `Conflict` while it is being removed."""
        with translated():
            self._connected().remove_container(container, v=True, force=True)

    def create_exec(self, container: str, config: Mapping[str, Any]) -> str:
        """Define a further program of a running container; returns its id. The definition goes as it is, like that of
        a container. Raises `Conflict` when the container does not run."""
        with translated(errors.StartFailed):
            untyped: Any = self._connected()
            url = untyped._url("/containers/{0}/exec", container)
            answer = untyped._result(untyped._post_json(url, data=dict(config)), True)
        return str(answer["Id"])

    def inspect_exec(self, id: str) -> dict[str, Any]:
        """Raises `errors.TaskNotFound` after its container was removed."""
        with translated():
            answer: dict[str, Any] = self._connected().exec_inspect(id)
        return answer

    def resize_exec(self, id: str, columns: int, rows: int) -> None:
        with translated():
            self._connected().exec_resize(id, height=rows, width=columns)

    @property
    def api_version(self) -> str:
        """That both sides understand."""
        with translated():
            return str(self._connected().api_version)

    def list_containers(self, label: str) -> list[dict[str, Any]]:
        with translated():
            answer: list[dict[str, Any]] = self._connected().containers(all=True, filters={"label": [label]})
        return answer

    def list_on_network(self, network: str) -> list[dict[str, Any]]:
        """Whoever is on it or will be once started; none where there is no such network."""
        with translated():
            answer: list[dict[str, Any]] = self._connected().containers(all=True, filters={"network": [network]})
        return answer

    def create_network(self, config: dict[str, Any]) -> None:
        """Raises `Conflict` when the name is in use."""
        with translated(errors.StartFailed, bad_request=errors.StartFailed):
            untyped: Any = self._connected()
            untyped._result(untyped._post_json(untyped._url("/networks/create"), data=config), True)

    def inspect_network(self, name: str) -> dict[str, Any]:
        """Raises `errors.TaskNotFound` when there is none."""
        with translated():
            untyped: Any = self._connected()
            answer: dict[str, Any] = untyped.inspect_network(name)
        return answer

    def remove_network(self, name: str) -> None:
        """Raises `errors.TaskNotFound`, `errors.StartFailed` while a container is on it."""
        with translated(bad_request=errors.StartFailed):
            untyped: Any = self._connected()
            untyped.remove_network(name)

    def inspect_image(self, reference: str) -> dict[str, Any]:
        """Raises `errors.ImageUnavailable` when this machine has no such image, or cannot have one of such a name."""
        with translated(bad_request=errors.ImageUnavailable):
            untyped: Any = self._connected()
            answer: dict[str, Any] = untyped.inspect_image(reference)
        return answer

    def archive(self, container: str, path: str, limit: int) -> bytes:
        """A file or link of the container, running or not, as a tar archive, cut off at `limit` bytes.

        Raises `errors.TaskNotFound` when there is no such file, or container.
        """
        with translated():
            pieces, _ = self._connected().get_archive(container, path)
            archive = b""
            for piece in pieces:
                archive += piece
                if len(archive) > limit:
                    break
        return archive[:limit]

    async def run_pull(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """`run` for what takes minutes: in one of a few threads of its own, so that it keeps none from the rest."""
        return await asyncio.get_running_loop().run_in_executor(self._pulls, lambda: function(*args, **kwargs))

    def pull(self, reference: str, login: Mapping[str, str]) -> Stream[dict[str, Any]]:
        """Have an image fetched for as long as the answer is read: what the daemon tells of it. Returns once the
        registry has said what the image is made of. An empty `login` is nobody, not this process's user.

        Raises `PullFailed` with the daemon's words, `errors.RuntimeUnavailable`.
        """
        name, tag = parse_repository_tag(reference)
        with translated():
            api = self._connected()
            response = api.post(
                f"{api.base_url}/v{api.api_version}/images/create",
                params={"fromImage": name, "tag": tag or "latest"},
                headers={"X-Registry-Auth": base64.urlsafe_b64encode(json.dumps(dict(login)).encode())},
                stream=True,
                timeout=(_REQUEST_SECONDS, _SILENCE_SECONDS),
            )
            if not response.ok:
                raise PullFailed(str(response.json().get("message")))
        return Stream(CancellableStream(map(json.loads, response.iter_lines()), response))

    def events(self, label: str, since: float) -> Stream[dict[str, Any]]:
        """What happens to containers with this label, from `since` (seconds since the epoch) on."""
        with translated():
            filters = {"type": ["container"], "label": [label]}
            return Stream(self._connected().events(since=int(since), filters=filters, decode=True))

    def _connected(self) -> docker.APIClient:
        with self._opening:
            if self._api is None:
                self._api = docker.APIClient(self.base_url, version="auto", timeout=_REQUEST_SECONDS, max_pool_size=32)
                # Not this process's proxies and .netrc, and no look at its environment in every call.
                self._api.trust_env = False
            return self._api


@contextmanager
def translated(
    server_error: type[errors.DriverError] = errors.RuntimeUnavailable,
    bad_request: type[errors.DriverError] = errors.InvalidTask,
) -> Iterator[None]:
    """Turn the library's errors into ours. The classes say what a 5xx and another 4xx mean for the call inside."""
    try:
        yield
    except LIBRARY_ERRORS as error:
        raise translate(error, server_error, bad_request) from error


def translate(
    error: Exception,
    server_error: type[errors.DriverError] = errors.RuntimeUnavailable,
    bad_request: type[errors.DriverError] = errors.InvalidTask,
) -> errors.DriverError:
    """Our error for one of the library's; anything that is no answer of the daemon means that it did not answer."""
    status = _status(error)
    if status is None or status in _UNAVAILABLE:
        return errors.RuntimeUnavailable("The Docker daemon of this machine does not answer.")
    if isinstance(error, docker.errors.ImageNotFound):
        return errors.ImageUnavailable("The image is not on this machine.")
    if bad_request is not PullFailed and status in (404, 409):
        gone = status == requests.codes.not_found
        return errors.TaskNotFound("There is no such container.") if gone else Conflict(_words(error))
    kind = server_error if status >= requests.codes.server_error else bad_request
    return kind(_words(error))


def _status(error: Exception) -> int | None:
    response = getattr(error, "response", None)
    return None if response is None else int(response.status_code)


def _words(error: Exception) -> str:
    """The daemon's explanation without the layers of "failed: failed:" around it."""
    explanation = getattr(error, "explanation", None) or str(error)
    return _WRAPPING.sub("", str(explanation)).strip()
