"""Opens interactive sessions in jobs that run, and redeems them (IS-1 to IS-12). Part of `requests`.

Opening has no effect on the job: a page asks for sessions that nobody may ever use (W8).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import orjson

from ucloud_ray.control import handles, port_relay, terminal_relay, tickets
from ucloud_ray.control.errors import BadRequest, NoSuchSession, NotReady
from ucloud_ray.control.service import PortSource, SessionOpened, SessionWanted, TerminalSource
from ucloud_ray.control.supervisor import Supervisor
from ucloud_ray.control.terminal_sessions import TerminalSessions
from ucloud_ray.domain.ids import JobRef, JobUid
from ucloud_ray.domain.job import Interface, Job, JobState, Lingering, Rank, Running

TICKET = "session"
"""Purpose of the tickets of web pages and desktops."""
AS_LONG_AS_IT_RUNS = 100 * 365 * 24 * 3600.0

_SPENT = "This session is not known any more. Open it again."
_AWAY = "The machine of the job does not answer at the moment. Try again in a minute."
_NAMES = {"SHELL": "Terminal", "WEB": "Web", "VNC": "VNC"}


class Sessions:
    def __init__(self, supervisor: Supervisor, find: Callable[[JobRef], Awaitable[Job]]) -> None:
        """`find` raises `NotFound`."""
        self._supervisor = supervisor
        self._find = find
        self._terminals = TerminalSessions()

    async def open(self, wanted: Sequence[SessionWanted]) -> list[SessionOpened]:
        """One each, or none at all (IS-6). Raises `NotFound`, `BadRequest`."""
        jobs = [await self._find(item.ref) for item in wanted]
        for job, item in zip(jobs, wanted, strict=True):
            self._check(job, item)
        return [self._opened(job, item) for job, item in zip(jobs, wanted, strict=True)]

    def _check(self, job: Job, item: SessionWanted) -> None:
        """IS-2. The Core checks neither the state nor the rank (O9), so the right reason is given to each."""
        _rank_of(job, item.rank)
        support = self._supervisor.parts.offers.sold(job.spec.machine.product, job.spec.backend)
        if not {"SHELL": support.terminal, "WEB": support.web, "VNC": support.vnc}[item.kind]:
            raise BadRequest(f"{_NAMES[item.kind]} access is not supported on this machine type")
        if item.kind != "SHELL":
            _interface(job, item.kind)

    def _opened(self, job: Job, item: SessionWanted) -> SessionOpened:
        if item.kind == "SHELL":
            return SessionOpened(self._terminals.promise(job.uid, job.incarnation, item.rank))
        what = orjson.dumps([job.uid, job.incarnation, item.rank, item.kind]).decode()
        ticket = tickets.make(self._supervisor.parts.relay_key, TICKET, what, lifetime=AS_LONG_AS_IT_RUNS)
        return SessionOpened(ticket, _interface(job, item.kind).password)

    def redeem_terminal(self, session: str) -> TerminalSource:
        """Where the shell is to be had. Raises `NoSuchSession`, `NotReady`."""
        promised = self._terminals.spend(session)
        if promised is None:
            raise NoSuchSession(_SPENT)
        job, rank = self._running(promised.uid, promised.incarnation, promised.rank)
        handle = handles.from_json(rank.handle or {})
        target = terminal_relay.target(handle.driver, handle.id)
        return TerminalSource(*self._relay(rank), self._ticket("terminal", target), job.id, rank.rank)

    def redeem_port(self, ticket: str) -> PortSource:
        """Where the port of a web page or desktop is to be had. Raises `NoSuchSession`, `NotReady`."""
        try:
            what = tickets.check(self._supervisor.parts.relay_key, ticket, TICKET)
        except tickets.BadTicket as bad:
            raise NoSuchSession(_SPENT) from bad
        uid, incarnation, number, kind = orjson.loads(what)
        job, rank = self._running(JobUid(uid), incarnation, number)
        target = port_relay.target(rank.address or "", _interface(job, kind).port)
        return PortSource(*self._relay(rank), self._ticket("port", target), job.id, rank.rank, kind)

    def _running(self, uid: JobUid, incarnation: int, number: int) -> tuple[Job, Rank]:
        """Raises `NoSuchSession` when the job has left RUNNING (IS-5), also if it came back to it."""
        job = self._supervisor.engine.live(uid)
        if job is None or job.incarnation != incarnation:
            raise NoSuchSession(_SPENT)
        try:
            return job, _rank_of(job, number)
        except BadRequest as over:
            raise NoSuchSession(over.why) from over

    def _relay(self, rank: Rank) -> tuple[str, int]:
        for node in self._supervisor.scheduler.ledger.nodes:
            if node.host == rank.host and node.relay is not None:
                return node.relay
        raise NotReady(_AWAY)

    def _ticket(self, purpose: str, target: str) -> str:
        return tickets.make(self._supervisor.parts.relay_key, purpose, target)


def _interface(job: Job, kind: str) -> Interface:
    """Raises `BadRequest`."""
    interface = job.spec.interface(kind)
    if interface is None:
        raise BadRequest(f"The application has no {'web page' if kind == 'WEB' else 'desktop'}")
    return interface


def _rank_of(job: Job, number: int) -> Rank:
    """The rank, which runs. Raises `BadRequest`."""
    if not 0 <= number < job.spec.replicas:
        raise BadRequest(f"The job has {job.spec.replicas} node(s); node {number + 1} does not exist")
    if job.told is not JobState.RUNNING or not isinstance(job.phase, Running | Lingering):
        raise BadRequest("Sessions can only be opened while the job is running")
    rank = job.ranks[number]
    if rank.over or rank.handle is None:
        raise BadRequest(f"Node {number + 1} of the job has ended")
    return rank
