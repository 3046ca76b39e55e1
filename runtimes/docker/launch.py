"""Create and start a container, or attach to the one that exists: never a second copy (REC-3).

Called by `driver.start`, as one blocking call: a caller that is cancelled in the middle leaves it to run to its end.

    create ──▶ start ──▶ launched
      │ name is taken      │ refused
      ▼                    ▼
    same incarnation?    remove the container and its folder
      yes, never launched ▶ start it: its maker died between the two calls
      yes ▶ attach         no ▶ NameTaken

Docker keeps names unique, also between processes, so the name is the guard. A container made but not started belongs to
nobody's running task yet and may be started by whoever comes next; starting twice is one start.
"""

from __future__ import annotations

import contextlib
import time
from typing import Any

from runtimes.docker import files, images, sources, state
from runtimes.docker import spec as container_spec
from runtimes.docker.client import Conflict, DockerClient
from runtimes.docker.host import HostFacts
from runtimes.errors import (
    DriverError,
    ImageUnavailable,
    NameTaken,
    RuntimeUnavailable,
    StartFailed,
    TaskNotFound,
)
from runtimes.settings import DockerSettings
from runtimes.types import TaskSpec

_MISSING_SOURCE = "bind source path does not exist: "
_NAME_SECONDS = 5.0
_NAME_RETRY_SECONDS = 0.02
"""Docker takes a name a moment before its container can be found, and frees it a moment after."""


def launch(client: DockerClient, settings: DockerSettings, host: HostFacts, spec: TaskSpec) -> str:
    """Returns the id of the running, or already ended, container. Errors as in the contract's `start`."""
    etc = files.etc_folder(settings.state_dir, spec.id.name)
    config = container_spec.container_config(spec, host, etc, settings.network)
    _refuse_root(client, spec)
    give_up_at = time.monotonic() + _NAME_SECONDS
    while True:
        try:
            return _create_and_start(client, settings, spec, config)
        except Conflict:
            pass
        try:
            return _attach(client, settings, spec)
        except TaskNotFound as vanished:
            if time.monotonic() > give_up_at:
                raise StartFailed("The container's name is taken, but there is no such container.") from vanished
        time.sleep(_NAME_RETRY_SECONDS)


def _refuse_root(client: DockerClient, spec: TaskSpec) -> None:
    """Looks at the image only if nothing else says who runs; `prepare` may not have been called."""
    if spec.user is not None or spec.run_as_root:
        return
    try:
        image = client.inspect_image(str(spec.image))
    except ImageUnavailable as missing:
        raise _explain(missing, spec) from missing
    images.refuse_root(str(spec.image), image)


def _create_and_start(client: DockerClient, settings: DockerSettings, spec: TaskSpec, config: dict[str, Any]) -> str:
    """Raises `Conflict` when the name is taken."""
    try:
        made = files.make_folders(settings.state_dir, spec.id.name)
    except OSError as error:
        raise _explain(error, spec) from error
    try:
        container = client.create(spec.id.name, config)
    except (Conflict, RuntimeUnavailable):
        raise
    except DriverError as error:
        # A folder that was there is another attempt's, which may be running with it.
        if made:
            files.remove(settings.state_dir, spec.id.name)
        raise _explain(error, spec) from error
    return _start(client, settings, spec, container)


def _attach(client: DockerClient, settings: DockerSettings, spec: TaskSpec) -> str:
    """Raises `TaskNotFound` if the container that had the name is gone by now."""
    container = client.inspect(spec.id.name)
    if state.incarnation(container) != spec.id.incarnation:
        raise NameTaken(f"Another task called {spec.id.name} is still on this machine.")
    if state.was_never_launched(container):
        return _start(client, settings, spec, container["Id"])
    return str(container["Id"])


def _start(client: DockerClient, settings: DockerSettings, spec: TaskSpec, container: str) -> str:
    """A refused start takes everything away again. An unanswered one does not: the task may run (D4)."""
    try:
        files.write(settings.state_dir, spec.id.name, spec.files)
        client.start(container)
    except RuntimeUnavailable:
        raise
    except (DriverError, OSError) as error:
        with contextlib.suppress(TaskNotFound):
            client.remove(container)
        files.remove(settings.state_dir, spec.id.name)
        raise _explain(error, spec) from error
    return container


def _explain(error: Exception, spec: TaskSpec) -> DriverError:
    """The same for the user, who knows targets and images but not this machine's paths."""
    words = str(error)
    if _MISSING_SOURCE in words:
        return sources.refusal(spec, words.rpartition(_MISSING_SOURCE)[2])
    if isinstance(error, ImageUnavailable):
        return StartFailed(f"The image {spec.image} is not on this machine any more.")
    if "could not select device driver" in words:
        return StartFailed(
            "Docker cannot give GPUs to containers on this machine: install the vendor's container toolkit."
        )
    if "docker-init" in words:
        return StartFailed("Docker's helper docker-init is missing on this machine: install tini.")
    if isinstance(error, OSError):
        return StartFailed("The files for /etc/ucloud could not be written.")
    return error if isinstance(error, DriverError) else StartFailed(words)
