"""Reading is tolerant, writing is exact (`spec` models 1, D13)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from ucloud_ray.wire.common import BulkRequest, PageV2, ProductReference, SimpleDuration, to_wire
from ucloud_ray.wire.jobs import Job
from ucloud_ray.wire.products import AnyProduct, ComputeProduct, ComputeSupport, ProductV2, TypedComputeProduct
from ucloud_ray.wire.updates import JobUpdate
from ucloud_ray.wire.values import (
    ApiServerValue,
    AppParameterValue,
    BooleanValue,
    FileValue,
    IntegerValue,
    TextValue,
    UnknownValue,
)

DATA = Path(__file__).parents[2] / "data"
VALUE: TypeAdapter[Any] = TypeAdapter(AppParameterValue)
PRODUCT: TypeAdapter[Any] = TypeAdapter(AnyProduct)
SPECIFICATION = {
    "application": {"name": "a", "version": "1"},
    "product": {"id": "p", "category": "c", "provider": "example"},
}
JOB = {"id": "1", "createdAt": 5, "specification": SPECIFICATION}


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _objects(inner)


def _jobs() -> list[Any]:
    """Every job in the recordings and in the documentation."""
    files = [*sorted((DATA / "observed").glob("*.json")), *sorted((DATA / "examples").glob("*.json"))]
    return [
        pytest.param(found, id=f"{file.stem}-{number}")
        for file in files
        for number, found in enumerate(_objects(json.loads(file.read_text())))
        if {"specification", "createdAt", "id"} <= found.keys() and "application" in found["specification"]
    ]


@pytest.mark.parametrize("document", _jobs())
def test_every_job_ever_seen_is_read_and_written_without_loss(document: dict[str, Any]) -> None:
    job = Job.model_validate(document)
    written = to_wire(job)
    assert Job.model_validate(json.loads(json.dumps(written))) == job
    for field in ("id", "createdAt", "owner"):
        assert written[field] == document[field]
    given = document["specification"].get("parameters") or {}
    assert (written["specification"]["parameters"] or {}).keys() == given.keys()


NOTHING: list[dict[str, Any]] = [{}, {"parameters": None, "resources": None, "labels": None}]
NOTHING.append({"parameters": None, "timeAllocation": None, "sshEnabled": None, "name": None, "unknown": [1]})


@pytest.mark.parametrize("more", NOTHING)
def test_absent_and_null_are_the_same(more: dict[str, Any]) -> None:
    bare = Job.model_validate(JOB)
    assert Job.model_validate({**JOB, "specification": {**SPECIFICATION, **more}}) == bare
    assert Job.model_validate({**JOB, "owner": None, "updates": None, "status": None, "permissions": None}) == bare


def test_a_map_entry_that_is_null_is_no_entry() -> None:
    specification = {**SPECIFICATION, "parameters": {"a": None, "b": {"type": "text", "value": "x"}}}
    job = Job.model_validate({**JOB, "specification": specification})
    assert job.specification.parameters == {"b": TextValue(value="x")}


# ------------------------------------------------------------------------------------------------------ values

ALL_FIELDS_OF_G = {
    "path": "", "mountPath": "", "readOnly": False, "value": None, "hostname": "", "jobId": "", "id": "",
    "specification": {"applicationName": "", "inputs": None}, "modules": None, "port": 0, "tls": False, "server": "",
    "token": "", "tokenType": "",
}  # fmt: skip


@pytest.mark.parametrize("filler", [{}, ALL_FIELDS_OF_G], ids=["K", "G"])
@pytest.mark.parametrize(
    ("fields", "value"),
    [
        ({"type": "text", "value": "x"}, TextValue(value="x")),
        ({"type": "textarea", "value": "x"}, TextValue(type="textarea", value="x")),
        ({"type": "boolean", "value": False}, BooleanValue(value=False)),
        ({"type": "bool", "value": True}, BooleanValue(type="bool", value=True)),
        ({"type": "integer", "value": 2**70}, IntegerValue(value=2**70)),
        ({"type": "file", "path": "/1/a", "readOnly": True}, FileValue(path="/1/a", read_only=True)),
        ({"type": "of tomorrow", "value": []}, UnknownValue(type="of tomorrow")),
    ],
)
def test_a_value_is_chosen_by_its_type_alone(filler: dict[str, Any], fields: dict[str, Any], value: Any) -> None:
    assert VALUE.validate_python({**filler, **fields}) == value


@pytest.mark.parametrize("wrong", [{"value": 1}, {"type": None}, {"type": 1}, "text", None, []])
def test_a_value_without_a_type_is_an_error(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        VALUE.validate_python(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"type": "integer", "value": "1"},
        {"type": "integer", "value": True},
        {"type": "floating_point", "value": True},
        {"type": "boolean", "value": 1},
        {"type": "boolean", "value": "true"},
        {"type": "text", "value": 1},
        {"type": "file", "path": "/1", "readOnly": "yes"},
    ],
)
def test_nothing_is_guessed_from_another_json_type(wrong: Any) -> None:
    with pytest.raises(ValidationError):
        VALUE.validate_python(wrong)


def test_the_secret_of_an_api_server_is_not_shown() -> None:
    value = ApiServerValue(server="s", token="hunter2")
    assert "hunter2" not in f"{value!r} {value}"
    assert to_wire(value)["token"] == "hunter2"


# ---------------------------------------------------------------------------------------------------- products


def test_both_forms_of_a_product_are_told_apart() -> None:
    """models 6.2: `category.accountingUnit` exists only in ProductV2."""
    category = {"name": "c", "provider": "p"}
    k = PRODUCT.validate_python({"name": "n", "category": category, "pricePerUnit": 5, "cpu": 2, "gpu": None})
    g = PRODUCT.validate_python({"name": "n", "category": {**category, "accountingUnit": {"name": "Core"}}, "cpu": 2})
    assert (type(k), type(g), k.cpu, g.cpu, k.gpu, g.gpu) == (ComputeProduct, ProductV2, 2, 2, None, 0)


def test_flags_of_k_and_g_read_as_booleans() -> None:
    product = {"id": "p", "category": "c", "provider": "e"}
    k = ComputeSupport.model_validate(
        {"product": product, "docker": {"enabled": True, "web": None}, "native": {"enabled": None}, "maintenance": None}
    )
    g = ComputeSupport.model_validate({"product": product, "docker": {"enabled": True}, "native": {}})
    assert k == g
    assert to_wire(g)["docker"]["web"] is False


def test_products_of_mixed_types_carry_their_type() -> None:
    product = TypedComputeProduct(name="n", category={"name": "c", "provider": "p"})
    assert to_wire(product)["type"] == "compute"


# ------------------------------------------------------------------------------------------------------- small


@pytest.mark.parametrize(
    ("millis", "parts"),
    [(0, (0, 0, 0)), (21_600_000, (6, 0, 0)), (3_723_999, (1, 2, 3)), (90_000_000, (25, 0, 0))],
)
def test_a_duration_becomes_milliseconds_and_back_in_whole_seconds(millis: int, parts: tuple[int, int, int]) -> None:
    duration = SimpleDuration.of_millis(millis)
    assert (duration.hours, duration.minutes, duration.seconds) == parts
    assert duration.millis == millis // 1000 * 1000


def test_an_update_says_only_what_changes() -> None:
    """control-api 4.1: absent means unchanged."""
    update = JobUpdate(state="RUNNING", status="Your job is now running!")
    assert to_wire(update, omit_null=True) == {
        "state": "RUNNING", "status": "Your job is now running!", "timestamp": 0,
    }  # fmt: skip


def test_lists_are_read_with_and_without_their_key() -> None:
    bulk = BulkRequest[ProductReference]
    assert bulk.model_validate({}) == bulk.model_validate({"items": None}) == bulk.model_validate({"items": []})
    assert to_wire(PageV2[ProductReference](items=[])) == {"itemsPerPage": 50, "items": [], "next": None}


def test_a_request_of_more_than_a_thousand_items_is_refused() -> None:
    item = SPECIFICATION["product"]
    BulkRequest[ProductReference].model_validate({"items": [item] * 1000})
    with pytest.raises(ValidationError, match="1000"):
        BulkRequest[ProductReference].model_validate({"items": [item] * 1001})
