"""Python values and words of a command line to typed values (models 8 and 9)."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any

import pytest

from ucloud_ray.client.errors import Mistake
from ucloud_ray.client.values import File, Peer, drive_path, mount, typed_values
from ucloud_ray.wire.values import FileValue


def parameter(kind: str, **more: Any) -> dict[str, Any]:
    return {"type": kind, "name": "p", "optional": False, **more}


@pytest.mark.parametrize(
    ("kind", "given", "value"),
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
        ("input_file", "1/a.txt", {"type": "file", "path": "/1/a.txt", "readOnly": False}),
        ("input_file", PurePosixPath("1/a"), {"type": "file", "path": "/1/a", "readOnly": False}),
        ("input_directory", "1/", {"type": "file", "path": "/1", "readOnly": False}),
        ("input_file", File("1/a", read_only=True), {"type": "file", "path": "/1/a", "readOnly": True}),
        ("input_file", {"type": "file", "path": "/1/a"}, {"type": "file", "path": "/1/a"}),
        (
            "input_file",
            FileValue(path="/1/a"),
            {"type": "file", "path": "/1/a", "readOnly": False, "mountPath": ""},
        ),
        ("peer", Peer("server", "12"), {"type": "peer", "hostname": "server", "jobId": "12"}),
        ("text", 7, {"type": "text", "value": "7"}),
        ("integer", 7.0, {"type": "integer", "value": 7}),
        ("integer", 2**70, {"type": "integer", "value": 2**70}),
        ("floating_point", 7, {"type": "floating_point", "value": 7.0}),
        ("boolean", True, {"type": "boolean", "value": True}),
        ("peer", "server:12", {"type": "peer", "hostname": "server", "jobId": "12"}),
        ("license_server", "7", {"type": "license_server", "id": "7"}),
        ("ingress", "7", {"type": "ingress", "id": "7"}),
        ("network_ip", "7", {"type": "network", "id": "7"}),
    ],
)
def test_a_value_gets_the_type_of_its_parameter(kind: str, given: Any, value: dict[str, Any]) -> None:
    assert typed_values({"p": given}, [parameter(kind)], "app") == {"p": value}


@pytest.mark.parametrize(
    ("kind", "given", "says"),
    [
        ("integer", "1.5", "a whole number"),
        ("floating_point", "many", "a number"),
        ("boolean", "maybe", "true or false"),
        ("integer", True, "a whole number"),
        ("integer", 1.5, "a whole number"),
        ("integer", None, "a whole number"),
        ("integer", float("inf"), "a whole number"),
        ("floating_point", "nan", "a number"),
        ("floating_point", float("inf"), "a number"),
        ("floating_point", False, "a number"),
        ("input_file", "a.txt", "write it like home-user/inputs/data.csv"),
        ("peer", "server", "HOSTNAME:JOBID"),
        ("workflow", "x", "as UCloud writes it"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_the_right_one(kind: str, given: Any, says: str) -> None:
    with pytest.raises(Mistake, match=says):
        typed_values({"p": given}, [parameter(kind)], "app")


def test_a_number_outside_its_range_is_refused_with_the_range() -> None:
    with pytest.raises(Mistake, match="between 1 and 4"):
        typed_values({"p": "5"}, [parameter("integer", min=1, max=4)], "app")


def test_an_enumeration_takes_names_and_values_of_its_options_only() -> None:
    shells = [parameter("enumeration", options=[{"name": "Z shell", "value": "zsh"}])]
    assert typed_values({"p": "Z shell"}, shells, "app")["p"]["value"] == "Z shell"
    assert typed_values({"p": "zsh"}, shells, "app")["p"]["value"] == "zsh"
    with pytest.raises(Mistake, match="choose from Z shell"):
        typed_values({"p": "fish"}, shells, "app")


def test_an_unknown_parameter_names_the_nearest() -> None:
    with pytest.raises(Mistake, match="did you mean 'threads'"):
        typed_values({"thread": 1}, [{"type": "integer", "name": "threads", "optional": True}], "app")


def test_a_missing_mandatory_parameter_is_named() -> None:
    with pytest.raises(Mistake, match=r"needs p; add p=\.\.\."):
        typed_values({}, [parameter("text")], "app")


def test_optional_parameters_and_those_with_a_default_may_be_left_out() -> None:
    given = [
        parameter("text", optional=True),
        parameter("text", name="q", defaultValue="x"),
        {"type": "readme", "name": "r"},
    ]
    assert typed_values({}, given, "app") == {}


def test_parameters_that_are_injected_need_no_declaration() -> None:
    """End-user-api 4.2."""
    assert typed_values({"_injected_x": "1"}, [], "app") == {"_injected_x": {"type": "text", "value": "1"}}


def test_a_mount_may_be_only_read() -> None:
    assert mount("home-user/in") == {"type": "file", "path": "/home-user/in", "readOnly": False}
    assert mount("/home-user/in/:ro") == {"type": "file", "path": "/home-user/in", "readOnly": True}
    assert mount(Peer("a", "1"))["type"] == "peer"


@pytest.mark.parametrize("place", ["", "/", "//"])
def test_a_place_without_a_drive_is_refused(place: str) -> None:
    with pytest.raises(Mistake, match="names no drive"):
        drive_path(place)
