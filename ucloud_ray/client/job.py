"""The handle of one job: follow it, wait for it, read its output, stop it, fetch its files."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, Generic, overload

from ucloud_ray.client import log_parts, paging
from ucloud_ray.client.calls import Group, P, R, bound, call, each, nothing, reads
from ucloud_ray.client.effects import Events, Json, Plan, Sleep
from ucloud_ray.client.errors import ClientError, Mistake, StillRunning
from ucloud_ray.client.following import DETAILS, FINAL_STATES, Following, Place, Seen
from ucloud_ray.client.submission import duration
from ucloud_ray.client.transfers import Progress, download
from ucloud_ray.wire.drives import File
from ucloud_ray.wire.jobs import Job, JobStatus
from ucloud_ray.wire.output import LogPart, RankUsage
from ucloud_ray.wire.sessions import OpenSessionWithProvider

if TYPE_CHECKING:
    from ucloud_ray.client.awaiting import Awaiting
    from ucloud_ray.client.blocking import Blocking, Plain

FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.2, 2.0
"""Between questions whether the job is over: the longer it lasts, the rarer."""


def _seen(event: Any) -> Seen:
    found: Seen = event
    return found


class JobHandle(Group[R]):
    """`id` is the job's. Making one asks nothing."""

    def __init__(self, runner: R, job_id: str, specification: Mapping[str, Any] | None = None) -> None:
        super().__init__(runner)
        self.id = job_id
        self.specification = specification
        """What was asked for, if the job was submitted here."""

    def __repr__(self) -> str:
        return f"<job {self.id} at {self._session.url}>"

    @call(reads(Job))
    def retrieve(self) -> Plan[Json]:
        """The job as it is now. Raises `NotFound`."""
        return (yield from self._retrieve())

    @call(reads(JobStatus))
    def wait(self, timeout: float | None = None) -> Plan[Json]:
        """Until the job is over; its final status, whose `state` is SUCCESS, FAILURE or EXPIRED.

        `timeout`: seconds. Raises `StillRunning` after them, `Unavailable` when the server stays away.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = FIRST_LOOK_SECONDS
        while True:
            job = yield from self._retrieve()
            if job["status"]["state"] in FINAL_STATES:
                return job["status"]
            left = None if deadline is None else deadline - time.monotonic()
            if left is not None and left <= 0:
                raise StillRunning(f"job {self.id} is {job['status']['state']} after {timeout:g} seconds")
            yield Sleep(pause if left is None else min(pause, left))
            pause = min(1.2 * pause, LAST_LOOK_SECONDS)

    @each(_seen)
    def follow(self, begin: Mapping[Place, int] | None = None) -> Events:
        """What happens to the job and what it writes, until it is over: `StateSeen` and `OutputSeen`, the end last.

        Outlasts lost connections, and tells nothing twice. `begin`: byte offsets of streams whose past is not wanted,
        by rank and stream (our orchestrator). Raises `Unavailable` when the server stays away, `NotFound`.
        """
        yield from Following(self._session, self.id, begin).until_final()

    @each(_seen)
    def replay(self, quiet_seconds: float = 1.0) -> Events:
        """What `follow` would tell now; ends when nothing came for so long. For servers without parts of logs."""
        yield from Following(self._session, self.id).so_far(quiet_seconds)

    @call(str)
    def logs(self, rank: int = 0, stream: str = "stdout", tail: int | None = None) -> Plan[str]:
        """All that a rank has written, or its last `tail` lines. Held in memory: see `output` for long ones."""
        return (yield from log_parts.whole_text(self._session, self.id, rank, _stream(stream), tail))

    @each(reads(LogPart))
    def output(self, rank: int = 0, stream: str = "stdout", *, offset: int = 0, tail: int | None = None) -> Events:
        """Part by part of what a rank has written, from a byte offset on or the last `tail` lines; at most 4 MiB each.

        Of our orchestrator; raises `NoParts` at another one.
        """
        yield from log_parts.Parts(self._session, self.id, rank, _stream(stream)).read(offset, tail)

    @call(nothing)
    def stop(self) -> Plan[None]:
        """End the job. What it has written so far stays."""
        body = {"items": [{"id": self.id}]}
        yield from self._session.ask("POST", "/api/jobs/terminate", body=body, repeatable=True)

    @call(nothing)
    def extend(self, by: timedelta) -> Plan[None]:
        """Give the job more time. Not repeated when the answer is lost: it would be added twice."""
        item = {"jobId": self.id, "requestedTime": duration(by)}
        yield from self._session.ask("POST", "/api/jobs/extend", body={"items": [item]})

    @call(reads(OpenSessionWithProvider))
    def open_session(self, kind: str = "SHELL", rank: int = 0, target: str | None = None) -> Plan[Json]:
        """An interactive session with one node: `SHELL` (see `client.shells`), `WEB` or `VNC`. `target`: of several
        endpoints. What is answered is a credential for the session. Raises `Refused` when the job does not run."""
        item = {"id": self.id, "rank": rank, "sessionType": kind, "target": target}
        body = {"items": [item]}
        answer = yield from self._session.ask("POST", "/api/jobs/interactiveSession", body=body, repeatable=True)
        return answer["responses"][0]

    @call(reads(list[RankUsage]))
    def usage(self) -> Plan[Json]:
        """What each rank uses at the moment. Of our orchestrator."""
        return (yield from self._session.ask("GET", f"/api/jobs/{self.id}/usage")).get("ranks") or []

    @each(reads(File))
    def files(self) -> Events:
        """What lies in the job's folder."""
        yield from paging.items(self._session, "/api/files/browse", {"path": (yield from self._folder())})

    @call(Path)
    def download(
        self, name: str, target: str | Path | None = None, *, replace: bool = False, progress: Progress | None = None
    ) -> Plan[Path]:
        """A file of the job's folder, to `target` or the same name here. See `files.download`."""
        place = f"{yield from self._folder()}/{name.strip('/')}"
        return (yield from download(self._session, place, target, replace, progress))

    # ----------------------------------------------------------------------------------------------------- internal

    def _retrieve(self) -> Plan[Json]:
        return (yield from self._session.ask("GET", "/api/jobs/retrieve", {"id": self.id, **DETAILS}))

    def _folder(self) -> Plan[str]:
        job = yield from self._retrieve()
        told = (job.get("output") or {}).get("outputFolder")
        folders = [update.get("outputFolder") for update in job.get("updates") or []]
        found = [folder for folder in (*folders, told) if folder]
        if not found:
            raise ClientError(f"job {self.id} has no folder yet; wait until it has run")
        return str(found[-1])


class Handled(Generic[P]):
    """A `call` whose result is a handle of the job that it created."""

    def __init__(self, plan: Callable[Concatenate[Any, P], Plan[Json]]) -> None:
        self._plan = plan
        self.__doc__ = plan.__doc__

    @overload
    def __get__(self, group: Group[Plain], owner: Any = None) -> Callable[P, Any]: ...
    @overload
    def __get__(self, group: Group[Blocking], owner: Any = None) -> Callable[P, JobHandle[Blocking]]: ...
    @overload
    def __get__(
        self, group: Group[Awaiting], owner: Any = None
    ) -> Callable[P, Coroutine[Any, Any, JobHandle[Awaiting]]]: ...

    def __get__(self, group: Any, owner: Any = None) -> Any:
        def read(answer: Any) -> Any:
            return JobHandle(group._runner, str(answer["id"]), answer["specification"])

        return self if group is None else bound(self._plan, group, lambda plan: group._runner.call(plan, read))


def handled(plan: Callable[Concatenate[Any, P], Plan[Json]]) -> Handled[P]:
    return Handled(plan)


def _stream(name: str) -> str:
    if name not in log_parts.STREAMS:
        raise Mistake(f"there is no stream '{name}'", "choose stdout or stderr")
    return name
