"""The job calls (provider-api 6): parse, convert, ask the service, one response element per item.

Features that do not exist yet are refused here with 400 and a text, never with 404 or 503, which the Core would take
as something else (provider-api 3).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import structlog

from ucloud_ray.control.errors import BadRequest, NotReady
from ucloud_ray.control.service import JobService, NewJob, SessionOpened, SessionWanted
from ucloud_ray.domain.ids import JobId, JobRef, JobUid, Millis
from ucloud_ray.domain.job import JobState
from ucloud_ray.gateway.addresses import Page, WebAddresses
from ucloud_ray.provider.endpoint import Call, Endpoint
from ucloud_ray.wire.catalogue import Catalogue
from ucloud_ray.wire.common import BulkRequest, BulkResponse, FindByStringId, to_wire
from ucloud_ray.wire.convert import ConversionRefused, job_spec, without_secrets
from ucloud_ray.wire.jobs import ExtendItem, Job, JobKey, JobKeyAndState, JobKeyItem, UpdateAclItem
from ucloud_ray.wire.sessions import (
    InteractiveSessionItem,
    OpenSession,
    OpenTerminalItem,
    ShellSession,
    VncSession,
    WebSession,
)

log = structlog.get_logger("ucloud_ray.provider")

_NOTHING = dict[str, Any]
_DONE = BulkResponse[_NOTHING]
_FOR_A_KNOWN_JOB = (400, 404, 503)
_SESSION_TYPES = frozenset({"SHELL", "WEB", "VNC"})


class JobCalls:
    """The handlers. `catalogue` knows what this provider sells."""

    def __init__(self, service: JobService, catalogue: Catalogue, addresses: WebAddresses) -> None:
        self._service = service
        self._addresses = addresses
        self._catalogue = catalogue

    def endpoints(self) -> list[Endpoint[Any]]:
        return [*self._life(), *self._bookkeeping(), *self._not_offered()]

    def _life(self) -> list[Endpoint[Any]]:
        keys, wrapped = BulkRequest[JobKey], BulkRequest[JobKeyItem]
        return [
            Endpoint(
                "POST", "jobs", self.create, "Accept jobs, all or none", BulkRequest[Job],
                BulkResponse[FindByStringId], errors=(400, 402, 413, 503),
            ),
            Endpoint("POST", "jobs/terminate", self.terminate, "Cancel jobs", keys, _DONE, errors=(400, 503)),
            Endpoint(
                "POST", "jobs/extend", self.extend, "Add to the time of jobs", BulkRequest[ExtendItem], _DONE,
                errors=(*_FOR_A_KNOWN_JOB, 504),
            ),
            Endpoint(
                "POST", "jobs/suspend", self.suspend, "Stop machines and keep their data", wrapped, _DONE,
                errors=_FOR_A_KNOWN_JOB,
            ),
            Endpoint(
                "POST", "jobs/unsuspend", self.unsuspend, "Start suspended machines again", wrapped, _DONE,
                errors=_FOR_A_KNOWN_JOB,
            ),
        ]  # fmt: skip

    def _bookkeeping(self) -> list[Endpoint[Any]]:
        return [
            Endpoint("POST", "jobs/init", _nothing, "Prepare a workspace: nothing to do", dict[str, Any], _NOTHING),
            Endpoint(
                "POST", "jobs/verify", self.verify, "Compare with what the Core believes",
                BulkRequest[JobKeyAndState], _NOTHING, errors=(400, 503),
            ),
            Endpoint(
                "POST", "jobs/updateAcl", self.update_acl, "Acknowledge changed permissions",
                BulkRequest[UpdateAclItem], _DONE,
            ),
            Endpoint(
                "POST", "files/collections/updateAcl", self.update_acl, "Acknowledge changed permissions of drives",
                BulkRequest[UpdateAclItem], _DONE,
            ),
            Endpoint(
                "POST", "jobs/onUpdatedLabels", _nothing, "Acknowledge changed labels", BulkRequest[JobKey], _NOTHING
            ),
            Endpoint(
                "POST", "jobs/requestDynamicParameters", _no_parameters, "Parameters of the provider's own: none",
                dict[str, Any], dict[str, list[Any]],
            ),
        ]  # fmt: skip

    def _not_offered(self) -> list[Endpoint[Any]]:
        return [
            Endpoint(
                "POST", "jobs/interactiveSession", self.open_session, "Open interactive sessions",
                BulkRequest[InteractiveSessionItem], BulkResponse[OpenSession], errors=_FOR_A_KNOWN_JOB,
            ),
            Endpoint(
                "POST", "jobs/openTerminalInFolder", _no_terminals, "Terminals without a job: not offered",
                BulkRequest[OpenTerminalItem], BulkResponse[_NOTHING],
            ),
            Endpoint(
                "POST", "jobs/attachResource", _no_changes, "Attach to a running job: not offered", dict[str, Any],
                _NOTHING,
            ),
            Endpoint(
                "POST", "jobs/detachResource", _no_changes, "Detach from a running job: not offered", dict[str, Any],
                _NOTHING,
            ),
        ]  # fmt: skip

    # ------------------------------------------------------------------------------------------------- life

    async def create(self, call: Call[BulkRequest[Job]]) -> dict[str, Any]:
        """6.1. The id in the answer is ours and unique for ever: the Core dies of a repeated one (O1)."""
        jobs = call.content.items
        _refuse_duplicates(jobs)
        documents = call.document.get("items") or []
        new = [self._new_job(job, document) for job, document in zip(jobs, documents, strict=True)]
        if not new:
            return {"responses": []}
        uids: Sequence[JobUid] = await self._service.submit(new)
        log.info("jobs accepted", user=call.user, jobs=[job.id for job in jobs])
        return {"responses": [{"id": uid} for uid in uids]}

    def _new_job(self, job: Job, document: Mapping[str, Any]) -> NewJob:
        try:
            spec = job_spec(job, self._catalogue)
        except ConversionRefused as error:
            raise BadRequest(error.why) from error
        return NewJob(JobId(job.id), Millis(job.created_at), spec, without_secrets(document))

    async def terminate(self, call: Call[BulkRequest[JobKey]]) -> dict[str, Any]:
        """6.5. The same job twice, unknown and final jobs are fine."""
        await self._service.terminate([_ref(job) for job in call.content.items])
        log.info("jobs cancelled", user=call.user, jobs=[job.id for job in call.content.items])
        return _one_each(call.content)

    async def extend(self, call: Call[BulkRequest[ExtendItem]]) -> dict[str, Any]:
        """6.4."""
        items = [(_ref(item.job), item.requested_time.millis) for item in call.content.items]
        if any(millis <= 0 for _, millis in items):
            raise BadRequest("The time to add must be more than zero")
        await self._service.extend(items)
        log.info("jobs extended", user=call.user, jobs=[ref.id for ref, _ in items])
        return _one_each(call.content)

    async def suspend(self, call: Call[BulkRequest[JobKeyItem]]) -> dict[str, Any]:
        """6.6."""
        await self._service.suspend([_ref(item.job) for item in call.content.items])
        return _one_each(call.content)

    async def unsuspend(self, call: Call[BulkRequest[JobKeyItem]]) -> dict[str, Any]:
        """6.6."""
        await self._service.unsuspend([_ref(item.job) for item in call.content.items])
        return _one_each(call.content)

    # ------------------------------------------------------------------------------------------ bookkeeping

    async def verify(self, call: Call[BulkRequest[JobKeyAndState]]) -> dict[str, Any]:
        """6.8. A state that we do not know (of a later Core) is left out: there is nothing to compare it with."""
        states = {state.value for state in JobState}
        known = [item for item in call.content.items if item.status.state in states]
        await self._service.verify([(_ref(item), JobState(item.status.state)) for item in known])
        return {}

    async def update_acl(self, call: Call[BulkRequest[UpdateAclItem]]) -> dict[str, Any]:
        """6.9. We keep no permissions: what jobs still may use is asked afterwards (ACC-21)."""
        try:
            if call.content.items:
                await self._service.access_changed()
        except NotReady:
            log.info("permissions changed while the supervisor is away; it looks when it starts")
        return _one_each(call.content)

    # ------------------------------------------------------------------------------------------- not offered

    async def open_session(self, call: Call[BulkRequest[InteractiveSessionItem]]) -> dict[str, Any]:
        """6.11. All or none (IS-6)."""
        items = call.content.items
        for item in items:
            if item.session_type not in _SESSION_TYPES:
                raise BadRequest("The type of a session must be SHELL, WEB or VNC")
        wanted = [SessionWanted(_ref(item.job), item.rank, item.session_type, item.target) for item in items]
        opened = await self._service.open_sessions(wanted) if wanted else []
        sessions = [self._session(item, session) for item, session in zip(items, opened, strict=True)]
        return {"responses": [to_wire(session) for session in sessions]}

    def _session(self, item: InteractiveSessionItem, opened: SessionOpened) -> OpenSession:
        job_id, rank = item.job.id, item.rank
        if item.session_type == "WEB":
            url = self._addresses.authorize(Page(job_id, rank), opened.secret)
            return WebSession(job_id=job_id, rank=rank, redirect_client_to=url)
        if item.session_type == "VNC":
            url = self._addresses.desktop(opened.secret)
            return VncSession(job_id=job_id, rank=rank, url=url, password=opened.password)
        return ShellSession(job_id=job_id, rank=rank, session_identifier=opened.secret)


async def _nothing(call: Call[Any]) -> dict[str, Any]:
    return {}


async def _no_parameters(call: Call[Any]) -> dict[str, Any]:
    """6.10. An error here may break the creation of jobs."""
    return {"parameters": []}


async def _no_terminals(call: Call[BulkRequest[OpenTerminalItem]]) -> dict[str, Any]:
    """6.12."""
    if call.content.items:
        raise BadRequest("This provider does not support terminals in folders; start a job and open one there")
    return {"responses": []}


async def _no_changes(call: Call[Any]) -> dict[str, Any]:
    """6.13."""
    raise BadRequest("This provider cannot attach resources to a job that exists, or take them away; start a new job")


def _refuse_duplicates(jobs: Sequence[Job]) -> None:
    if len({job.id for job in jobs}) < len(jobs):
        raise BadRequest("The request contains one job twice; nothing was started")


def _ref(job: JobKey) -> JobRef:
    return JobRef(JobId(job.id), None if job.created_at is None else Millis(job.created_at))


def _one_each(request: BulkRequest[Any]) -> dict[str, Any]:
    return {"responses": [{} for _ in request.items]}
