"""A wallet as JSON of both eras: the mission document's (`wallets/browse`), the current Core's (`v2/browseWallets`)."""

from __future__ import annotations

from typing import Any

from ucloud_ray.orchestrator import wallet_rules
from ucloud_ray.orchestrator.products import Category
from ucloud_ray.orchestrator.wallet_rows import PROJECT, Owner, Wallet
from ucloud_ray.orchestrator.wallet_rules import Allocation

_FREQUENCIES = {"MINUTE": "PERIODIC_MINUTE", "HOUR": "PERIODIC_HOUR", "DAY": "PERIODIC_DAY"}


def owner_json(owner: Owner) -> dict[str, Any]:
    name = "projectId" if owner.type == PROJECT else "username"
    return {"type": owner.type, name: owner.name}


def documented(wallet: Wallet, category: Category) -> dict[str, Any]:
    return {
        "owner": owner_json(wallet.owner),
        "paysFor": {"name": wallet.category, "provider": wallet.provider},
        "allocations": [_allocation(one) for one in wallet.allocations],
        "chargePolicy": "EXPIRE_FIRST",
        "productType": "COMPUTE",
        "chargeType": "ABSOLUTE",
        "unit": category.unit,
    }


def current(wallet: Wallet, category: Category, now: int) -> dict[str, Any]:
    quota = wallet_rules.quota(wallet.allocations, now)
    usage = quota - wallet_rules.available(wallet.allocations, now)
    return {
        "owner": owner_json(wallet.owner),
        "paysFor": category_json(category),
        "allocationGroups": [_group(wallet)] if wallet.allocations else [],
        "children": None,
        "totalUsage": usage,
        "localUsage": usage,
        "maxUsable": max(0, quota - usage),
        "quota": quota,
        "totalAllocated": 0,
        "lastSignificantUpdateAt": wallet.updated_at,
    }


def category_json(category: Category) -> dict[str, Any]:
    """`ProductCategory` (models 6.2)."""
    return {
        "name": category.name,
        "provider": category.provider,
        "productType": "COMPUTE",
        "accountingUnit": _unit(category.unit),
        "accountingFrequency": _FREQUENCIES.get(category.unit.rpartition("_")[2], "ONCE"),
        "freeToUse": category.free,
        "allowSubAllocations": True,
    }


def _unit(unit_of_price: str) -> dict[str, Any]:
    is_money = unit_of_price.startswith("CREDITS_")
    name, plural = ("DKK", "DKK") if is_money else ("Unit", "Units")
    return {"name": name, "namePlural": plural, "floatingPoint": is_money, "displayFrequencySuffix": not is_money}


def _allocation(one: Allocation) -> dict[str, Any]:
    return {
        "id": str(one.id),
        "allocationPath": [str(one.id)],
        "balance": one.balance,
        "initialBalance": one.initial,
        "localBalance": one.balance,
        "startDate": one.start,
        "endDate": one.end,
        "grantedIn": None,
    }


def _group(wallet: Wallet) -> dict[str, Any]:
    shown = [
        {
            "id": one.id,
            "startDate": one.start,
            "endDate": one.end,
            "quota": one.initial,
            "grantedIn": None,
            "retiredUsage": None,
        }
        for one in wallet.allocations
    ]
    # Everything here is granted by the installation itself.
    parent = {"projectId": None, "projectTitle": "Root", "pi": wallet.owner.name}
    usage = sum(one.used for one in wallet.allocations)
    return {"parent": parent, "group": {"id": wallet.id, "allocations": shown, "usage": usage}}
