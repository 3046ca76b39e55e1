"""The rules of job-semantics section 2 that the table of cases leaves out: decisions Q1 to Q11 and refusals."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from ucloud_ray.domain.formatting import floating_point, license_text
from ucloud_ray.domain.invocation import (
    AppEnvironment,
    InvalidInvocation,
    build_argv,
    build_environment,
    final_argv,
    final_environment,
)
from ucloud_ray.domain.job import EnvRef, Launch


def parameter(name: str, type: str = "text", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": type, "optional": True, "defaultValue": None, "title": "", **more}


def var(*names: str, **affixes: Any) -> dict[str, Any]:
    return {"type": "var", "variableNames": list(names), **affixes}


def word(text: str) -> dict[str, Any]:
    return {"type": "word", "word": text}


def text(value: str) -> dict[str, Any]:
    return {"type": "text", "value": value}


def nothing(path: str) -> str | None:
    return None


def argv_of(parameter: dict[str, Any], value: dict[str, Any] | None) -> tuple[str | EnvRef, ...]:
    values = {} if value is None else {parameter["name"]: value}
    return build_argv([parameter], [var(parameter["name"])], values, nothing)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (3.0, "3"),
        (0.0000001, "1e-07"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (0.0001, "0.0001"),
        (0.00009, "9e-05"),
        (-1.25, "-1.25"),
        (0.1, "0.1"),
        (0.0, "0"),
        (1.5e16, "15000000000000000"),
        (2.0**60, "1152921504606847000"),
        (123456789.125, "123456789.125"),
        (5e-324, "5e-324"),
    ],
)
def test_a_floating_point_number_is_the_shortest_decimal_that_reads_back(number: float, expected: str) -> None:
    """Q3 to Q5."""
    assert floating_point(number) == expected
    assert float(expected) == number


def test_whole_numbers_of_any_size_keep_every_digit() -> None:
    value = json.loads('{"type": "integer", "value": 123456789012345678901234567890}')
    assert argv_of(parameter("n", "integer"), value) == ("123456789012345678901234567890",)


def test_a_whole_number_written_with_an_exponent_is_an_integer() -> None:
    assert argv_of(parameter("n", "integer"), json.loads('{"type": "integer", "value": 1e+06}')) == ("1000000",)


@pytest.mark.parametrize("raw", [True, 1.5, "3", None, float("inf"), [3]])
def test_a_value_that_is_no_integer_is_as_if_not_given(raw: Any) -> None:
    """INV-3."""
    assert argv_of(parameter("n", "integer"), {"type": "integer", "value": raw}) == ()


@pytest.mark.parametrize("raw", [True, "3", None, float("nan"), 10**400])
def test_a_value_that_is_no_finite_number_is_as_if_not_given(raw: Any) -> None:
    assert argv_of(parameter("x", "floating_point"), {"type": "floating_point", "value": raw}) == ()


@pytest.mark.parametrize("default", ["zsh", {"type": "text", "value": "zsh"}, {"value": "zsh"}])
def test_a_default_may_be_plain_or_wrapped(default: Any) -> None:
    """INV-4."""
    assert argv_of(parameter("s", defaultValue=default), None) == ("zsh",)


@pytest.mark.parametrize("default", [3, True, None, {"value": 3}, ["zsh"]])
def test_a_default_of_the_wrong_type_is_no_default(default: Any) -> None:
    assert argv_of(parameter("s", defaultValue=default), None) == ()


def test_an_empty_default_is_a_default() -> None:
    assert argv_of(parameter("s", defaultValue=""), None) == ("",)


def test_a_default_of_a_file_is_ignored() -> None:
    declared = parameter("f", "input_file", defaultValue={"type": "file", "path": "/1/a"})
    assert build_argv([declared], [var("f")], {}, lambda path: "/work/a") == ()


def test_an_option_is_known_by_its_value_before_its_name() -> None:
    """W14; Q10 for two options of one name."""
    options = [{"name": "b", "value": "a"}, {"name": "a", "value": "c"}, {"name": "b", "value": "d"}]
    declared = parameter("e", "enumeration", options=options)
    assert argv_of(declared, text("a")) == ("a",)
    assert argv_of(declared, text("b")) == ("a",)


def test_values_keep_their_blanks_beside_a_global_affix() -> None:
    """Q2, INV-14."""
    argv = build_argv([parameter("a")], [var("a", prefixGlobal=" --a ")], {"a": text("  x  ")}, nothing)
    assert argv == ("--a", "  x  ")


def test_the_documented_spelling_of_a_flag_is_understood() -> None:
    """INV-9."""
    flag = {"type": "bool_flag", "variableName": ["v"], "flag": " --v "}
    assert build_argv([parameter("v", "boolean")], [flag], {"v": {"type": "bool", "value": True}}, nothing) == ("--v",)


def test_no_entries_give_no_arguments() -> None:
    """INV-27."""
    assert build_argv([], [], {}, nothing) == ()


def test_a_mandatory_parameter_without_a_value_is_named() -> None:
    """INV-6."""
    declared = parameter("input", "input_file", optional=False, title="Input file")
    with pytest.raises(InvalidInvocation, match=r"'Input file' \(input\) needs a value"):
        build_argv([declared], [word("x")], {}, nothing)


def test_a_mandatory_parameter_with_a_default_needs_no_value() -> None:
    assert argv_of(parameter("s", optional=False, defaultValue="x"), None) == ("x",)


@pytest.mark.parametrize("bad", ["a\0b", "\ud800", "x\udfff"])
def test_text_that_no_process_can_be_given_is_refused(bad: str) -> None:
    """INV-7."""
    with pytest.raises(InvalidInvocation, match="The value of the parameter 'a'"):
        argv_of(parameter("a"), text(bad))
    with pytest.raises(InvalidInvocation, match="An argument"):
        build_argv([], [word(bad)], {}, nothing)
    with pytest.raises(InvalidInvocation):
        build_environment([], {"A": word(bad)}, {}, nothing)


def test_a_template_among_other_arguments_is_refused() -> None:
    """Q9, INV-17."""
    with pytest.raises(InvalidInvocation, match="mixes a template"):
        build_argv([], [word("x"), {"type": "jinja", "template": "y"}], {}, nothing)


def test_an_argument_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(InvalidInvocation, match="unknown kind 'magic'"):
        build_argv([], [{"type": "magic"}], {}, nothing)


def test_an_entry_whose_word_is_no_text_is_refused() -> None:
    with pytest.raises(InvalidInvocation, match="'word' is not a text"):
        build_argv([], [{"type": "word", "word": 3}], {}, nothing)


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "Å", "A\n", "A=B"])
def test_a_bad_name_of_a_variable_is_refused(name: str) -> None:
    """INV-22."""
    with pytest.raises(InvalidInvocation, match="cannot be the name"):
        build_environment([], {name: word("x")}, {}, nothing)


def test_a_variable_of_an_absent_parameter_is_set_and_empty() -> None:
    """Q7, INV-19, INV-20."""
    flag = {"type": "bool_flag", "variableName": "b", "flag": "--b"}
    environment = build_environment([parameter("a")], {"A": var("a"), "B": flag}, {}, nothing)
    assert environment == AppEnvironment({"A": "", "B": ""}, {})


def test_a_file_that_the_job_cannot_see_is_refused() -> None:
    """Q8, INV-31."""
    with pytest.raises(InvalidInvocation, match="'/1/a/b' of the parameter 'f' is not available"):
        argv_of(parameter("f", "input_file"), {"type": "file", "path": "/1/a/b"})


@pytest.mark.parametrize("path", ["/1/../2/x", "relative", "", "/", "/1/a\0"])
def test_a_path_that_is_no_path_inside_a_drive_is_refused(path: str) -> None:
    """INV-32."""
    declared = parameter("f", "input_file")
    with pytest.raises(InvalidInvocation):
        build_argv([declared], [var("f")], {"f": {"type": "file", "path": path}}, lambda path: "/work/x")


def test_a_path_is_cleaned_before_it_is_mapped() -> None:
    declared = parameter("f", "input_file")
    values = {"f": {"type": "file", "path": "/1//./a/b/"}}
    assert build_argv([declared], [var("f")], values, lambda path: path) == ("/1/a/b",)


def test_a_licence_is_address_port_and_key() -> None:
    """Q6, RES-14."""
    assert license_text("lic.example.org", 27000) == "lic.example.org:27000"
    assert license_text("lic.example.org", 27000, "K") == "lic.example.org:27000/K"
    with pytest.raises(InvalidInvocation):
        license_text("lic.example.org", None)


def test_a_licence_is_looked_up_and_an_unknown_one_is_refused() -> None:
    declared, values = parameter("l", "license_server"), {"l": {"type": "license_server", "id": "7"}}
    assert build_argv([declared], [var("l")], values, nothing, {"7": "a:1"}) == ("a:1",)
    with pytest.raises(InvalidInvocation, match="not known to this provider"):
        build_argv([declared], [var("l")], values, nothing)


def test_a_reference_takes_the_final_value_of_a_provided_variable() -> None:
    """Q1, INV-16: one argument, empty if unset; entries of the application's own map cannot be referenced."""
    argv = build_argv([], [{"type": "env", "variable": name} for name in ("HOME", "OWN", "NOPE")], {}, nothing)
    entries = {name: {"type": "env", "variable": name} for name in ("HOME", "NOPE")}
    environment = build_environment([], {"OWN": word("x y"), "COPY": entries["HOME"], "O": word("o")}, {}, nothing)
    also = build_environment([], {"SELF": {"type": "env", "variable": "OWN"}}, {}, nothing)
    launch = Launch(None, argv, environment.variables, references={**environment.references, **also.references})
    final = final_environment(launch, {"HOME": "/home/ucloud", "O": "provider"})
    assert final == {"OWN": "x y", "COPY": "/home/ucloud", "SELF": "", "O": "provider", "HOME": "/home/ucloud"}
    assert final_argv(launch, final) == ("/home/ucloud", "x y", "")


def test_a_refusal_survives_pickling() -> None:
    assert pickle.loads(pickle.dumps(InvalidInvocation("why"))).why == "why"
