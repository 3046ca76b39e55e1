"""What waiting jobs are told about it: their place and the reason, when there is news (SCH-13).

Used by the scheduler. A job that is placed within a moment hears nothing: a burst of short jobs must not become twice
as many updates.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from ucloud_ray.control.addresses import needs_network
from ucloud_ray.control.keeping import Keeping
from ucloud_ray.control.ledger import Ledger
from ucloud_ray.control.waiting_line import Shape, Waiting, WaitingLine
from ucloud_ray.domain import waiting
from ucloud_ray.domain.events import Event, Noted
from ucloud_ray.domain.ids import JobUid

Reasons = dict[tuple[str, Shape], waiting.Reason]
"""Why jobs wait, by category and shape."""

LOOK_SECONDS = 3.0
"""Between two looks at everybody who waits. Who is first seen at one look is told at the next."""


class WaitingNews:
    def __init__(
        self,
        ledger: Ledger,
        keeping: Keeping,
        post: Callable[[JobUid, Event], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._ledger = ledger
        self._keeping = keeping
        self._post = post
        self._now = now
        self._seen: set[JobUid] = set()
        self._said: dict[JobUid, waiting.Said] = {}
        self._looked = -LOOK_SECONDS

    def forget(self, uid: JobUid) -> None:
        """It waits no more."""
        self._seen.discard(uid)
        self._said.pop(uid, None)

    def line(self, place: int, entry: Waiting, reasons: Reasons) -> str:
        """Place and reason at this moment. `reasons`: those that were found at this moment; this one is added."""
        return waiting.line(place, entry.category, self._reason_once(entry, reasons))

    def tell(self, lines: Mapping[str, WaitingLine]) -> None:
        """Called after every round; looks only now and then."""
        now = self._now()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        reasons: Reasons = {}
        for line in lines.values():
            for place, entry in enumerate(line.in_order(), 1):
                self._consider(place, entry, self._reason_once(entry, reasons), now)

    def _consider(self, place: int, entry: Waiting, why: waiting.Reason, now: float) -> None:
        said = self._said.get(entry.uid)
        if entry.uid not in self._seen:
            self._seen.add(entry.uid)
        elif said is None or waiting.worth_telling(said, place, why.cause, now):
            self._said[entry.uid] = waiting.Said(place, why.cause, now, 1 if said is None else said.times + 1)
            self._post(entry.uid, Noted(waiting.line(place, entry.category, why)))

    def _reason_once(self, entry: Waiting, reasons: Reasons) -> waiting.Reason:
        """Jobs that are alike to the scheduler wait for the same; to find out what is not cheap."""
        key = (entry.category, entry.shape)
        if key not in reasons:
            reasons[key] = self._reason(entry)
        return reasons[key]

    def _reason(self, entry: Waiting) -> waiting.Reason:
        spec, ledger = entry.job.spec, self._ledger
        sold = [node for node in ledger.nodes if node.alive and entry.category in node.capacity]
        drained = sum(1 for node in sold if node.host in ledger.drained)
        free, open_to_it = self._keeping.free(entry), self._keeping.open_to(entry)
        apart = [node for node in sold if spec.backend in node.backends and not ledger.connects(node)]
        unconnected = len(apart) if needs_network(spec) else 0
        return waiting.reason(free, open_to_it, spec.machine, spec.replicas, drained, unconnected)
