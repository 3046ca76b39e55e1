"""A gateway in front of a real relay in front of a real application, all over TCP of this machine."""

from __future__ import annotations

from dataclasses import dataclass, field

from ucloud_ray.control import port_relay, tickets
from ucloud_ray.control.errors import NoSuchSession, NotReady
from ucloud_ray.control.service import PortSource
from ucloud_ray.domain.ids import JobId

KEY = b"k" * 32


@dataclass
class Ports:
    """Stands for the supervisor: tickets that lead to ports of this machine while their job runs."""

    relay_port: int
    pages: dict[str, tuple[str, int, str, int]] = field(default_factory=dict)
    """Ticket to job, rank, kind and port."""
    is_away: bool = False

    async def redeem_port(self, ticket: str) -> PortSource:
        if self.is_away:
            raise NotReady("The provider does not answer at the moment.")
        if ticket not in self.pages:
            raise NoSuchSession("This session is not known any more.")
        job, rank, kind, port = self.pages[ticket]
        permit = tickets.make(KEY, "port", port_relay.target("127.0.0.1", port))
        return PortSource("127.0.0.1", self.relay_port, permit, JobId(job), rank, kind)
