"""Wallets as users see them, of both eras (`spec` models 16): read by the client library."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from ucloud_ray.wire.accounting import WalletOwner
from ucloud_ray.wire.common import Model
from ucloud_ray.wire.products import ProductCategoryId


class Allocation(Model):
    id: str
    balance: int = 0
    """What is left, in credits (millionths of the currency) or in units of the product."""
    initial_balance: int = 0
    start_date: int | None = None
    """Milliseconds since the epoch."""
    end_date: int | None = None


class Wallet(Model):
    """The form of K; one of G is read into it."""

    owner: WalletOwner
    pays_for: ProductCategoryId
    allocations: list[Allocation] = Field(default_factory=list)
    product_type: str = "COMPUTE"
    unit: str = ""

    @property
    def balance(self) -> int:
        """What is left in all allocations."""
        return sum(allocation.balance for allocation in self.allocations)

    @model_validator(mode="before")
    @classmethod
    def of_the_current_era(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "allocationGroups" not in data:
            return data
        groups = [entry.get("group") or {} for entry in data.get("allocationGroups") or []]
        return {**data, "allocations": [one for group in groups for one in _allocations(group)]}


def _allocations(group: dict[str, Any]) -> list[dict[str, Any]]:
    """G counts what is used per group: taken from the allocations in their order."""
    used, found = group.get("usage") or 0, []
    for one in group.get("allocations") or []:
        taken = min(used, one.get("quota") or 0)
        used -= taken
        left = {"initialBalance": one.get("quota") or 0, "balance": (one.get("quota") or 0) - taken}
        found.append({**one, "id": str(one.get("id")), **left})
    return found
