"""`ucloud-ray products` and `utilization`: what can be used, and how much of it is in use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ucloud_ray.cli import complete, operator_api, options, output
from ucloud_ray.cli.connect import connect

if TYPE_CHECKING:
    from ucloud_ray.client import Client

BACKENDS = (("docker", "DOCKER"), ("native", "NATIVE"), ("virtualMachine", "VM"))


def products(
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """List the machine types and what can run on them.

    \b
    Example:
      ucloud-ray products
    """
    with connect(host, token, project, data) as client:
        supported = client.raw.products.browse()
    if as_json:
        output.show_json(supported)
    else:
        show_products(supported)


def show_products(supported: Sequence[Mapping[str, Any]]) -> None:
    columns = ("PRODUCT", "CATEGORY", "PROVIDER", "CPU", "MEMORY", "GPU", "RUNS", "QUEUE")
    output.show_table(
        columns, [_product_row(entry) for entry in supported], "no machine types; see `ucloud-ray status`"
    )


def _product_row(entry: Mapping[str, Any]) -> tuple[object, ...]:
    product, support = entry["product"], entry["support"]
    category = product["category"]
    runs = [name for key, name in BACKENDS if (support.get(key) or {}).get("enabled")]
    return (
        product["name"],
        category["name"],
        category["provider"],
        product.get("cpu"),
        f"{product['memoryInGigs']} GB" if product.get("memoryInGigs") else "-",
        product.get("gpu") or 0,
        ", ".join(runs) or "nothing",
        support.get("queueStatus") or "-",
    )


def utilization(
    job: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Ask UCloud/Core for this job's machines.", autocompletion=complete.jobs),
    ] = None,
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    config: options.Config = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Show how much of each category is in use, and how many jobs run and wait. Asks the provider of this machine, or
    UCloud/Core about the machines that one of your jobs uses.

    \b
    Examples:
      ucloud-ray utilization
      ucloud-ray utilization --job 48920
    """
    if job is not None:
        with connect(host, token, project, data) as client:
            of_job = client.raw.jobs.utilization(job)
            found = of_job if as_json else {_category(client, job): _flat(of_job)}
    else:
        found = operator_api.status(config, data).get("categories") or {}
    if as_json:
        output.show_json(found)
    else:
        show_categories(found)


def _category(client: Client, job_id: str) -> str:
    return client.jobs.retrieve(job_id).specification.product.category


def _flat(told: Mapping[str, Any]) -> dict[str, Any]:
    """As the provider tells it to its operator."""
    return {
        "used_cpu": told["usedCapacity"]["cpu"],
        "capacity_cpu": told["capacity"]["cpu"],
        "used_memory": told["usedCapacity"]["memory"],
        "capacity_memory": told["capacity"]["memory"],
        **told["queueStatus"],
    }


def show_categories(categories: Mapping[str, Mapping[str, Any]]) -> None:
    columns = ("CATEGORY", "CPU USED", "CPU SOLD", "MEMORY USED", "MEMORY SOLD", "RUNNING", "WAITING")
    rows = [
        (
            name,
            _number(now["used_cpu"]),
            _number(now["capacity_cpu"]),
            _gigabytes(now["used_memory"]),
            _gigabytes(now["capacity_memory"]),
            now["running"],
            now["pending"],
        )
        for name, now in categories.items()
    ]
    output.show_table(columns, rows, "no categories")


def _number(value: float) -> str:
    return f"{value:g}"


def _gigabytes(size: int) -> str:
    return f"{size / 1_000_000_000:g} GB"
