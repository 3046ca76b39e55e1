"""Which workspaces can pay, as far as we know, and what follows for their jobs (ACC-9, ACC-16, ACC-18).

Knowledge comes from answers to charges, from notices of the Core about wallets, and from asking before a start. It is
by workspace and product category, and it goes stale: a wallet that was filled works again within seconds, and a short
job costs no question of its own.

Nobody's silence counts as an answer: without one a job goes on (ACC-22).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import structlog

from ucloud_ray.control.errors import PaymentRequired
from ucloud_ray.control.ports import ChargeRow, CoreSilent
from ucloud_ray.domain.events import Event, StopCause, StopRequested
from ucloud_ray.domain.ids import JobId, JobUid
from ucloud_ray.domain.job import AccountingStyle, Job, JobSpec, Owner

log = structlog.get_logger(__name__)

NOT_ENOUGH = "NOT_ENOUGH_COMPUTE_CREDITS"

Payer = tuple[str, str]
"""Workspace and product category."""
STOP = StopRequested(StopCause.NO_CREDITS)


@dataclass(frozen=True, slots=True)
class Memory:
    """Seconds."""

    of_yes: float = 30.0
    """How long the answer that a workspace can pay is believed."""
    of_no: float = 3.0
    """How long the answer that it cannot, or none."""
    patience: float = 2.0
    """How long anybody waits for an answer; a `create` has 5 s in all (provider-api 1.2)."""


class CoreFunds(Protocol):
    async def enough(self, id: JobId, spec: JobSpec, style: AccountingStyle) -> bool | None:
        """Whether the job's workspace could pay one unit of time now; None: the Core cannot tell, for example because
        it does not know the job yet. Charges nothing. Raises `CoreSilent`."""
        ...


class NobodyPays:
    """Everything is free."""

    async def enough(self, id: JobId, spec: JobSpec, style: AccountingStyle) -> bool | None:
        return True


class Credits:
    def __init__(
        self,
        core: CoreFunds,
        jobs: Callable[[], Iterable[Job]],
        post: Callable[[JobUid, Event], None],
        settle: Callable[[JobUid, Event], Awaitable[object]],
        style: AccountingStyle,
        memory: Memory | None = None,
    ) -> None:
        """`settle`: like `post`, and returns when what follows is on disk."""
        self._core = core
        self._jobs = jobs
        self._post = post
        self._settle = settle
        self._style = style
        self._memory = memory or Memory()
        self._known: dict[Payer, tuple[bool, float]] = {}
        """Whether it can pay, and until when that is believed."""
        self._asking: dict[Payer, asyncio.Task[bool | None]] = {}

    # ------------------------------------------------------------------------------------------------- learning

    async def short(self, rows: Sequence[ChargeRow]) -> None:
        """Charges were not covered: their jobs end (ACC-16), and so does everything else that nobody would pay for."""
        if not rows:
            return
        payers: dict[Payer, bool] = {}
        for row in rows:
            payer = (row.owner.workspace, row.category)
            self._learn(payer, False, self._memory.of_no)
            payers[payer] = payers.get(payer, False) or row.charge.style == "reportUsage"
        ending = dict.fromkeys([*(row.uid for row in rows), *self._unpaid(payers)])
        await asyncio.gather(*(self._settle(uid, STOP) for uid in ending))

    def locked(self, owner: Owner, category: str) -> None:
        """The Core says so by itself (control-api 9)."""
        payer = (owner.workspace, category)
        self._learn(payer, False, self._memory.of_no)
        for uid in self._unpaid({payer: True}):
            self._post(uid, STOP)

    def unlocked(self, owner: Owner, category: str) -> None:
        self._learn((owner.workspace, category), True, self._memory.of_yes)

    def _learn(self, payer: Payer, can_pay: bool, seconds: float) -> None:
        self._known[payer] = (can_pay, asyncio.get_running_loop().time() + seconds)

    def _unpaid(self, payers: Mapping[Payer, bool]) -> list[JobUid]:
        """Jobs of these that are to end: those that wait are never started (ACC-18); where True, all."""
        return [
            job.uid
            for job in self._jobs()
            if (every := payers.get(_payer(job.spec))) is not None
            and _costs(job)
            and (every or job.phase.kind == "queued")
        ]

    # --------------------------------------------------------------------------------------------------- asking

    async def covers(self, id: JobId, spec: JobSpec) -> bool:
        """Whether the job may start. Answers at once while something is known."""
        if spec.machine.tariff is None or self._style == "none":
            return True
        payer = _payer(spec)
        can_pay, until = self._known.get(payer, (False, 0.0))
        if until > asyncio.get_running_loop().time():
            return can_pay
        return await self._ask(payer, id, spec) is not False

    async def require(self, id: JobId, spec: JobSpec) -> None:
        """Refuse a job that is known to have nobody who pays (ACC-18). One of whom nothing is known is taken: it is
        asked about before its start. Raises `PaymentRequired`."""
        known = self._known.get(_payer(spec))
        if known is None or known[0]:
            return
        if not await self.covers(id, spec):
            raise PaymentRequired(
                "This workspace has reached the compute quota. Apply for more resources, or use another machine type.",
                NOT_ENOUGH,
            )

    async def _ask(self, payer: Payer, id: JobId, spec: JobSpec) -> bool | None:
        """One question for all who want to know at the same time."""
        asking = self._asking.get(payer)
        if asking is None:
            asking = asyncio.create_task(self._answer(payer, id, spec), name=f"credits of {payer[0]}")
            self._asking[payer] = asking
            asking.add_done_callback(lambda _: self._asking.pop(payer, None))
        return await asyncio.shield(asking)

    async def _answer(self, payer: Payer, id: JobId, spec: JobSpec) -> bool | None:
        try:
            async with asyncio.timeout(self._memory.patience):
                answer = await self._core.enough(id, spec, self._style)
        except (CoreSilent, TimeoutError) as silent:
            log.info("whether a workspace can pay is not known", job=id, why=str(silent) or "no answer in time")
            answer = None
        self._learn(payer, answer is not False, self._memory.of_yes if answer else self._memory.of_no)
        return answer


def _payer(spec: JobSpec) -> Payer:
    return spec.owner.workspace, spec.machine.product.category


def _costs(job: Job) -> bool:
    return job.spec.machine.tariff is not None and job.rules.accounting_style != "none"
