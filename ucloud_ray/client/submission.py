"""From what a user says of a job to `JobSpecification`: which version, which machine, values of the right types.

Asks as little as it can: nothing about the application beyond its one description, which never changes and is kept; and
about machines only when the machine is not named with its category and provider.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ucloud_ray.client.effects import Json, Plan
from ucloud_ray.client.errors import Mistake, NoMachine
from ucloud_ray.client.session import Session
from ucloud_ray.client.values import Value, already_typed, mount, near, typed_values
from ucloud_ray.wire.common import ProductReference, SimpleDuration, to_wire

BACKENDS = {"DOCKER": "docker", "NATIVE": "native", "VIRTUAL_MACHINE": "virtualMachine"}
"""Of a tool, and where the support for it stands."""
PAGE = 100


@dataclass(frozen=True, slots=True)
class Wish:
    """What a user says of a job."""

    app: str
    version: str | None = None
    parameters: Mapping[str, Value] = field(default_factory=dict)
    product: str | ProductReference | None = None
    nodes: int = 1
    time: timedelta | None = None
    mounts: Sequence[Value] = ()
    resources: Sequence[Value] = ()
    more: Mapping[str, Any] = field(default_factory=dict)
    """Fields that go as they are."""


def specification(session: Session, wish: Wish) -> Plan[dict[str, Any]]:
    """Raises `Mistake` for what cannot be right, `NoMachine`."""
    application = yield from find_application(session, wish.app, wish.version)
    metadata, invocation = application["metadata"], application["invocation"]
    resources = [mount(one) for one in wish.mounts] + [_resource(one) for one in wish.resources]
    product = yield from _product(session, wish.product, backend_of(application))
    found = {
        "application": {"name": metadata["name"], "version": metadata["version"]},
        "product": product,
        "replicas": _nodes(wish.nodes),
        "parameters": typed_values(wish.parameters, invocation.get("parameters") or [], metadata["name"]),
        "resources": resources,
        "allowDuplicateJob": True,
        "timeAllocation": None if wish.time is None else duration(wish.time),
        **wish.more,
    }
    # K takes no `null` for lists, and G's strings have none.
    return {name: value for name, value in found.items() if value is not None}


def duration(time: timedelta) -> dict[str, int]:
    """`SimpleDuration`. Raises `Mistake`."""
    if time < timedelta(seconds=1):
        raise Mistake("the time must be at least a second", "leave it out for a job without an end")
    return to_wire(SimpleDuration.of_millis(int(time / timedelta(milliseconds=1))))


# ------------------------------------------------------------------------------------------------- application


def find_application(session: Session, wanted: str, version: str | None = None) -> Plan[Json]:
    """`NAME`, then the newest, or `NAME@VERSION`. Raises `Mistake` with the nearest name."""
    name, _, told = wanted.partition("@")
    if chosen := version or told:
        return (yield from application(session, name, chosen))
    known = yield from summaries(session)
    versions = [entry["metadata"]["version"] for entry in known if entry["metadata"]["name"] == name]
    if not versions:
        hint = near(name, [entry["metadata"]["name"] for entry in known])
        raise Mistake(f"there is no application '{name}'", hint, "application")
    return (yield from application(session, name, versions[0]))


def application(session: Session, name: str, version: str) -> Plan[Json]:
    key = ("application", name, version)
    if key not in session.known:
        query = {"appName": name, "appVersion": version}
        session.known[key] = yield from session.ask("GET", "/api/hpc/apps/byNameAndVersion", query)
    return session.known[key]


def summaries(session: Session) -> Plan[list[Json]]:
    """The catalogue, page after page (old paging, end-user-api 10)."""
    found: list[Json] = []
    page = 0
    while True:
        answer = yield from session.ask("GET", "/api/hpc/apps", {"itemsPerPage": PAGE, "page": page})
        items = answer.get("items") or []
        found += items
        page += 1
        if not items or page * PAGE >= answer.get("itemsInTotal", 0):
            return found


def backend_of(application: Mapping[str, Any]) -> str:
    tool = application["invocation"]["tool"].get("tool") or {}
    return str((tool.get("description") or {}).get("backend") or "DOCKER")


# ----------------------------------------------------------------------------------------------------- product


def supported_products(session: Session) -> Plan[list[Json]]:
    """`ResolvedSupport` of every provider, in the provider's order."""
    answer = yield from session.ask("GET", "/api/jobs/retrieveProducts")
    by_provider = answer.get("productsByProvider") or {}
    return [entry for entries in by_provider.values() for entry in entries or []]


def _product(session: Session, wanted: str | ProductReference | None, backend: str) -> Plan[dict[str, Any]]:
    if isinstance(wanted, ProductReference):
        return to_wire(wanted)
    if wanted is not None and wanted.count("/") == 2:
        name, category, provider = wanted.split("/")
        return {"id": name, "category": category, "provider": provider}
    return choose_product((yield from supported_products(session)), wanted, backend)


def choose_product(supported: Sequence[Mapping[str, Any]], wanted: str | None, backend: str) -> dict[str, Any]:
    """The one of that name, or the first that can run it. Raises `Mistake` for an unknown name, `NoMachine`."""
    known = [entry["product"] for entry in supported]
    named = [product for product in known if wanted in (None, product["name"])]
    if wanted is not None and not named:
        names = [product["name"] for product in known]
        raise Mistake(f"there is no machine type '{wanted}'", near(wanted, names), "product")
    fitting = [entry["product"] for entry in supported if entry["product"] in named and runs(entry, backend)]
    if not fitting:
        which = f"'{wanted}' cannot" if wanted else "no machine can"
        raise NoMachine(f"{which} run this application ({backend})")
    category = fitting[0]["category"]
    return {"id": fitting[0]["name"], "category": category["name"], "provider": category["provider"]}


def runs(entry: Mapping[str, Any], backend: str) -> bool:
    return bool((entry["support"].get(BACKENDS.get(backend, "docker")) or {}).get("enabled"))


# -------------------------------------------------------------------------------------------------- the others


def _nodes(count: int) -> int:
    if count < 1:
        raise Mistake(f"a job cannot have {count} nodes", "give it at least one")
    return count


def _resource(value: Value) -> dict[str, Any]:
    ready = already_typed(value)
    if ready is None:
        raise Mistake(f"{value!r} is no resource", "give it as File, Peer, or as UCloud writes it")
    return ready
