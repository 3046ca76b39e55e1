"""Query parameters of retrieve, browse and search -> what to show and which jobs (end-user-api 1.2, 1.3, 3.1).

Wrong types are refused with the name of the parameter; unknown parameters are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ucloud_ray.orchestrator.errors import BadRequest
from ucloud_ray.orchestrator.job_order import CREATED_AT, SORTS, Position, parse_position
from ucloud_ray.orchestrator.job_record import parse_id

DEFAULT_PAGE = 50
LARGEST_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Flags:
    application: bool = False
    parameters: bool = False
    product: bool = False
    support: bool = False
    updates: bool = False
    others: bool = False


EVERYTHING = Flags(True, True, True, True, True, True)


@dataclass(frozen=True, slots=True)
class Filters:
    equal: Mapping[str, str]
    """Column to the value it must have."""
    different: Mapping[str, str]
    created_after: int | None = None
    created_before: int | None = None
    ids: tuple[int, ...] | None = None
    provider_ids: tuple[str, ...] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    machines: bool | None = None
    """Virtual machines only, or everything else only."""
    text: str = ""
    """Part of the application name, the title or the id; empty matches all."""


@dataclass(frozen=True, slots=True)
class Page:
    size: int = DEFAULT_PAGE
    after: Position | None = None
    """The last job of the page before."""
    ascending: bool = False
    sort: str = CREATED_AT


_EQUAL = {
    "filterApplication": "application_name",
    "filterState": "state",
    "filterCreatedBy": "created_by",
    "filterProvider": "provider",
    "filterProductId": "product_id",
    "filterProductCategory": "product_category",
}
_LABEL = "filterLabels."
_KINDS = {"VMS_ONLY": True, "JOBS_ONLY": False}
_DIFFERENT = {
    "hideProvider": "provider",
    "hideProductId": "product_id",
    "hideProductCategory": "product_category",
}


def parse_flags(query: Mapping[str, Any]) -> Flags:
    return Flags(
        application=_flag(query, "includeApplication"),
        parameters=_flag(query, "includeParameters"),
        product=_flag(query, "includeProduct"),
        support=_flag(query, "includeSupport"),
        updates=_flag(query, "includeUpdates"),
        others=_flag(query, "includeOthers"),
    )


def parse_filters(query: Mapping[str, Any]) -> Filters:
    return Filters(
        equal={column: value for name, column in _EQUAL.items() if (value := _text(query, name))},
        different={column: value for name, column in _DIFFERENT.items() if (value := _text(query, name))},
        created_after=_number(query, "filterCreatedAfter"),
        created_before=_number(query, "filterCreatedBefore"),
        ids=_ids(query, "filterIds"),
        provider_ids=_list(query, "filterProviderIds"),
        labels=_labels(query),
        machines=_machines(query),
        text=_text(query, "query"),
    )


def parse_page(query: Mapping[str, Any]) -> Page:
    """An order that we do not know is the documented default, "newest first": what K could sort by is not known."""
    sort = _text(query, "sortBy")
    ascending = sort in SORTS and _text(query, "sortDirection") == "ascending"
    sort = sort if sort in SORTS else CREATED_AT
    return Page(parse_page_size(query), parse_position(_text(query, "next"), sort), ascending, sort)


def parse_page_size(query: Mapping[str, Any]) -> int:
    size = _number(query, "itemsPerPage") or 0
    return min(size, LARGEST_PAGE) if size > 0 else DEFAULT_PAGE


def parse_page_number(query: Mapping[str, Any]) -> int:
    """Of the old paging; 0 is the first."""
    page = _number(query, "page") or 0
    if page < 0:
        raise BadRequest("page: must not be negative")
    return page


def parse_flag(query: Mapping[str, Any], name: str) -> bool:
    return _flag(query, name)


def parse_offset(query: Mapping[str, Any]) -> int:
    """`next` of pages that count their items."""
    position = parse_position(_text(query, "next"), CREATED_AT)
    return position.id if position else 0


def required(query: Mapping[str, Any], name: str) -> str:
    value = _text(query, name)
    if not value:
        raise BadRequest(f"{name}: this query parameter is required")
    return value


def _labels(query: Mapping[str, Any]) -> dict[str, str]:
    """`filterLabels.<name>=<value>` of a query, and the object of a body."""
    nested = query.get("filterLabels") or {}
    if not isinstance(nested, dict):
        raise BadRequest("filterLabels: must be a JSON object of texts; in a query filterLabels.<name>=<value>")
    flat = {name.removeprefix(_LABEL): query[name] for name in query if name.startswith(_LABEL)}
    given = {**flat, **nested}
    if any("\0" in name for name in given):
        raise BadRequest("filterLabels: a name must not contain NUL characters")
    return {name: _text(given, name) for name in given}


def _machines(query: Mapping[str, Any]) -> bool | None:
    kind = _text(query, "filterType")
    if kind and kind not in _KINDS:
        raise BadRequest(f"filterType: must be one of {', '.join(_KINDS)}")
    return _KINDS.get(kind)


def _flag(query: Mapping[str, Any], name: str) -> bool:
    value = query.get(name)
    if value in (None, "", "false", False):
        return False
    if value in ("true", True):
        return True
    raise BadRequest(f"{name}: must be true or false")


def _number(query: Mapping[str, Any], name: str) -> int | None:
    value = query.get(name)
    if value is None or value == "":
        return None
    digits = str(value)
    if isinstance(value, bool) or not (digits.isascii() and digits.removeprefix("-").isdigit()) or len(digits) > 18:
        raise BadRequest(f"{name}: must be a whole number")
    return int(digits)


def _text(query: Mapping[str, Any], name: str) -> str:
    value = query.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or "\0" in value:
        raise BadRequest(f"{name}: must be a text without NUL characters")
    return value


def _list(query: Mapping[str, Any], name: str) -> tuple[str, ...] | None:
    value = _text(query, name)
    return tuple(part.strip() for part in value.split(",")) if value else None


def _ids(query: Mapping[str, Any], name: str) -> tuple[int, ...] | None:
    parts = _list(query, name)
    if parts is None:
        return None
    return tuple(number for part in parts if (number := parse_id(part)) is not None)
