"""`ucloud-ray wallets`: what workspaces have to pay with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from ucloud_ray.cli import durations, options, output
from ucloud_ray.cli.connect import connect
from ucloud_ray.cli.errors import UsageMistake

app = typer.Typer(no_args_is_help=True, help="What workspaces have to pay with.", rich_markup_mode=None)

CREDITS = 1_000_000
"""One unit of the currency."""


@app.command("list")
def list_wallets(
    everybody: Annotated[bool, typer.Option("--all", help="Everybody's; for administrators.")] = False,
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """List wallets: what was granted, and what is left of it. One credit is a millionth of the currency.

    \b
    Examples:
      ucloud-ray wallets list
      ucloud-ray wallets list --all --json
    """
    with connect(host, token, project, data, admin=everybody) as client:
        found = list(client.raw.wallets.browse(everybody=everybody))
    if as_json:
        output.show_json(found)
        return
    rows = [_row(wallet, one) for wallet in found for one in wallet.get("allocations") or []]
    columns = ("OWNER", "CATEGORY", "ALLOCATION", "GRANTED", "LEFT", "ENDS")
    output.show_table(columns, rows, "no wallets; an administrator makes one with `ucloud-ray wallets grant`")


@app.command("grant")
def grant(
    owner: Annotated[str, typer.Argument(metavar="OWNER", help="Name of a user, or project:ID.")],
    category: Annotated[str, typer.Argument(metavar="CATEGORY", help="Product category, or CATEGORY@PROVIDER.")],
    amount: Annotated[
        str,
        typer.Argument(metavar="AMOUNT", help="Credits (units, if the price is one of units), or money like 500DKK."),
    ],
    ends_in: Annotated[str | None, typer.Option("--for", metavar="TIME", help="Valid so long, like 24h.")] = None,
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Give a workspace something to pay with. For administrators.

    \b
    Examples:
      ucloud-ray wallets grant user example-compute 500DKK
      ucloud-ray wallets grant project:5a1b example-compute 1000000 --for 720h
    """
    name, _, provider = category.partition("@")
    payer, given = _owner(owner), _amount(amount)
    ends = None if ends_in is None else _now_millis() + durations.millis(ends_in)
    with connect(host, token, project, data, admin=True) as client:
        seller = provider or _provider_of(name, client.raw.products.browse())
        paid_for = {"name": name, "provider": seller}
        allocation = client.wallets.grant(payer, paid_for, given, ends)
    if as_json:
        output.show_json({"allocation": allocation, "owner": payer, "category": paid_for, "amount": given})
    else:
        output.say(f"granted {amount} of {category} to {owner} (allocation {allocation})")


def _owner(text: str) -> dict[str, str]:
    kind, colon, name = text.partition(":")
    if colon and kind == "project" and name:
        return {"type": "project", "projectId": name}
    return {"type": "user", "username": text}


def _provider_of(category: str, products: Sequence[Mapping[str, Any]]) -> str:
    sellers = {one["product"]["category"]["provider"] for one in products if _sold_in(one) == category}
    if len(sellers) != 1:
        known = ", ".join(sorted({_sold_in(one) for one in products})) or "none"
        raise UsageMistake(
            f"'{category}' is no category of one provider", f"name it as CATEGORY@PROVIDER; known: {known}"
        )
    return str(sellers.pop())


def _sold_in(entry: Mapping[str, Any]) -> str:
    return str(entry["product"]["category"]["name"])


def _amount(text: str) -> int:
    digits, is_money = text.removesuffix("DKK"), text.endswith("DKK")
    if not (digits.isascii() and digits.isdigit()) or int(digits) == 0:
        raise UsageMistake(f"'{text}' is no amount", "write it like 1000000 (credits) or 500DKK")
    return int(digits) * (CREDITS if is_money else 1)


def _now_millis() -> int:
    return round(datetime.now().timestamp() * 1000)


def _row(wallet: Mapping[str, Any], allocation: Mapping[str, Any]) -> tuple[object, ...]:
    owner, category = wallet["owner"], wallet["paysFor"]
    name = owner.get("username") or f"project:{owner.get('projectId')}"
    ends = allocation.get("endDate")
    until = datetime.fromtimestamp(ends / 1000).strftime("%Y-%m-%d %H:%M") if ends else "-"
    left = (allocation["initialBalance"], allocation["balance"], until)
    return (name, f"{category['name']}@{category['provider']}", allocation["id"], *left)
