"""UCloud/Core fails in every way that a caller can meet, while jobs run: nothing is lost, doubled or out of order.

The Core is the real orchestrator behind a proxy that breaks the provider's calls (`tests/support/misbehaving_core.py`).
Each kind of failure is counted: one that never happened would prove nothing.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence

import pytest

from tests.faults import ageing, books, programs
from tests.faults.charges import check_charges
from tests.faults.conftest import Seen
from tests.faults.findings import Findings
from tests.faults.inspection import inspect, require_nothing_wrong
from tests.faults.installation import kinds_of
from tests.faults.planned import FINISHED, Planned, everything
from tests.faults.report import fault
from tests.faults.workload import Workload
from tests.support import leftovers
from tests.support.misbehaving_core import Call, MisbehavingCore, Way, misbehaving_core, nothing
from tests.support.stack import Stack, states
from tests.support.wait import wait_until

pytestmark = [pytest.mark.timeout(400), pytest.mark.docker]

EXPIRES_SECONDS = 12
BROKEN = 0.5
"""Share of the calls that fail."""
DENIALS = 3
"""How often the Core does not know the one job."""
OLD_MILLIS = 600_000


@pytest.fixture(scope="module")
def core(installed: Stack) -> Iterator[MisbehavingCore]:
    with misbehaving_core(installed) as between:
        yield between


def finish_and_inspect(workload: Workload, before: dict[str, set[str]]) -> Findings:
    workload.finish()
    findings = inspect(workload, before)
    check_charges(workload, findings)
    require_nothing_wrong(workload, findings)
    return findings


# ------------------------------------------------------------------------------------------------------------ down


def ten(kinds: Sequence[str]) -> list[Planned]:
    """Jobs that need nobody to end."""
    each = [
        ("instant", programs.ends("exit 0"), FINISHED, 1),
        ("code", programs.takes(2, "exit 3"), f"{FINISHED} (exit code 3)", 1),
        ("signal", programs.takes(4, "kill -9 $$"), f"{FINISHED} (signal 9)", 1),
        ("ranks", programs.takes(4, "exit 0"), FINISHED, 3),
        ("loud", programs.takes(8, "exit 5"), f"{FINISHED} (exit code 5)", 1),
    ]
    copies = 10 // (len(each) * len(kinds))
    return [
        Planned(f"{kind} {name} unheard {copy}", kind, program, text, replicas=replicas)
        for kind in kinds
        for name, program, text, replicas in each
        for copy in range(copies)
    ]


@fault(
    "UCloud/Core down for the length of ten jobs",
    "they run as ever; everything is told and charged afterwards, once and in order (REC-7, ACC-8, ACC-22)",
)
def test_what_happened_while_the_core_was_down_is_told_afterwards(
    installed: Stack, core: MisbehavingCore, seen: Seen, seed: int
) -> None:
    before = leftovers.snapshot(installed.data, installed.docker_url)
    workload = Workload(installed, ten(kinds_of(installed)), seed)
    core.go_down()
    with workload.running():
        pass
    wait_until(lambda: not books.under_way(installed)["jobs at the provider"], "ten jobs to be over", 120.0)
    owed = books.under_way(installed)
    assert len(owed["charges on their way"]) == len(workload.jobs) == 10
    assert {job_id for (job_id,) in owed["updates on their way"]} == {job.id for job in workload.jobs.values()}
    assert [job.shown()["updates"] for job in workload.jobs.values()] == [[]] * 10
    core.come_up()
    findings = finish_and_inspect(workload, before)
    seen(
        "UCloud/Core down for the length of ten jobs",
        f"{len(owed['updates on their way'])} updates and {len(owed['charges on their way'])} charges waited when all "
        f"ten were over; {findings.words()}",
    )


# ----------------------------------------------------------------------------------------------------- misbehaving


class Deck:
    """Which call fails how: every way comes up as often as any other, for every operation."""

    WAYS = (Way.LOST, Way.HALF, Way.UNAUTHORIZED, Way.ERROR, Way.LATER, Way.TOO_SLOW, Way.SLOW)

    def __init__(self, seed: int, share: float) -> None:
        self._chance = random.Random(seed)
        self._share = share
        self._left: dict[str, list[Way]] = {}
        self._locked = False
        self._lock = threading.Lock()

    def choose(self, call: Call) -> Way | None:
        with self._lock:
            if call.operation == "refresh":
                self._locked = False
            if self._locked:
                return Way.UNAUTHORIZED
            if self._chance.random() >= self._share:
                return None
            return self._drawn(call.operation)

    def _drawn(self, operation: str) -> Way | None:
        ways = self._left.get(operation) or list(self.WAYS)
        way = ways.pop(0)
        self._left[operation] = ways
        if way is not Way.UNAUTHORIZED:
            return way
        if operation == "refresh":  # which needs no access token
            return None
        self._locked = True
        return way


class OneUnknown:
    """The Core does not know one of the jobs for a while, whatever is asked of it."""

    def __init__(self, workload: Workload, name: str, core: MisbehavingCore) -> None:
        self._workload = workload
        self._name = name
        self._core = core
        self._denied = 0
        self._applied_before: int | None = None
        self._applied_after = 0

    def choose(self, call: Call) -> Way | None:
        job = self._workload.jobs.get(self._name)
        if job is None or self._denied >= DENIALS:
            return None
        if call.query.get("filterIds") == job.id:
            return Way.EMPTY
        if call.operation not in ("update", "chargeCredits") or job.id not in call.jobs:
            return None
        self._denied += len(call.jobs) == 1
        if self._applied_before is None:
            self._applied_before = len(self._core.applied)
        self._applied_after = len(self._core.applied)
        return Way.UNKNOWN

    def others_told(self) -> int:
        """Calls about other jobs that were applied meanwhile."""
        between = self._core.applied[self._applied_before : self._applied_after]
        return len([call for call in between if call.operation == "update"])


@fault(
    "UCloud/Core answers slowly, also when nobody waits any more",
    "an update that may have been applied is sent again and shown once (LC-21, REC-7)",
)
@fault("UCloud/Core answers 500", "tried again, others meanwhile; nothing is dropped (REC-7)")
@fault("UCloud/Core answers 449", "tried again later (REC-7)")
@fault("UCloud/Core sends half an answer", "what it applied is not applied twice (LC-21, ACC-7)")
@fault(
    "UCloud/Core applies an update or a charge and loses the answer", "shown once, charged once (LC-21, ACC-7, ACC-8)"
)
@fault("UCloud/Core answers 401 until the token is renewed", "it is renewed and the call repeated (REC-9)")
@fault("UCloud/Core answers 404 for one job", "others go on; the job is not given up soon (REC-9, REC-11)")
def test_a_core_that_fails_in_every_way_is_told_everything_once(
    installed: Stack, core: MisbehavingCore, seen: Seen, seed: int
) -> None:
    before = leftovers.snapshot(installed.data, installed.docker_url)
    workload = Workload(installed, everything(kinds_of(installed), EXPIRES_SECONDS), seed)
    deck, unknown = Deck(seed, BROKEN), OneUnknown(workload, "native ranks", core)
    core.choose = lambda call: unknown.choose(call) or deck.choose(call)
    core.broken.clear()
    with workload.running():
        pass
    workload.finish()
    core.choose = nothing
    words = finish_and_inspect(workload, before).words()
    _require_broken(core)
    others = unknown.others_told()
    assert others > 0
    late = f"{core.words(Way.SLOW)}, and {core.words(Way.TOO_SLOW)} after the provider's patience; {words}"
    seen("UCloud/Core answers slowly, also when nobody waits any more", late)
    seen("UCloud/Core answers 500", f"{core.words(Way.ERROR)}; {words}")
    seen("UCloud/Core answers 449", f"{core.words(Way.LATER)}; {words}")
    seen("UCloud/Core sends half an answer", f"{core.words(Way.HALF)}; {words}")
    seen("UCloud/Core applies an update or a charge and loses the answer", f"{core.words(Way.LOST)}; {words}")
    seen("UCloud/Core answers 401 until the token is renewed", f"{core.words(Way.UNAUTHORIZED)}; {words}")
    denied = f"{core.words(Way.UNKNOWN)}, {others} calls for others taken meanwhile; {words}"
    seen("UCloud/Core answers 404 for one job", denied)


def _require_broken(core: MisbehavingCore) -> None:
    """Every way was met, and those that may double something for updates and charges each."""
    for way in Deck.WAYS:
        assert core.broken[way, "update"] >= 1, (way, core.broken)
    for way in (Way.LOST, Way.HALF):
        assert core.broken[way, "chargeCredits"] >= 1, (way, core.broken)
    assert core.count(Way.UNKNOWN) >= DENIALS, core.broken


# ------------------------------------------------------------------------------------------------- reconciliation


@fault(
    "a listing of UCloud/Core's that is torn in the middle",
    "it is no listing: no job is even doubted for being missing from it (D4, REC-9, REC-15)",
)
def test_a_torn_listing_stops_nothing(installed: Stack, core: MisbehavingCore, seen: Seen, seed: int) -> None:
    """The jobs are made old enough to be doubted; that they are shows a listing that is whole and lacks them."""
    before = leftovers.snapshot(installed.data, installed.docker_url)
    plans = [
        plan for plan in everything(kinds_of(installed), EXPIRES_SECONDS) if plan.name.endswith(("gated", "ranks"))
    ]
    workload = Workload(installed, plans, seed)
    with workload.running():
        pass
    for job in workload.jobs.values():
        installed.wait_state(job.id, "RUNNING", timeout=60.0)
    core.broken.clear()
    core.passed.clear()
    core.choose = _running_listed(Way.TORN)
    assert ageing.new_supervisor(installed, OLD_MILLIS) == len(plans)
    wait_until(lambda: core.count(Way.TORN), "a torn listing")
    torn, asked = core.count(Way.TORN), len(core.passed)
    core.choose = _running_listed(Way.EMPTY)
    ageing.new_supervisor(installed)
    wait_until(lambda: _asked_for(core.passed[asked:]) == {job.id for job in workload.jobs.values()}, "doubts", 60.0)
    assert _asked_for(core.passed[:asked]) == set()
    assert all(states(job.shown()) == ["IN_QUEUE", "RUNNING"] for job in workload.jobs.values())
    core.choose = nothing
    words = finish_and_inspect(workload, before).words()
    seen("a listing of UCloud/Core's that is torn in the middle", f"{torn} torn, no job asked for; {words}")


def _running_listed(way: Way) -> Callable[[Call], Way | None]:
    """The third of four listings."""
    return lambda call: way if call.query.get("filterState") == "RUNNING" else None


def _asked_for(calls: Sequence[Call]) -> set[str]:
    return {call.query["filterIds"] for call in calls if call.operation == "browse" and "filterIds" in call.query}
