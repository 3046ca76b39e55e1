"""`client.jobs`: everything about jobs that need not have been created yet. What one does with one job is in `job`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ucloud_ray.client import paging
from ucloud_ray.client.calls import Group, R, call, each, nothing, reads
from ucloud_ray.client.effects import Events, Json, Plan
from ucloud_ray.client.following import DETAILS
from ucloud_ray.client.job import JobHandle, handled
from ucloud_ray.client.session import first_response
from ucloud_ray.client.submission import Wish, duration, specification
from ucloud_ray.client.values import Value
from ucloud_ray.wire.common import ProductReference
from ucloud_ray.wire.jobs import Job
from ucloud_ray.wire.products import UtilizationResponse


class Jobs(Group[R]):
    @handled
    def submit(
        self,
        app: str,
        version: str | None = None,
        parameters: Mapping[str, Value] | None = None,
        product: str | ProductReference | None = None,
        *,
        nodes: int = 1,
        time: timedelta | None = None,
        mounts: Sequence[Value] = (),
        resources: Sequence[Value] = (),
        name: str | None = None,
        labels: Mapping[str, str] | None = None,
        hostname: str | None = None,
        opened_file: str | None = None,
        restart_on_exit: bool | None = None,
        ssh: bool | None = None,
    ) -> Plan[Json]:
        """Create a job and return its handle.

        `app`: `NAME`, then the newest version, or `NAME@VERSION`. `product`: `NAME`, or `NAME/CATEGORY/PROVIDER`; the
        first that can run it, if none is named. `time`: after it the job ends; None: never by itself. `mounts`: folders
        like `home-user/inputs`, with `:ro` at the end to be only read. `resources`: `File`, `Peer` and the like.

        A job is never created twice: a request that may have been taken is not sent again. Then `AnswerLost` is raised,
        and `browse` tells whether the job is there. Raises `Mistake`, `NoMachine`, `BadRequest`, `OutOfCredits`.
        """
        more = {
            "name": name,
            "labels": None if labels is None else dict(labels),
            "hostname": hostname,
            "openedFile": opened_file,
            "restartOnExit": restart_on_exit,
            "sshEnabled": ssh,
        }
        wish = Wish(app, version, parameters or {}, product, nodes, time, mounts, resources, more)
        wanted = yield from specification(self._session, wish)
        answer = yield from self._session.ask("POST", "/api/jobs", body={"items": [wanted]})
        return {**first_response(answer), "specification": wanted}

    def handle(self, job_id: str) -> JobHandle[R]:
        """Of a job that exists. Asks nothing."""
        return JobHandle(self._runner, job_id)

    @call(reads(Job))
    def retrieve(self, job_id: str) -> Plan[Json]:
        """A job with its application, its machine and what was told about it. Raises `NotFound`."""
        return (yield from self._session.ask("GET", "/api/jobs/retrieve", {"id": job_id, **DETAILS}))

    @each(reads(Job))
    def browse(
        self,
        *,
        state: str | None = None,
        application: str | None = None,
        product: str | None = None,
        created_by: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        labels: Mapping[str, str] | None = None,
        at_most: int | None = None,
    ) -> Events:
        """Jobs, newest first: all pages, each asked for when it is needed.

        `labels`: of our orchestrator and of the current UCloud/Core.
        """
        query = {
            "includeUpdates": True,
            "filterState": state,
            "filterApplication": application,
            "filterProductId": product,
            "filterCreatedBy": created_by,
            "filterCreatedAfter": _millis(created_after),
            "filterCreatedBefore": _millis(created_before),
            **{f"filterLabels.{key}": value for key, value in (labels or {}).items()},
        }
        yield from paging.items(self._session, "/api/jobs/browse", query, at_most)

    @call(nothing)
    def stop(self, job_ids: Iterable[str]) -> Plan[None]:
        """End jobs. What they have written so far stays."""
        yield from self._order("terminate", job_ids)

    @call(nothing)
    def suspend(self, job_ids: Iterable[str]) -> Plan[None]:
        """Power virtual machines off, and keep them."""
        yield from self._order("suspend", job_ids)

    @call(nothing)
    def unsuspend(self, job_ids: Iterable[str]) -> Plan[None]:
        """Power suspended virtual machines on."""
        yield from self._order("unsuspend", job_ids)

    @call(nothing)
    def extend(self, job_id: str, by: timedelta) -> Plan[None]:
        """Give a job more time. Not repeated when the answer is lost: it would be added twice."""
        item = {"jobId": job_id, "requestedTime": duration(by)}
        yield from self._session.ask("POST", "/api/jobs/extend", body={"items": [item]})

    @call(nothing)
    def rename(self, job_id: str, title: str) -> Plan[None]:
        """Of our orchestrator and of the current UCloud/Core."""
        body = {"items": [{"id": job_id, "newTitle": title}]}
        yield from self._session.ask("POST", "/api/jobs/rename", body=body, repeatable=True)

    @call(nothing)
    def delete(self, job_ids: Iterable[str]) -> Plan[None]:
        """Remove the records of jobs; for administrators of our own orchestrator."""
        yield from self._order("delete", job_ids)

    @call(reads(UtilizationResponse))
    def utilization(self, job_id: str) -> Plan[Json]:
        """How full the machines of a job's type are."""
        return (yield from self._session.ask("GET", "/api/jobs/retrieveUtilization", {"jobId": job_id}))

    def _order(self, operation: str, job_ids: Iterable[str]) -> Plan[Any]:
        """One whose second time changes nothing."""
        ids = [job_ids] if isinstance(job_ids, str) else list(job_ids)
        body = {"items": [{"id": job_id} for job_id in ids]}
        return (yield from self._session.ask("POST", f"/api/jobs/{operation}", body=body, repeatable=True))


def _millis(moment: datetime | None) -> int | None:
    return None if moment is None else round(moment.timestamp() * 1000)
