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
    build_command,
    build_environment,
    build_template,
    template_context,
)
from ucloud_ray.domain.job import EnvRef


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
    with pytest.raises(InvalidInvocation, match="came without address and port"):
        build_argv([declared], [var("l")], values, nothing)


def test_a_licence_is_what_its_value_says() -> None:
    """W16, Q6, RES-14."""
    declared = [parameter("l", "license_server")]
    value = {"type": "license_server", "id": "7", "address": "lic.example.org", "port": 27000, "license": "K"}
    assert build_command(declared, [var("l")], None, {"l": value}, nothing).argv == ("lic.example.org:27000/K",)
    without_key = {**value, "license": None}
    assert build_command(declared, [var("l")], None, {"l": without_key}, nothing).argv == ("lic.example.org:27000",)


@pytest.mark.parametrize("missing", ["address", "port"])
def test_a_licence_without_address_or_port_is_refused(missing: str) -> None:
    value = {"type": "license_server", "id": "7", "address": "lic.example.org", "port": 27000, missing: None}
    declared = [parameter("l", "license_server")]
    for entry in (var("l"), word("x")):
        with pytest.raises(InvalidInvocation, match="'l' came without address and port"):
            build_command(declared, [entry], None, {"l": value}, nothing)
    assert build_command([], [word("x")], None, {"l": value}, nothing).argv == ("x",), "nobody declared it (INV-3)"


def test_a_reference_stays_one_until_the_task_is_on_its_machine() -> None:
    """INV-16."""
    entry = {"type": "env", "variable": "HOME"}
    assert build_argv([], [word("x"), entry], {}, nothing) == ("x", EnvRef("HOME"))
    environment = build_environment([], {"OWN": word("x y"), "COPY": entry}, {}, nothing)
    assert environment == AppEnvironment({"OWN": "x y"}, {"COPY": "HOME"}, {})


# --------------------------------------------------------------------------------------------------- templates


JINJA = {"type": "jinja", "template": "run {{ a }}"}


def test_a_template_alone_stands_in_place_of_arguments() -> None:
    """INV-17."""
    assert build_argv([], [JINJA], {}, nothing) == ()
    assert build_template([], [JINJA], {}) == "run {{ a }}"
    assert build_template([], [word("x")], {}) is None


def test_a_variable_may_be_a_template() -> None:
    """INV-21."""
    environment = build_environment([], {"A": JINJA, "B": word("b")}, {}, nothing)
    assert environment == AppEnvironment({"B": "b"}, {}, {"A": "run {{ a }}"})
    with pytest.raises(InvalidInvocation, match="cannot be the name"):
        build_environment([], {"1A": JINJA}, {}, nothing)


def test_a_template_knows_numbers_and_truths_as_such_and_all_else_as_text() -> None:
    """INV-35, INV-42."""
    options = [{"name": "Z shell", "value": "zsh"}]
    declared = [
        parameter("n", "integer"),
        parameter("x", "floating_point"),
        parameter("b", "boolean", trueValue="yes"),
        parameter("e", "enumeration", options=options),
        parameter("f", "input_file"),
        parameter("p", "peer"),
        parameter("absent"),
        parameter("unset", "integer", defaultValue=7),
    ]
    values = {
        "n": {"type": "integer", "value": 2**70},
        "x": {"type": "floating_point", "value": 3.0},
        "b": {"type": "boolean", "value": True},
        "e": text("Z shell"),
        "f": {"type": "file", "path": "/1/a"},
        "p": {"type": "peer", "hostname": "db", "jobId": "5"},
        "ghost": text("boo"),
    }
    assert template_context(declared, values, lambda path: f"/work{path}") == {
        "n": 2**70,
        "x": 3.0,
        "b": True,
        "e": "zsh",
        "f": "/work/1/a",
        "p": "db",
        "absent": None,
        "unset": 7,
    }


def test_the_context_is_made_only_for_templates() -> None:
    """A file that no mount covers must not stop a job that does not use it."""
    declared, values = [parameter("f", "input_file")], {"f": {"type": "file", "path": "/1/a"}}
    assert build_command(declared, [word("x")], {}, values, nothing).context == {}
    with pytest.raises(InvalidInvocation, match="not available to the job"):
        build_command(declared, [JINJA], {}, values, nothing)
    with pytest.raises(InvalidInvocation, match="not available to the job"):
        build_command(declared, [word("x")], {"A": JINJA}, values, nothing)


@pytest.mark.parametrize("bad", ["a\0b", "\ud800"])
def test_a_template_that_no_file_can_hold_is_refused(bad: str) -> None:
    with pytest.raises(InvalidInvocation, match="The template of the application"):
        build_template([], [{"type": "jinja", "template": bad}], {})


# --------------------------------------------------------------------------------------------------- workflows


def workflow(**specification: Any) -> dict[str, Any]:
    return {"type": "workflow", "specification": {"language": "JINJA2", "job": "echo {{ a }}", **specification}}


def test_a_workflow_adds_its_parameters_and_its_template() -> None:
    """INV-43."""
    declared = [parameter("w", "workflow"), parameter("n", "integer")]
    inputs = [parameter("a"), parameter("n"), parameter("c", defaultValue="dflt")]
    values = {"w": workflow(inputs=inputs), "a": text("x"), "n": {"type": "integer", "value": 3}}
    command = build_command(declared, [JINJA], {"A": var("a")}, values, nothing)
    assert command.template == "run {{ a }}\necho {{ a }}"
    assert command.context == {"w": "", "n": 3, "a": "x", "c": "dflt"}
    assert command.environment.variables == {"A": "x"}


def test_an_input_of_a_workflow_that_needs_a_value_is_named() -> None:
    """INV-6."""
    values = {"w": workflow(inputs=[parameter("a", optional=False)])}
    with pytest.raises(InvalidInvocation, match=r"\(a\) needs a value"):
        build_command([parameter("w", "workflow")], [JINJA], {}, values, nothing)


@pytest.mark.parametrize(
    ("invocation", "value", "why"),
    [
        (word("x"), workflow(), "not made for workflows"),
        (JINJA, workflow(language="BASH"), "not written in JINJA2"),
        (JINJA, workflow(job=None), "no template for its job"),
        (JINJA, workflow(job="a\0"), "NUL"),
        (JINJA, workflow(inputs=[{"name": 3}]), "inputs that are no parameters"),
        (JINJA, {"type": "workflow", "specification": None}, "no template for its job"),
    ],
)
def test_a_workflow_that_cannot_be_one_is_refused(invocation: dict[str, Any], value: Any, why: str) -> None:
    with pytest.raises(InvalidInvocation, match=why):
        build_command([parameter("w", "workflow")], [invocation], {}, {"w": value}, nothing)


def test_a_refusal_survives_pickling() -> None:
    assert pickle.loads(pickle.dumps(InvalidInvocation("why"))).why == "why"
