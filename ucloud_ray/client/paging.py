"""All pages of a list, item by item. Called by whatever browses."""

from __future__ import annotations

from ucloud_ray.client.effects import Emit, Events
from ucloud_ray.client.session import Query, Session

PAGE = 100
"""Both eras have pages of this size."""


def items(session: Session, path: str, query: Query, at_most: int | None = None) -> Events:
    """Emits what is on all pages, asking for a page only when it is needed. A page may be short, or empty, without
    being the last (end-user-api 1.3)."""
    left = at_most
    token: str | None = None
    while left is None or left > 0:
        page = yield from session.ask("GET", path, {"itemsPerPage": PAGE, **query, "next": token})
        for item in (page.get("items") or [])[:left]:
            yield Emit(item)
            left = None if left is None else left - 1
        token = page.get("next")
        if token is None:
            return
