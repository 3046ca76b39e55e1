"""The base of every wire model, and the small models that all topics share (`spec` models 1 and 2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

T = TypeVar("T")


class Model(BaseModel):
    """camelCase on the wire, snake_case in Python; immutable; unknown fields are ignored.

    Types are strict: a number in quotes, or `true` where a number belongs, is an error that names the field.
    """

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        extra="ignore",
        frozen=True,
        strict=True,
        protected_namespaces=(),
    )

    @model_validator(mode="before")
    @classmethod
    def null_means_absent(cls, data: Any) -> Any:
        """`null`, where G has no value and K writes its defaults, is read as if the field were not there (D13)."""
        if isinstance(data, dict) and None in data.values():
            return {name: value for name, value in data.items() if value is not None}
        return data


def to_wire(model: Model, *, omit_null: bool = False) -> dict[str, Any]:
    """The JSON object of a model, every field present; `omit_null` leaves out what has no value.

    Both eras read an optional field that is `null` or missing alike, except timestamps, which G refuses as `null`:
    those are never optional in our models or are only sent with `omit_null`.
    """
    return model.model_dump(by_alias=True, exclude_none=omit_null)


def without_nulls(value: Any) -> Any:
    """A map without the entries that have no value."""
    if isinstance(value, dict):
        return {name: entry for name, entry in value.items() if entry is not None}
    return value


WireMap = Annotated[dict[str, T], BeforeValidator(without_nulls)]
"""A map whose `null` entries count as absent."""


Timestamp = Annotated[int, Field(ge=-(2**62), le=2**62)]
"""Milliseconds since the epoch. The bounds keep nonsense out of columns of 64 bits."""

Small = Annotated[int, Field(ge=-(2**31), le=2**31)]


class BulkRequest(Model, Generic[T]):
    items: Annotated[list[T], Field(max_length=1000)] = Field(default_factory=list)
    """At most what K allows (provider-api 4); G has no limit and no page that sends more."""


class BulkResponse(Model, Generic[T]):
    responses: list[T] = Field(default_factory=list)


class PageV2(Model, Generic[T]):
    items_per_page: int = 50
    items: list[T] = Field(default_factory=list)
    next: str | None = None
    """Token of the following page; None on the last one."""


class FindByStringId(Model):
    id: str


class CommonErrorMessage(Model):
    """Body of every failed call."""

    why: str = ""
    error_code: str | None = None


class NameAndVersion(Model):
    name: str
    version: str


class ProductReference(Model):
    id: str
    category: str
    provider: str


class SimpleDuration(Model):
    """A length of time. Every part may be negative on the wire; judging that is the reader's."""

    hours: Small = 0
    minutes: Small = 0
    seconds: Small = 0

    @property
    def millis(self) -> int:
        return ((self.hours * 60 + self.minutes) * 60 + self.seconds) * 1000

    @classmethod
    def of_millis(cls, millis: int) -> SimpleDuration:
        """Rounded down to whole seconds."""
        minutes, seconds = divmod(millis // 1000, 60)
        hours, minutes = divmod(minutes, 60)
        return cls(hours=hours, minutes=minutes, seconds=seconds)


def object_type(value: Any) -> str:
    """The discriminator of a tagged union, of raw JSON or of a model. Empty when there is none."""
    found = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)
    return found if isinstance(found, str) else ""
