"""Create and start a container, or attach to the one that exists: never a second copy (REC-3).

Called by `driver.start`, as one blocking call: a caller that is cancelled in the middle leaves it to run to its end.

    look ──nothing there──▶ hold the mounts ──▶ create ──▶ start ──▶ let go of them ──▶ launched
     │ a container of this name                  │ name is taken: look again
     ▼                                           │ refused: remove the container and its folder
    same incarnation?
      yes, never launched ▶ hold the mounts, start it: its maker died between the two calls
      yes ▶ attach         no ▶ NameTaken

Docker keeps names unique, also between processes, so the name is the guard; the lock of the task's folder keeps the
mounts of one start from being let go of by another. A container made but not started belongs to nobody's running task
yet and may be started by whoever comes next; starting twice is one start.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

from runtimes.docker import attachment, files, identity, inherited, opener, pull_errors, state, strays
from runtimes.docker import spec as container_spec
from runtimes.docker.client import Conflict, DockerClient
from runtimes.docker.host import HostFacts
from runtimes.docker.spec import Surroundings
from runtimes.errors import (
    DriverError,
    ImageUnavailable,
    InvalidTask,
    NameTaken,
    RuntimeUnavailable,
    StartFailed,
    TaskNotFound,
)
from runtimes.mounts import pins, sources
from runtimes.network import docker_names
from runtimes.settings import DockerSettings
from runtimes.types import Mount, TaskSpec

_MISSING_SOURCE = "bind source path does not exist: "
_LOST = "Docker was killed while it started the container, and lost it."
_ADDRESS_TAKEN = "Address already in use"
_NO_SUCH_NETWORK = re.compile("network .* not found")
_NAME_SECONDS = 5.0
_CARRIED_SECONDS = 60.0
_NAME_RETRY_SECONDS = 0.02
"""Docker takes a name a moment before its container can be found, and frees it a moment after."""


def launch(
    client: DockerClient, settings: DockerSettings, host: HostFacts, spec: TaskSpec, carry: Callable[[], Future[None]]
) -> str:
    """Returns the id of the running, or already ended, container. Errors as in the contract's `start`.

    `carry` begins to have the output carried, and says when that is so.
    """
    return _Launch(client, settings, host, spec, carry).run()


class _Launch:
    """One call of `launch`."""

    def __init__(
        self,
        client: DockerClient,
        settings: DockerSettings,
        host: HostFacts,
        spec: TaskSpec,
        carry: Callable[[], Future[None]],
    ) -> None:
        self._client, self._settings, self._host, self._spec = client, settings, host, spec
        self._carry = carry
        self._script = ""
        self._name, self._state_dir = spec.id.name, settings.state_dir
        self._folder = files.task_folder(settings.state_dir, spec.id.name)
        self._path = inherited.SEARCH_PATH

    def run(self) -> str:
        image = self._image()
        around = self._surroundings(image)
        spec = inherited.resolved(self._client, self._settings, self._spec, image, around.user)
        variables = {**inherited.variables_of(image), **container_spec.environment(spec)}
        self._path, self._script = variables["PATH"], opener.script(variables)
        config = container_spec.container_config(spec, around)
        config = attachment.attached(config, self._spec, self._settings)
        try:
            with files.alone(self._state_dir, self._name) as made:
                try:
                    pins.release(self._folder)  # what a starter held that died
                    return self._look_until_settled(config)
                except (DriverError, OSError) as error:
                    # A folder that was there is another attempt's, which may be running with it. One whose start was
                    # not answered may be running too (D4).
                    if made and not isinstance(error, RuntimeUnavailable):
                        files.remove(self._state_dir, self._name)
                    raise
        except (DriverError, OSError) as error:
            raise self._explain(error) from error

    def _image(self) -> dict[str, Any]:
        try:
            return self._client.inspect_image(str(self._spec.image))
        except ImageUnavailable as missing:
            raise self._explain(missing) from missing

    def _surroundings(self, image: dict[str, Any]) -> Surroundings:
        return Surroundings(
            host=self._host,
            user=identity.runs_as(self._client, self._settings, self._host, self._spec, image),
            binds=self._binds(),
            etc_folder=files.etc_folder(self._state_dir, self._name),
            output_folder=files.output_folder(self._state_dir, self._name),
            image_command=inherited.command_of(image),
            scratch_bytes=self._settings.scratch_bytes,
        )

    def _binds(self) -> tuple[Mount, ...]:
        """Where Docker shall find what the task sees. A place that is held is read-only by itself: told so as well,
        Docker would mount it anew and take off `nosuid,nodev`."""
        wanted = sources.of_task(self._spec)
        if self._host.pins:
            return tuple(
                Mount(str(pins.place(self._folder, index)), source.target) for index, source in enumerate(wanted)
            )
        return tuple(Mount(sources.checked_path(source), source.target, source.read_only) for source in wanted)

    def _look_until_settled(self, config: dict[str, Any]) -> str:
        give_up_at = time.monotonic() + _NAME_SECONDS
        while True:
            try:
                container = self._client.inspect(self._name)
            except TaskNotFound:
                try:
                    return self._create_and_start(config)
                except Conflict as taken:
                    if time.monotonic() > give_up_at:
                        raise StartFailed("The container's name is taken, but there is no such container.") from taken
                time.sleep(_NAME_RETRY_SECONDS)
            else:
                return self._attach(container)

    def _create_and_start(self, config: dict[str, Any]) -> str:
        """Raises `Conflict` when the name is taken."""
        attachment.write(self._spec, self._settings)
        carried = self._carried()
        with self._mounts_held():
            return self._start(self._client.create(self._name, config), carried)

    def _carried(self) -> Future[None]:
        """Whoever carries the output is made while the daemon makes the container."""
        busybox = opener.find_busybox()
        if busybox is None:
            raise StartFailed(opener.MISSING)
        files.make_output(self._state_dir, self._name, opener.provide(self._state_dir, busybox), self._script)
        return self._carry()

    def _attach(self, container: dict[str, Any]) -> str:
        if state.incarnation(container) != self._spec.id.incarnation:
            raise NameTaken(f"Another task called {self._name} is still on this machine.")
        if state.was_never_launched(container):
            attachment.write(self._spec, self._settings)
            carried = self._carried()
            with self._mounts_held():
                return self._start(container["Id"], carried)
        self._close_names(container["Id"])
        return str(container["Id"])

    @contextlib.contextmanager
    def _mounts_held(self) -> Iterator[None]:
        if not self._host.pins:
            yield
            return
        pins.hold(self._folder, list(sources.of_task(self._spec)))
        try:
            yield
        finally:
            with contextlib.suppress(FileNotFoundError):  # the task was destroyed meanwhile, its folder with it
                pins.release(self._folder)

    def _start(self, container: str, carried: Future[None]) -> str:
        """A refused start takes everything away again. An unanswered one does not: the task may run (D4)."""
        try:
            carried.result(_CARRIED_SECONDS)
            inherited.require_program(self._client, container, self._spec, self._path)
            files.write(self._state_dir, self._name, self._spec.files)
            self._start_once_free(container)
            self._close_names(container)
        except RuntimeUnavailable:
            raise
        except (DriverError, OSError):
            with contextlib.suppress(TaskNotFound):
                self._client.remove(container)
            files.remove(self._state_dir, self._name)
            raise
        return container

    def _start_once_free(self, container: str) -> None:
        """Docker takes an address back a moment after the container that had it is gone."""
        give_up_at = time.monotonic() + _NAME_SECONDS
        while True:
            try:
                return self._client.start(container)
            except DriverError as error:
                if time.monotonic() > give_up_at:
                    # What containerd says of one that it does not forget names folders of this machine.
                    raise StartFailed(_LOST) if strays.is_meant(error) else error from None
                if strays.is_meant(error):
                    self._end_stray(container)
                elif _ADDRESS_TAKEN not in str(error):
                    raise
            time.sleep(_NAME_RETRY_SECONDS)

    def _end_stray(self, container: str) -> None:
        """One that never ran is started as if nothing had been. A program that did must not run twice (REC-3)."""
        if strays.end(container):
            raise StartFailed(_LOST)

    def _close_names(self, container: str) -> None:
        """Also when attaching: whoever started it may have died before this."""
        if self._spec.address is None:
            return
        pid = int(self._client.inspect(container)["State"]["Pid"])
        if pid:
            docker_names.shut(pid)

    def _explain(self, error: Exception) -> DriverError:
        """The same for the user, who knows UCloud paths and images but not this machine's paths."""
        words = str(error)
        if _MISSING_SOURCE in words:
            return self._vanished(words.rpartition(_MISSING_SOURCE)[2])
        return _explain(error, words, str(self._spec.image))

    def _vanished(self, path: str) -> InvalidTask:
        for source, bind in zip(sources.of_task(self._spec), self._binds(), strict=True):
            if bind.source == path:
                return InvalidTask(f"{source.shown_as} does not exist.")
        return InvalidTask("A file that the task shall see does not exist.")


def _explain(error: Exception, words: str, image: str) -> DriverError:
    if isinstance(error, ImageUnavailable):
        return StartFailed(f"The image {image} is not on this machine any more.")
    if "could not select device driver" in words:
        return StartFailed(
            "Docker cannot give GPUs to containers on this machine: install the vendor's container toolkit."
        )
    if _ADDRESS_TAKEN in words:
        return StartFailed("Another container of this machine has the task's network address.", retryable=True)
    # The daemon says "not found" of a network as it does of a container.
    if _NO_SUCH_NETWORK.search(str(error.__cause__)):
        return StartFailed("The network of containers is not set up on this machine yet.", retryable=True)
    if "docker-init" in words:
        return StartFailed("Docker's helper docker-init is missing on this machine: install tini.")
    if "storage-opt" in words:
        return StartFailed("Docker on this machine cannot limit the size of containers: its operator must change that.")
    if pull_errors.is_full_disk(words):  # ours or Docker's; it may have room again, or another machine has
        return StartFailed("The disk of the machine is full.", retryable=True)
    if isinstance(error, OSError):
        return StartFailed("The files of the task could not be written on this machine.")
    return error if isinstance(error, DriverError) else StartFailed(words)
