"""The contract of `runtimes.driver` for Docker containers, in terms of the files beside this one.

A container belongs to the daemon: it outlives this object and its process (D1). What another process needs to find it
again is its name, its labels and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any

from runtimes.abandoned import end_abandoned
from runtimes.docker import (
    attachment,
    capabilities,
    files,
    handles,
    host,
    identity,
    images,
    launch,
    pulling,
    state,
    stats,
    strays,
    turns,
)
from runtimes.docker import spec as container_spec
from runtimes.docker.client import Conflict, DockerClient
from runtimes.docker.events import EventWatcher
from runtimes.docker.output import LogTarget, Output
from runtimes.docker.terminal import DockerTerminal, open_terminal
from runtimes.errors import InvalidTask, RuntimeUnavailable, TaskNotFound
from runtimes.gauges import Gauges
from runtimes.mounts import sources
from runtimes.settings import DockerSettings
from runtimes.terminals import TerminalSize
from runtimes.types import (
    Capabilities,
    ExitResult,
    FoundTask,
    LogPaths,
    Progress,
    TaskHandle,
    TaskId,
    TaskSpec,
    TaskState,
    TaskStatus,
    Usage,
)

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 30.0
"""How often a waiter looks at its container without having been told anything."""
_DRAIN_SECONDS = 10.0
_REMOVAL_RETRY_SECONDS = 0.05
_CAPABILITIES_SECONDS = 2.0


class DockerDriver:
    """Runs each task as one container of the local daemon."""

    name = "docker"

    def __init__(self, settings: DockerSettings) -> None:
        self._settings = settings
        self._client = DockerClient(settings.base_url)
        self._images = images.Images(
            lambda reference: self._client.run(self._client.inspect_image, reference),
            pulling.way(self._client, settings),
            settings.state_dir,
            turns.daemon_name(settings.base_url),
        )
        self._preparing: dict[TaskId, str] = {}
        self._events = EventWatcher(lambda since: self._client.events(container_spec.INCARNATION, since))
        self._output = Output(settings.state_dir, self._client.threads)
        self._gauges = Gauges()
        self._host: host.HostFacts | None = None
        self._capabilities: tuple[float, Capabilities] | None = None

    async def capabilities(self) -> Capabilities:
        now = time.monotonic()
        if self._capabilities is None or now - self._capabilities[0] > _CAPABILITIES_SECONDS:
            self._capabilities = (
                now,
                await self._client.run(capabilities.probe, self._client, self._settings.scratch_bytes),
            )
        return self._capabilities[1]

    async def prepare(self, spec: TaskSpec) -> None:
        if not spec.image:
            raise InvalidTask("A container needs an image, and the application names none.")
        await self._client.run(sources.require, spec)
        self._output.warm_up()
        facts = await self._host_facts()
        image = await self._image(spec.id, spec.image)
        images.refuse_foreign(spec.image, image, facts.architecture)
        await self._client.run(identity.runs_as, self._client, self._settings, facts, spec, image)

    def progress(self, id: TaskId) -> Progress | None:
        reference = self._preparing.get(id)
        return None if reference is None else self._images.progress(reference)

    async def start(self, spec: TaskSpec) -> TaskHandle:
        facts = await self._host_facts()
        target = LogTarget("", spec.logs, spec.job_folder, self._settings.job_user or spec.user, spec.job_root)
        loop = asyncio.get_running_loop()

        def carry() -> Future[None]:
            return asyncio.run_coroutine_threadsafe(self._output.carry(spec.id.name, target), loop)

        container = await self._client.run(launch.launch, self._client, self._settings, facts, spec, carry)
        target = dataclasses.replace(target, container=container)
        await self._output.carry_on(spec.id.name, target)  # an earlier start's may be dead
        return handles.make(spec.id, target)

    async def recover(self, id: TaskId) -> TaskHandle:
        container = await self._find(id.name, id)
        state.task_status(container)
        with contextlib.suppress(OSError):  # it is tried again when the task is destroyed
            await self._client.run(files.release_abandoned, self._settings.state_dir, id.name)
        target = handles.target_of_container(container, self._settings.job_user)
        await self._output.carry_on(id.name, target)
        return handles.make(id, target)

    async def wait(self, handle: TaskHandle) -> ExitResult:
        result = await self._ended(handle)
        await self._output.finished(handle.id.name, handles.log_target(handle))
        return result

    async def stop(self, handle: TaskHandle, grace_seconds: float) -> None:
        try:
            await self._kill(handle, "SIGTERM")
            async with asyncio.timeout(grace_seconds):
                await self._ended(handle)
        except TimeoutError:
            await self._kill_at_once(handle)
        except (Conflict, TaskNotFound):
            pass  # It has ended already.

    async def destroy(self, id: TaskId) -> None:
        self._gauges.forget(id)
        try:
            container = await self._client.run(self._client.inspect, id.name)
        except TaskNotFound:
            await self._client.run(files.remove, self._settings.state_dir, id.name)
            return
        if state.incarnation(container) != id.incarnation:
            return  # The name, and the folder of that name, belong to another attempt now.
        await self._drain(id, container)
        await self._remove(container["Id"])
        if state.was_never_launched(container):
            await self._client.run(strays.end, container["Id"])
        await self._client.run(files.remove, self._settings.state_dir, id.name)

    async def inspect(self, handle: TaskHandle) -> TaskStatus:
        return state.task_status(await self._find(handles.container_id(handle), handle.id))

    async def usage(self, handle: TaskHandle) -> Usage:
        if (measured := self._gauges.read(handle.id)) is not None:
            return measured
        container = await self._find(handles.container_id(handle), handle.id)
        if state.task_status(container).state is TaskState.ENDED:
            raise TaskNotFound("The task has ended and uses nothing.")
        try:
            return self._gauges.keep(handle.id, stats.gauge(container["State"]["Pid"])).read()
        except (FileNotFoundError, ProcessLookupError) as gone:
            raise TaskNotFound("The task has ended and uses nothing.") from gone
        except (OSError, KeyError, ValueError) as error:
            raise RuntimeUnavailable("The task's control groups cannot be read.") from error

    async def logs(self, handle: TaskHandle) -> LogPaths:
        target = handles.log_target(handle)
        await self._output.carry_on(handle.id.name, target)
        return target.paths

    async def list_tasks(self, provider_id: str) -> Sequence[FoundTask]:
        label = f"{container_spec.PROVIDER}={provider_id}"
        containers = await self._client.run(self._client.list_containers, label)
        return [
            handles.found_task(container)
            for container in containers
            if container_spec.INCARNATION in container["Labels"]
        ]

    async def set_hosts(self, id: TaskId, hosts: Mapping[str, str]) -> None:
        container = await self._find(id.name, id)
        await self._client.run(attachment.change_hosts, container, self._settings, id.name, hosts)

    async def open_terminal(self, id: TaskId, size: TerminalSize) -> DockerTerminal:
        container = await self._find(id.name, id)
        if state.task_status(container).state is TaskState.ENDED:
            raise TaskNotFound("The task has ended.")
        return await open_terminal(self._client, container["Id"], size)

    async def end_abandoned_terminals(self) -> int:
        return await self._client.run(end_abandoned, self.name)

    async def close(self) -> None:
        await self._images.close()
        await self._output.close()
        await asyncio.get_running_loop().run_in_executor(None, self._close_threads)

    def _close_threads(self) -> None:
        self._events.close()
        self._client.close()

    async def _image(self, id: TaskId, reference: str) -> Mapping[str, Any]:
        self._preparing[id] = reference
        try:
            return await self._images.ensure(reference)
        finally:
            self._preparing.pop(id, None)

    async def _host_facts(self) -> host.HostFacts:
        if self._host is None:
            self._host = await self._client.run(host.look, self._client)
        return self._host

    async def _find(self, container_id: str, id: TaskId) -> Mapping[str, Any]:
        """Raises `errors.TaskNotFound` also for a container of another attempt: that one is not to be touched."""
        container = await self._client.run(self._client.inspect, container_id)
        if state.incarnation(container) != id.incarnation:
            raise TaskNotFound(f"The container {id.name} is another attempt's.")
        return container

    async def _ended(self, handle: TaskHandle) -> ExitResult:
        """Wait for the container's end, whatever its log does."""
        with self._events.watch(handles.container_id(handle)) as wakeup:
            while True:
                wakeup.clear()
                status = await self.inspect(handle)
                if status.exit is not None:
                    return status.exit
                await self._output.carry_on(handle.id.name, handles.log_target(handle))
                await wakeup.heard(_LOOK_SECONDS)

    async def _kill(self, handle: TaskHandle, signal: str) -> None:
        """Raises `TaskNotFound`, or `Conflict` when it has ended."""
        await self._find(handles.container_id(handle), handle.id)
        await self._client.run(self._client.kill, handles.container_id(handle), signal)

    async def _kill_at_once(self, handle: TaskHandle) -> None:
        try:
            await self._kill(handle, "SIGKILL")
            await self._ended(handle)
        except (Conflict, TaskNotFound):
            pass  # It has ended already.

    async def _drain(self, id: TaskId, container: Mapping[str, Any]) -> None:
        """End it, and save what it wrote, before the pipes go with its folder (ENV-57)."""
        if state.was_never_launched(container):
            return
        target = handles.target_of_container(container, self._settings.job_user)
        try:
            async with asyncio.timeout(_DRAIN_SECONDS):
                await self._kill_at_once(handles.make(id, target))
                await self._output.finished(id.name, target)
        except TimeoutError:
            logger.warning("removing %s before all of its output was written", id.name)

    async def _remove(self, container: str) -> None:
        while True:
            try:
                await self._client.run(self._client.remove, container)
                return
            except TaskNotFound:
                return
            except Conflict:
                pass  # The daemon is at it already, for somebody else.
            await asyncio.sleep(_REMOVAL_RETRY_SECONDS)
