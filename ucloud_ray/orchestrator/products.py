"""Machine types, and what the provider says it supports for each. In memory: products are configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from ucloud_ray.orchestrator.errors import BadGateway, BadRequest
from ucloud_ray.orchestrator.products_v2 import product_v2
from ucloud_ray.settings import ProductSettings
from ucloud_ray.wire.common import ProductReference
from ucloud_ray.wire.products import ComputeSupport

ProductKey = tuple[str, str, str]
"""Id, category, provider."""

BACKEND_KEYS = {
    "DOCKER": "docker",
    "SINGULARITY": "docker",
    "VIRTUAL_MACHINE": "virtualMachine",
    "NATIVE": "native",
}
"""Backend of a tool to its object in the support (provider-api 6.2)."""

_FLAGS = {
    "docker": ("enabled", "web", "vnc", "logs", "terminal", "peers", "timeExtension", "utilization"),
    "virtualMachine": ("enabled", "logs", "vnc", "terminal", "timeExtension", "suspension", "utilization"),
    "native": ("enabled", "logs", "vnc", "terminal", "timeExtension", "utilization", "web"),
}
"""Always shown, `null` when the provider says nothing, as in the mission document."""


@dataclass(frozen=True, slots=True)
class Product:
    reference: ProductReference
    content: dict[str, Any]
    """`Product.Compute` as it is inside a job: without the discriminator."""

    @property
    def key(self) -> ProductKey:
        return key_of(self.reference)


@dataclass(frozen=True, slots=True)
class Support:
    flags: dict[str, Any]
    """`ComputeSupport` as shown to users."""
    resolved: orjson.Fragment
    """`ResolvedSupport`."""

    def has(self, backend: str, feature: str) -> bool:
        """`backend` as in a tool."""
        return bool(self.flags.get(BACKEND_KEYS.get(backend, ""), {}).get(feature))


@dataclass(frozen=True, slots=True)
class Category:
    """Products that are paid from the same wallet."""

    name: str
    provider: str
    unit: str
    """`unitOfPrice` of its first product."""
    free: bool
    """None of its products costs anything."""

    @property
    def key(self) -> tuple[str, str]:
        """As a ledger names it: provider, name."""
        return (self.provider, self.name)


class ProductBook:
    def __init__(self, settings: Iterable[ProductSettings], provider: str) -> None:
        made = [_product(one, provider) for one in settings]
        self._products = {product.key: product for product in made}
        self._json = {product.key: orjson.Fragment(orjson.dumps(product.content)) for product in made}
        self._support: dict[ProductKey, Support] = {}
        self._heard_of: set[str] = set()
        """Providers that have answered since we were started."""
        self._categories = _categories(made)

    def price(self, key: ProductKey) -> int:
        """Of one unit in one period. 0 for what is free, and for a product that is not sold any more."""
        product = self._products.get(key)
        return 0 if product is None or product.content["freeToUse"] else int(product.content["pricePerUnit"])

    def costs(self, key: ProductKey) -> bool:
        """Whether a job on it needs a wallet."""
        product = self._products.get(key)
        return product is not None and not product.content["freeToUse"]

    def categories(self) -> list[Category]:
        """In the order of the configuration."""
        return list(self._categories.values())

    def category(self, provider: str, name: str) -> Category | None:
        return self._categories.get((provider, name))

    def browse(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """`filterArea`, `filterName`, `filterCategory`, `filterProvider` as in the mission document."""
        if query.get("filterArea") not in (None, "", "COMPUTE"):
            return []
        return [
            {"type": "compute", **product.content}
            for product in self._products.values()
            if all(query.get(name) in (None, "", value) for name, value in _filtered(product.reference).items())
        ]

    def browse_v2(self, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """The same in the form of G (models 6.2)."""
        if query.get("filterProductType") not in (None, "", "COMPUTE"):
            return []
        return [product_v2(product) for product in self.browse({**query, "filterArea": ""})]

    def json(self, key: ProductKey) -> orjson.Fragment | None:
        return self._json.get(key)

    def machine(self, key: ProductKey) -> dict[str, Any]:
        """`machineType` of the exported parameters."""
        product = self._products.get(key)
        return {name: product.content[name] if product else None for name in ("cpu", "memoryInGigs")}

    def support(self, key: ProductKey) -> Support | None:
        return self._support.get(key)

    def supported(self, reference: ProductReference) -> Support:
        """Raises `BadRequest` for a product that does not exist or that the provider does not support now (O16), and
        `BadGateway` as long as it could not be asked: that is no mistake of the user's."""
        key = key_of(reference)
        support = self._support.get(key)
        if support is None and key in self._products and reference.provider not in self._heard_of:
            raise BadGateway(f"The provider {reference.provider} does not answer at the moment; try again soon")
        if support is None:
            raise BadRequest(
                f"Bad machine type requested: {reference.id} of {reference.category} at {reference.provider} "
                "is not available. Choose one of the products of /api/jobs/retrieveProducts."
            )
        return support

    def replace_support(self, provider: str, entries: Iterable[dict[str, Any]]) -> None:
        """The provider's newest answer. Products that it leaves out disappear; ones not registered are ignored."""
        self._heard_of.add(provider)
        fresh = {key: support for key, support in self._support.items() if key[2] != provider}
        for entry in entries:
            key = key_of(ComputeSupport.model_validate(entry).product)
            product = self._products.get(key)
            if product is not None and key[2] == provider:
                flags = _shown(entry, product.reference)
                resolved = {"product": product.content, "support": flags}
                fresh[key] = Support(flags, orjson.Fragment(orjson.dumps(resolved)))
        self._support = fresh

    def by_provider(self, usable: Callable[[ProductKey], bool] = lambda _: True) -> dict[str, list[orjson.Fragment]]:
        answer: dict[str, list[orjson.Fragment]] = {}
        for key, support in self._support.items():
            if usable(key):
                answer.setdefault(key[2], []).append(support.resolved)
        return answer


def key_of(reference: ProductReference) -> ProductKey:
    return (reference.id, reference.category, reference.provider)


def _categories(products: Iterable[Product]) -> dict[tuple[str, str], Category]:
    found: dict[tuple[str, str], Category] = {}
    for product in products:
        reference, free = product.reference, bool(product.content["freeToUse"])
        key = (reference.provider, reference.category)
        known = found.get(key) or Category(reference.category, reference.provider, product.content["unitOfPrice"], free)
        found[key] = replace(known, free=known.free and free)
    return found


def _filtered(reference: ProductReference) -> dict[str, str]:
    return {
        "filterName": reference.id,
        "filterCategory": reference.category,
        "filterProvider": reference.provider,
    }


def _product(settings: ProductSettings, provider: str) -> Product:
    reference = ProductReference(id=settings.name, category=settings.category, provider=provider)
    content: dict[str, Any] = {
        "balance": None,
        "name": settings.name,
        "pricePerUnit": settings.price,
        "category": {"name": settings.category, "provider": provider},
        "description": settings.description,
        "priority": 0,
        "cpu": _whole(settings.cpu),
        "memoryInGigs": _whole(settings.memory_in_gigs),
        "gpu": settings.gpu,
        "version": 1,
        "freeToUse": settings.free_to_use,
        "unitOfPrice": settings.unit_of_price,
        "chargeType": "ABSOLUTE",
        "hiddenInGrantApplications": False,
        "productType": "COMPUTE",
    }
    models = {"cpuModel": settings.cpu_model, "memoryModel": settings.memory_model, "gpuModel": settings.gpu_model}
    return Product(reference, content | {name: model for name, model in models.items() if model})


def _whole(number: float) -> int | float:
    """10 rather than 10.0: the document has integers."""
    return int(number) if float(number).is_integer() else number


def _shown(entry: Mapping[str, Any], product: ProductReference) -> dict[str, Any]:
    shown: dict[str, Any] = {"product": product.model_dump()}
    for backend, flags in _FLAGS.items():
        given = {name: value for name, value in (entry.get(backend) or {}).items() if isinstance(value, bool)}
        shown[backend] = {**dict.fromkeys(flags), **given}
    extra = {name: entry[name] for name in ("maintenance", "queueStatus") if entry.get(name) is not None}
    return shown | extra
