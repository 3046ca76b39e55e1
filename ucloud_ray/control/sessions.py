"""Opens interactive sessions in jobs that run, and redeems them (IS-1 to IS-12). Part of `requests`.

Opening has no effect on the job: a page asks for sessions that nobody may ever use (W8).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from ucloud_ray.control import handles, terminal_relay, tickets
from ucloud_ray.control.errors import BadRequest, NoSuchSession, NotReady
from ucloud_ray.control.service import SessionWanted, TerminalSource
from ucloud_ray.control.supervisor import Supervisor
from ucloud_ray.control.terminal_sessions import TerminalSessions
from ucloud_ray.domain.ids import JobRef
from ucloud_ray.domain.job import Job, JobState, Lingering, Rank, Running

_SPENT = "This terminal session is not known any more. Open the terminal again."


class Sessions:
    def __init__(self, supervisor: Supervisor, find: Callable[[JobRef], Awaitable[Job]]) -> None:
        """`find` raises `NotFound`."""
        self._supervisor = supervisor
        self._find = find
        self._terminals = TerminalSessions()

    async def open(self, wanted: Sequence[SessionWanted]) -> list[str]:
        """One id each, or none at all (IS-6). Raises `NotFound`, `BadRequest`."""
        jobs = [await self._find(item.ref) for item in wanted]
        for job, item in zip(jobs, wanted, strict=True):
            self._check(job, item)
        return [
            self._terminals.promise(job.uid, job.incarnation, item.rank) for job, item in zip(jobs, wanted, strict=True)
        ]

    def _check(self, job: Job, item: SessionWanted) -> None:
        """IS-2. The Core checks neither the state nor the rank (O9), so the right reason is given to each."""
        _rank_of(job, item.rank)
        parts = self._supervisor.parts
        if item.kind != "SHELL":
            raise BadRequest("This provider does not support interactive sessions of this kind for this job")
        if not parts.offers.sold(job.spec.machine.product, job.spec.backend).terminal:
            raise BadRequest("Terminal access is not supported on this machine type")

    def redeem_terminal(self, session: str) -> TerminalSource:
        """Where the shell is to be had. Raises `NoSuchSession`, `NotReady`."""
        promised = self._terminals.spend(session)
        job = None if promised is None else self._supervisor.engine.live(promised.uid)
        if promised is None or job is None or job.incarnation != promised.incarnation:
            raise NoSuchSession(_SPENT)
        try:
            return self._source(job, _rank_of(job, promised.rank))
        except BadRequest as over:  # its job has ended meanwhile (IS-5)
            raise NoSuchSession(over.why) from over

    def _source(self, job: Job, rank: Rank) -> TerminalSource:
        relays = {node.host: node.relay for node in self._supervisor.scheduler.ledger.nodes}
        relay = relays.get(rank.host)
        if relay is None or rank.handle is None:
            raise NotReady("The machine of the job does not answer at the moment. Try again in a minute.")
        handle = handles.from_json(rank.handle)
        target = terminal_relay.target(handle.driver, handle.id)
        ticket = tickets.make(self._supervisor.parts.relay_key, "terminal", target)
        return TerminalSource(*relay, ticket, job.id, rank.rank)


def _rank_of(job: Job, number: int) -> Rank:
    """The rank, which runs. Raises `BadRequest`."""
    if not 0 <= number < job.spec.replicas:
        raise BadRequest(f"The job has {job.spec.replicas} node(s); node {number + 1} does not exist")
    if job.told is not JobState.RUNNING or not isinstance(job.phase, Running | Lingering):
        raise BadRequest("Sessions can only be opened while the job is running")
    rank = job.ranks[number]
    if rank.over:
        raise BadRequest(f"Node {number + 1} of the job has ended")
    return rank
