"""The dialect of templates, in this process (INV-35 to INV-42)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2.exceptions import TemplateError

from runtimes.templating import quoting
from runtimes.templating.extras import AuthorError, Declared
from runtimes.templating.language import Dialect, without_provider_calls
from tests.support.bash import words_of
from ucloud_ray.domain import formatting

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))


def script(template: str, **context: Any) -> str:
    return Dialect(quote=True, declared=Declared()).render(template, context, 10_000)


def variable(template: str, **context: Any) -> str:
    return Dialect(quote=False, declared=Declared()).render(template, context, 10_000)


def failure(template: str, **context: Any) -> str:
    with pytest.raises(TemplateError) as failed:
        script(template, **context)
    return str(failed.value)


@settings(max_examples=150, deadline=None)
@given(TEXT, TEXT.filter(lambda text: not text.endswith("=")))
def test_a_value_reaches_the_command_byte_for_byte(value: str, more: str) -> None:
    """INV-24, INV-25, INV-36."""
    template = "mycmd {{ a }} {{ a ~ b }} {{ a | option('--x=') }} {{ a | option('--x') }} {{ True | flag(b) }}:"
    got = words_of(script(template, a=value, b=more))
    assert got == ["mycmd", value, value + more, "--x=" + value, "--x", value, more + ":"]


@settings(max_examples=50)
@given(TEXT)
def test_a_value_of_a_variable_is_not_quoted(value: str) -> None:
    """INV-21."""
    assert variable("<{{ a }}> {{ a | option('-x') }} {{ n }}", a=value, n=3) == f"<{value}> -x {value} 3"


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_print_as_on_a_command_line_without_templates(number: float) -> None:
    """INV-42: one rule in two places, because neither may import the other."""
    assert quoting.floating_point(number) == formatting.floating_point(number)


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ 42 }} {{ n }} {{ n + 1 }}", f"42 {2**70} {2**70 + 1}"),
        ("{{ x }} {{ 3.0 }} {{ 7 / 2 }}", "3 3 3.5"),
        ("{{ yes }} {{ not yes }}", "True False"),
        ("<{{ none }}{{ absent }}{{ nope }}{{ nope.a.b }}{{ ucloud.nope }}>", "<>"),
        ("{{ a }} {{ 'lit' }}", """'it'"'"'s' 'lit'"""),
        ("{{ '' }}", "''"),
        ("{{ a | safe }}", "it's"),
        ("{{ ('-x ' | safe) ~ a }}", """'-x it'"'"'s'"""),
        ("{{ a | upper }}", """'IT'"'"'S'"""),
        ("{{ a | escape }} {{ a | e | e }}", """'it'"'"'s' 'it'"'"'s'"""),
        ("{{ [1, 'a'] }}", """'[1, '"'"'a'"'"']'"""),
        ("{{ {'k': 1} | tojson }}", """'{"k": 1}'"""),
        ("$HOME `id` 'it''s' {# gone #}\n", "$HOME `id` 'it''s' \n"),
    ],
)
def test_what_a_template_prints(template: str, expected: str) -> None:
    """INV-36, INV-42."""
    context = {"n": 2**70, "x": 3.0, "yes": True, "absent": None, "a": "it's", "ucloud": {"jobId": "1"}}
    assert script(template, **context) == expected


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{% macro m(x) %}--x {{ x }}{% endmacro %}mycmd {{ m(a) }}", ["--x", "it's"]),
        ("{% set o %}--x {{ a }}{% endset %}mycmd {{ o }}", ["--x", "it's"]),
        ("{% set o | upper %}--x{% endset %}mycmd {{ o }} {{ a }}", ["--X", "it's"]),
        ("{% macro m() %}mycmd {{ caller() }}{% endmacro %}{% call m() %}{{ a }}{% endcall %}", ["it's"]),
        (
            "mycmd{% for n in [[a, [[a, []]]]] recursive %} {{ n[0] }}{{ loop(n[1]) }}{% endfor %}",
            ["it's", "it's"],
        ),
        ("{% for x in ['a b', 'c'] %}{% if loop.first %}mycmd{% endif %} {{ x }}{% endfor %}", ["a b", "c"]),
    ],
)
def test_text_that_was_made_by_the_template_is_not_quoted_again(template: str, words: list[str]) -> None:
    assert words_of(script(template, a="it's")) == ["mycmd", *words]


def test_what_is_cut_out_of_safe_text_is_quoted_again() -> None:
    """Half of a quoted text is not a quoted text."""
    template = "{% macro m(x) %}{{ x }}{% endmacro %}mycmd {{ m(a) | replace(\"'\", '') }} {{ m(a) + ';id' }}"
    assert words_of(script(template, a="$(id)")) == ["mycmd", "$(id)", "'$(id)';id"]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{ b | flag('--yes', '--no') }}", "'--yes'"),
        ("{{ c | flag('--yes', '--no') }}", "'--no'"),
        ("<{{ c | flag('--yes') }}{{ none | flag('-y') }}{{ nope | flag('-y') }}>", "<>"),
        ("{{ n | option('--n=') }}", "'--n=42'"),
        ("{{ n | option('--n') }}", "--n '42'"),
        ("{{ n | option('--n=', true) }}", "--n= '42'"),
        ("{{ n | option('--n', false) }}", "'--n42'"),
        ("<{{ none | option('--n') }}{{ nope | option('--n') }}>", "<>"),
        ("{{ '' | option('--n') }}", "--n ''"),
        ("{{ b | option('--b') }}", "--b 'True'"),
        ("{{ 3.0 | option('--x') }}", "--x '3'"),
        ("{{ ternary(n == 42, 'yes', 'no') }} {{ ternary(c, 1, 2) }}", "'yes' 2"),
        ("{{ none == nope }} {{ absent == None }} {{ nope is none }} {{ nope is defined }}", "True True False False"),
    ],
)
def test_the_filters_and_functions_of_applications(template: str, expected: str) -> None:
    """INV-35, INV-37, INV-38, INV-39."""
    assert script(template, n=42, b=True, c=False, absent=None) == expected


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        ("a is match('li.e')", False),
        ("a is match('Line 1\\nline 2')", True),
        ("a is match('line 1.line 2', true)", False),
        ("a is match('LINE 2', true, true)", True),
        ("a is match('LINE 2', multiline=true)", False),
        ("a is match('line|Line 1\\nline 2')", True),
        ("a is search('ine 2')", True),
        ("a is search('INE')", False),
        ("a is search('INE', ignorecase=true)", True),
        ("a is search('^line')", False),
        ("a is search('^line', multiline=true)", True),
        ("n is match('4.')", True),
        ("nope is match('.+')", False),
    ],
)
def test_texts_are_compared_with_patterns(test: str, expected: bool) -> None:
    """INV-39."""
    assert script("{{ " + test + " }}", a="Line 1\nline 2", n=42) == str(expected)


def test_a_wrong_pattern_is_explained() -> None:
    assert "'(' is no regular expression" in failure("{{ a is match('(') }}", a="x")


@pytest.mark.parametrize(
    "source",
    [
        'x{- name("arg", 3) -}y',
        "x{-name()-}y",
        'x{- n("a)-}", "\\"") -}y',
        "x{- n('a',\n 'b') -}y",
    ],
)
def test_a_call_of_a_provider_function_is_empty(source: str) -> None:
    """INV-40: none is registered."""
    assert without_provider_calls(source) == "xy"


@pytest.mark.parametrize("source", ["{{- name('a') -}}", "{- name -}", "{ name() }", "{- name('a' -}", "${x:-a()}"])
def test_what_only_looks_like_one_is_left_alone(source: str) -> None:
    assert without_provider_calls(source) == source


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{% include 'x' %}", "include"),
        ("{% import 'x' as y %}", "import"),
        ("{% from 'x' import y %}", "from"),
        ("{% extends 'x' %}", "extends"),
        ("\n{% block x %}{% endblock %}", "block"),
        ("{% autoescape true %}{{ a }}{% endautoescape %}", "autoescape"),
    ],
)
def test_what_would_read_files_is_refused_by_name(template: str, name: str) -> None:
    """INV-34."""
    assert f"'{name}' is not available in applications" in failure(template)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ().__class__.__bases__ }}",
        "{{ ''['__class__'] }}",
        "{{ '' | attr('__class__') }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ ternary.__globals__ }}",
        "{{ dynamicInterface.__self__ }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ self._TemplateReference__context }}",
        "{% set x = [] %}{{ x.append(1) }}",
    ],
)
def test_nothing_but_values_can_be_reached(template: str) -> None:
    assert "not available" in failure(template) or "unsafe" in failure(template)


@pytest.mark.parametrize(
    ("template", "why"), [("{{ 'a' * 20000 }}", "more than 10000"), ("{{ '\\0' }}", "NUL"), ("{{ '\\ud800' }}", "half")]
)
def test_text_that_no_script_can_hold_is_refused(template: str, why: str) -> None:
    with pytest.raises(AuthorError, match=why):
        script(template)


def test_interfaces_are_declared_and_print_nothing() -> None:
    """INV-39, IS-30."""
    declared = Declared()
    template = "<{{ dynamicInterface(1, 'web', a, 8080) }}{{ setInterfaceName('Main') }}>"
    assert Dialect(quote=True, declared=declared).render(template, {"a": "Monitor"}, 100) == "<>"
    assert declared.targets == [{"rank": 1, "type": "WEB", "target": "Monitor", "port": 8080}]
    assert declared.default_name == "Main"


@pytest.mark.parametrize(
    "call", ["0, 'SHELL', 'x', 80", "0, 'WEB', 'x', 0", "0, 'WEB', 'x', '80'", "-1, 'WEB', 'x', 80", "0, 'WEB', '', 80"]
)
def test_an_interface_that_cannot_be_one_is_refused(call: str) -> None:
    with pytest.raises(AuthorError, match="interface"):
        script("{{ dynamicInterface(" + call + ") }}")
