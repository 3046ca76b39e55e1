"""Words of the command line to typed values (models 8 and 9)."""

from __future__ import annotations

from typing import Any

import pytest

from ucloud_ray.cli.errors import UsageMistake
from ucloud_ray.cli.values import typed_values


def parameter(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "name": "p", "optional": False, **more}


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("text", "a=b c", {"type": "text", "value": "a=b c"}),
        ("text", "", {"type": "text", "value": ""}),
        ("textarea", "x", {"type": "text", "value": "x"}),
        ("integer", "-3", {"type": "integer", "value": -3}),
        ("floating_point", "1e3", {"type": "floating_point", "value": 1000.0}),
        ("boolean", "Yes", {"type": "boolean", "value": True}),
        ("boolean", "false", {"type": "boolean", "value": False}),
        ("input_file", "/1/a.txt", {"type": "file", "path": "/1/a.txt", "readOnly": False}),
        ("input_directory", "/1/d", {"type": "file", "path": "/1/d", "readOnly": False}),
        ("peer", "server:12", {"type": "peer", "hostname": "server", "jobId": "12"}),
        ("license_server", "7", {"type": "license_server", "id": "7"}),
        ("ingress", "7", {"type": "ingress", "id": "7"}),
        ("network_ip", "7", {"type": "network", "id": "7"}),
    ],
)
def test_a_word_gets_the_type_of_its_parameter(kind: str, text: str, value: dict[str, Any]) -> None:
    assert typed_values([f"p={text}"], [parameter(kind)], "app") == {"p": value}


@pytest.mark.parametrize(
    ("kind", "text", "says"),
    [
        ("integer", "1.5", "a whole number"),
        ("floating_point", "many", "a number"),
        ("boolean", "maybe", "true or false"),
        ("input_file", "a.txt", "its UCloud path"),
        ("peer", "server", "HOSTNAME:JOBID"),
        ("workflow", "x", "cannot be given on a command line"),
    ],
)
def test_a_word_of_the_wrong_type_is_refused_with_the_right_one(kind: str, text: str, says: str) -> None:
    with pytest.raises(UsageMistake, match=says):
        typed_values([f"p={text}"], [parameter(kind)], "app")


def test_a_number_outside_its_range_is_refused_with_the_range() -> None:
    with pytest.raises(UsageMistake, match="between 1 and 4"):
        typed_values(["p=5"], [parameter("integer", min=1, max=4)], "app")


def test_an_enumeration_takes_names_and_values_of_its_options_only() -> None:
    shells = [parameter("enumeration", options=[{"name": "Z shell", "value": "zsh"}])]
    assert typed_values(["p=Z shell"], shells, "app")["p"]["value"] == "Z shell"
    assert typed_values(["p=zsh"], shells, "app")["p"]["value"] == "zsh"
    with pytest.raises(UsageMistake, match="choose from Z shell"):
        typed_values(["p=fish"], shells, "app")


def test_an_unknown_parameter_names_the_nearest() -> None:
    with pytest.raises(UsageMistake, match="did you mean 'threads'"):
        typed_values(["thread=1"], [{"type": "integer", "name": "threads", "optional": True}], "app")


def test_a_word_without_an_equals_sign_is_refused() -> None:
    with pytest.raises(UsageMistake, match="not NAME=VALUE"):
        typed_values(["Example"], [parameter("text")], "app")


def test_a_missing_mandatory_parameter_is_named() -> None:
    with pytest.raises(UsageMistake, match=r"needs p; add p=\.\.\."):
        typed_values([], [parameter("text")], "app")


def test_optional_parameters_and_those_with_a_default_may_be_left_out() -> None:
    given = [
        parameter("text", optional=True),
        parameter("text", name="q", defaultValue="x"),
        {"type": "readme", "name": "r"},
    ]
    assert typed_values([], given, "app") == {}
