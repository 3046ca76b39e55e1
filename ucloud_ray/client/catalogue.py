"""`client.apps`, `client.products` and `client.wallets`: what can be run, on what, and what it is paid with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ucloud_ray.client import paging, submission
from ucloud_ray.client.calls import Group, R, as_it_is, call, each, reads
from ucloud_ray.client.effects import Emit, Events, Json, Plan
from ucloud_ray.client.errors import NotFound
from ucloud_ray.client.session import first_response
from ucloud_ray.wire.applications import ApplicationSummaryWithFavorite, ApplicationWithFavoriteAndTags
from ucloud_ray.wire.products import ResolvedSupport
from ucloud_ray.wire.wallets import Wallet


class Apps(Group[R]):
    @each(reads(ApplicationSummaryWithFavorite))
    def browse(self) -> Events:
        """What can be run, the newest version of each first."""
        for summary in (yield from submission.summaries(self._session)):
            yield Emit(summary)

    @call(reads(ApplicationWithFavoriteAndTags))
    def retrieve(self, name: str, version: str | None = None) -> Plan[Json]:
        """`NAME`, then the newest, or `NAME@VERSION`: with what it runs and the parameters it takes.

        Raises `Mistake` with the nearest name, `NotFound` for a version that is not there.
        """
        return (yield from submission.find_application(self._session, name, version))

    @call(as_it_is)
    def add(self, yaml: str, kind: str = "application") -> Plan[Any]:
        """Add tools and applications, in UCloud's YAML; for administrators. `kind`: `tool` for a file with one tool.

        UCloud/Core takes one document at a time, our orchestrator whole files. Raises `BadRequest`, whose `body` has
        every mistake of the file with its line (our orchestrator).
        """
        path = "/api/hpc/tools" if kind == "tool" else "/api/hpc/apps"
        return (yield from self._session.ask("PUT", path, text=yaml))

    @call(as_it_is)
    def check(self, yaml: str) -> Plan[Any]:
        """What `add` would say, without adding anything. Of our orchestrator."""
        return (yield from self._session.ask("PUT", "/api/hpc/apps/check", text=yaml, repeatable=True))


class Products(Group[R]):
    @call(reads(list[ResolvedSupport]))
    def browse(self) -> Plan[Json]:
        """The machine types that the workspace may use, and what can run on them."""
        return (yield from submission.supported_products(self._session))


class Wallets(Group[R]):
    @each(reads(Wallet))
    def browse(self, *, everybody: bool = False) -> Events:
        """What the workspace has to pay with. `everybody`: for administrators of our own orchestrator."""
        query = {"everybody": True if everybody else None}
        try:
            yield from paging.items(self._session, "/api/accounting/wallets/browse", query)
        except NotFound:
            # The current UCloud/Core has only this form. The first one cannot have told anything yet.
            yield from paging.items(self._session, "/api/accounting/v2/browseWallets", {})

    @call(str)
    def grant(
        self, owner: Mapping[str, str], category: Mapping[str, str], amount: int, end_date: int | None = None
    ) -> Plan[str]:
        """Give a workspace something to pay with; the id of the allocation. For administrators of our own orchestrator.

        `owner`: `{"type": "user", "username"}` or `{"type": "project", "projectId"}`. `category`: `{"name",
        "provider"}`. `end_date`: milliseconds since the epoch.
        """
        item = {"owner": dict(owner), "category": dict(category), "amount": amount}
        if end_date is not None:
            item["endDate"] = end_date
        answer = yield from self._session.ask("POST", "/api/accounting/wallets/grant", body={"items": [item]})
        return str(first_response(answer)["id"])
