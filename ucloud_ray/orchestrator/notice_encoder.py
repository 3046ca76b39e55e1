"""Wallets to the records of one notification connection: remembers what its references stand for (control-api 9)."""

from __future__ import annotations

from collections.abc import Iterable

import orjson

from ucloud_ray.orchestrator import notice_records as records
from ucloud_ray.orchestrator import wallet_rules, wallet_view
from ucloud_ray.orchestrator.ledger import is_locked
from ucloud_ray.orchestrator.products import Category
from ucloud_ray.orchestrator.wallet_rows import PROJECT, Owner, Wallet


class NoticeEncoder:
    def __init__(self, *, retired: bool) -> None:
        self._retired = retired
        # Users and projects are counted apart, both from 0 (O20).
        self._users: dict[str, int] = {}
        self._projects: dict[str, int] = {}
        self._categories: dict[str, int] = {}

    def frame(self, wallets: Iterable[tuple[Wallet, Category]], now: int) -> bytes:
        """One frame. A reference is announced before it is used, and once for a connection."""
        return b"".join(self._wallet(wallet, category, now) for wallet, category in wallets)

    def _wallet(self, wallet: Wallet, category: Category, now: int) -> bytes:
        is_project = wallet.owner.type == PROJECT
        workspace, announced = self._project(wallet) if is_project else self._user(wallet.owner)
        paid_for, described = self._category(category)
        quota = wallet_rules.quota(wallet.allocations, now)
        usage = quota - wallet_rules.available(wallet.allocations, now)
        flags = records.LOCKED * is_locked(wallet, now) | records.IS_PROJECT * is_project
        record = records.wallet(workspace, paid_for, quota, usage, flags, wallet.updated_at, retired=self._retired)
        return announced + described + record

    def _user(self, owner: Owner) -> tuple[int, bytes]:
        reference, new = _reference(self._users, owner.name)
        return reference, records.user(reference, owner.name) if new else b""

    def _project(self, wallet: Wallet) -> tuple[int, bytes]:
        reference, new = _reference(self._projects, wallet.owner.name)
        json = orjson.dumps(_project_json(wallet.owner.name, wallet.updated_at))
        return reference, records.project(reference, wallet.updated_at, json) if new else b""

    def _category(self, category: Category) -> tuple[int, bytes]:
        reference, new = _reference(self._categories, category.name)
        return reference, records.category(reference, orjson.dumps(wallet_view.category_json(category))) if new else b""


def _reference(known: dict[str, int], name: str) -> tuple[int, bool]:
    """And whether it is new."""
    size = len(known)
    reference = known.setdefault(name, size)
    return reference, reference == size


def _project_json(project: str, at: int) -> dict[str, object]:
    """As little as there is to say: this orchestrator knows projects as owners of wallets only."""
    return {
        "id": project,
        "createdAt": at,
        "modifiedAt": at,
        "specification": {"parent": None, "title": project, "canConsumeResources": True},
        "status": {"archived": False, "isFavorite": False, "isHidden": False, "members": [], "groups": []},
    }
