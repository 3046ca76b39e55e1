"""Every mistake in a file is explained: where, what, and what to do (issue: `ucloud-ray apps add`)."""

from __future__ import annotations

import pytest

from ucloud_ray.appfile.reading import missing_tools, read

TOOL = "tool: v1\nname: figlet\nversion: 1.0\nimage: figlet:1.0\n"
APPLICATION = """\
application: v1
name: count
version: 2
tool: {name: figlet, version: 1.0}
parameters:
  n: {type: integer, min: 1}
  loud: {type: boolean}
invocation:
- figlet
"""
MODERN = """\
application: v2
name: count
version: 2
software: {type: Container, image: figlet:1.0}
parameters:
  n: {type: Integer}
invocation: |
  figlet {{ n }}
"""


def told(text: str) -> list[str]:
    return [f"{one.place.line}:{one.place.column}: {one.text}" for one in read(text).mistakes]


@pytest.mark.parametrize("text", [TOOL, APPLICATION, MODERN])
def test_the_documents_that_the_tables_change_are_correct(text: str) -> None:
    assert told(text) == []


YAML = {
    "": "1:1: there is no document in the file; begin one with `tool: v1`, `application: v1` or `application: v2`",
    "# only a comment\n---\n": "1:1: there is no document in the file",
    "a: [1": "1:6: this is not YAML (expected ',' or ']', but got '<stream end>')",
    "tool: v1\n\tname: x": "2:1: this is not YAML (found character '\\t' that cannot start any token)",
    "tool: v1\nname: 'x": "2:9: this is not YAML (found unexpected end of stream)",
    "a: \x07": "1:4: the character #x0007 cannot stand in YAML; remove it",
    "a: &x 1\nb: *x": "2:4: aliases (*name) cannot be used here; write the value out",
    "a: !!python/name:os.system x": "1:4: the tag tag:yaml.org,2002:python/name:os.system cannot be used here",
    "? [1]\n: x": "1:3: a list cannot be a key; write `key: value`",
    "x: " + "[" * 5000: "1:23: this is nested deeper than 20 levels; flatten it",
    "x" * 1_000_001: "1:1: the file is longer than 1000000 characters; split it",
    "- 1": "1:1: a document is a map of keys to values, not a list; begin with",
    "toll: v1": "1:1: the document is neither a tool nor an application; did you mean 'tool'?",
    "tool: v2": "1:7: 'v2' is no version of the format of tools; write `tool: v1`",
    "application: 1": "1:14: '1' is no version of the format of applications; write `application: v1` or",
}


@pytest.mark.parametrize("text", YAML, ids=lambda text: text[:20])
def test_what_is_no_file_of_this_kind_is_told(text: str) -> None:
    assert any(line.startswith(YAML[text]) for line in told(text)), told(text)


IN_A_TOOL = {
    ("name: figlet\n", ""): "1:1: a tool has no 'name'; add `name: my-name`",
    ("version: 1.0\n", "version:\n"): "3:1: a tool has no 'version'; add `version: 1.0.0`",
    ("figlet\n", "''\n"): "2:7: 'name' of a tool is empty; write `name: my-name`",
    (
        "image: figlet:1.0\n",
        "",
    ): "1:1: a tool with the backend DOCKER has no 'image'; add `image: registry/name:version`",
    ("image:", "imgae:"): "4:1: unknown key 'imgae' in a tool; did you mean 'image'?",
    ("image:", "walrus: x\nimage:"): "4:1: unknown key 'walrus' in a tool; known are tool, name, version, title",
    ("image:", "name: x\nimage:"): "4:1: 'name' stands here twice, first in line 2; remove or rename one",
    ("image:", "title: [x]\nimage:"): "4:8: 'title' must be text, not a list; write it in one line",
    (
        "image:",
        "title: yes\nimage:",
    ): "4:8: 'title' must be text, and YAML reads yes as true or false; put it into quotes",
    ("image:", "authors: me\nimage:"): "4:10: 'authors' must be a list, not text; write `authors: [me]`",
    ("image:", "backend: docker\nimage:"): "4:10: 'docker' cannot be the 'backend' of a tool; did you mean 'DOCKER'?",
    ("image:", "defaultNumberOfNodes: two\nimage:"): "4:23: 'defaultNumberOfNodes' must be a whole number, not 'two'",
    ("image:", "defaultNumberOfNodes: -1\nimage:"): "4:23: 'defaultNumberOfNodes' is -1; write a number from 0 to",
    ("image:", "defaultTimeAllocation: 1h\nimage:"): "4:24: 'defaultTimeAllocation' of a tool must be a map of keys",
    (
        "image:",
        "defaultTimeAllocation: {hour: 1}\nimage:",
    ): "4:25: unknown key 'hour' in 'defaultTimeAllocation' of a tool",
    ("image:", f"title: {'x' * 300}\nimage:"): "4:8: 'title' must be one line of at most 255 characters; shorten it",
}
IN_AN_APPLICATION = {
    ("tool: {name: figlet, version: 1.0}\n", ""): "1:1: an application has no 'tool'; add `tool: {name: my-tool",
    (
        "tool: {name: figlet, version: 1.0}",
        "tool: figlet",
    ): "4:7: 'tool' of an application must be a map of keys to values",
    ("figlet, version: 1.0}", "figlet}"): "4:7: 'tool' of an application has no 'version'; add `version: 1.0.0`",
    ("integer", "number"): "6:13: 'number' cannot be the 'type' of the parameter 'n'",
    ("integer", "intger"): "6:13: 'intger' cannot be the 'type' of the parameter 'n'; did you mean 'integer'?",
    ("type: integer, ", ""): "6:6: the parameter 'n' has no 'type'; add `type: input_file`",
    ("  n: {type: integer, min: 1}", "  n: integer"): "6:6: the parameter 'n' must be a map of keys to values",
    ("min: 1", "min: one"): "6:27: 'min' of the parameter 'n' must be a whole number; write it without quotes",
    ("min: 1", "min: 5, max: 1"): "6:27: 'min' 5 of the parameter 'n' is above 'max' 1; swap them",
    (
        "min: 1",
        "defaultValue: x",
    ): "6:36: the default of the parameter 'n' must be a whole number; correct 'defaultValue'",
    ("min: 1", "min: 1, defaultValue: 0"): "6:44: the default 0 of the parameter 'n' is beyond its 'min' 1",
    ("min: 1", "trueValue: x"): "6:22: unknown key 'trueValue' in the parameter 'n'",
    ("{type: boolean}", "{type: boolean, optional: maybe}"): "7:35: 'optional' must be true or false, not 'maybe'",
    ("loud:", "n:"): "7:3: 'n' stands here twice, first in line 6; remove or rename one",
    ("loud:", "lo ud:"): "7:3: 'lo ud' cannot be the name of a parameter; use a word without blanks",
    ("{type: boolean}", "{type: enumeration}"): "7:9: the parameter 'loud' has no 'options'; add",
    ("{type: boolean}", "{type: enumeration, options: []}"): "7:38: 'options' must be a list with at least one option",
    (
        "{type: boolean}",
        "{type: enumeration, options: [{name: A}]}",
    ): "7:39: an option of the parameter 'loud' has no 'value'",
    (
        "{type: boolean}",
        "{type: enumeration, options: [{name: Abc, value: abc}], defaultValue: abd}",
    ): "7:79: the default 'abd' of the parameter 'loud' is no option; did you mean 'abc'?",
    (
        "{type: boolean}",
        "{type: input_file, defaultValue: /x}",
    ): "7:42: a parameter of the type input_file cannot have a def",
    (
        "- figlet",
        "- {type: var, vars: m}",
    ): "9:21: there is no parameter 'm'; declare it in 'parameters' (there are n, loud)",
    ("- figlet", "- {type: var, vars: [n, lod]}"): "9:25: there is no parameter 'lod'; did you mean 'loud'?",
    ("- figlet", "- {type: var}"): "9:3: an argument of the type var has no 'vars'; add `vars: n`",
    ("- figlet", "- {type: var, vars: {n: 1}}"): "9:21: 'vars' must be the name of a parameter or a list of names",
    (
        "- figlet",
        "- {type: var, vars: n, prefix: x}",
    ): "9:24: unknown key 'prefix' in an argument of the type var; did you mean",
    (
        "- figlet",
        "- {type: flag, var: n, flag: x}",
    ): "9:21: a flag needs a boolean, and 'n' is of the type integer; use",
    ("- figlet", "- {type: flag, var: loud}"): "9:3: an argument of the type flag has no 'flag'; add `flag: --flag`",
    ("- figlet", "- {type: vra, vars: n}"): "9:3: 'vra' is no type of an argument; did you mean 'var'?",
    (
        "- figlet",
        "- [figlet]",
    ): "9:3: an argument is a word or has a type, not a list; write a word, or a map with `type:`",
    ("- figlet", "- yes"): "9:3: a word must be text, and YAML reads yes as true or false; put it into quotes",
    ("- figlet", "-\n"): "9:2: an entry is empty; remove it, or write '' for an empty argument",
    (
        "- figlet",
        "- {type: jinja, template: x}\n- y",
    ): "9:3: a template cannot stand beside other words; write all of them into",
    (
        "- figlet",
        "- {type: jinja, template: '{{ m }}'}",
    ): "9:27: the template uses 'm', which is no parameter; declare it",
    (
        "- figlet",
        "- {type: jinja, template: '{% if n %}'}",
    ): "9:27: the template cannot be read (Unexpected end of template.",
    (
        "invocation:\n- figlet",
        "invocation: figlet",
    ): "8:13: 'invocation' must be a list, not text; write one `- word` a line",
    ("invocation:", "environment: {1A: x}\ninvocation:"): "8:15: '1A' cannot be the name of an environment variable",
    ("invocation:", "environment: {A: {type: var, vars: m}}\ninvocation:"): "8:36: there is no parameter 'm'",
    (
        "invocation:",
        "web: {port: 80}\ninvocation:",
    ): "8:6: 'web' is only for applications of the type WEB; add `applicationType",
    (
        "invocation:",
        "applicationType: WEB\nweb: {port: x}\ninvocation:",
    ): "9:13: 'port' must be a whole number, not 'x'",
    (
        "invocation:",
        "applicationType: WEB\nweb: {port: 0}\ninvocation:",
    ): "9:13: 'port' is 0; write a number from 1 to 65535",
    (
        "invocation:",
        "ssh: {mode: on}\ninvocation:",
    ): "8:13: 'on' cannot be the 'mode' of 'ssh' of an application; choose from",
    (
        "invocation:",
        "container: {runAsRoot: true, runAsRealUser: true}\ninvocation:",
    ): "8:12: 'runAsRoot' and 'runAsRealUser'",
    ("invocation:", "allowMultiNode: 'yes'\ninvocation:"): "8:17: 'allowMultiNode' must be true or false, not 'yes'",
}
IN_A_MODERN_ONE = {
    (
        "software: {type: Container, image: figlet:1.0}\n",
        "",
    ): "1:1: an application has no 'software'; add `software: {type",
    (
        "Container",
        "container",
    ): "4:18: 'container' cannot be the 'type' of 'software' of an application; did you mean 'Container'",
    ("Container", "UCX"): "4:18: software of the type UCX cannot be run here; use Container or Native",
    (
        ", image: figlet:1.0",
        "",
    ): "4:11: 'software' of an application has no 'image'; add `image: registry/name:version`",
    (
        "type: Container, image: figlet:1.0",
        "type: Native, load: gcc",
    ): "4:32: 'load' must be a list, not text; write `- {name",
    (
        "type: Container, image: figlet:1.0",
        "type: Native, load: [{name: gcc}]",
    ): "4:33: an entry of 'load' has no 'version'",
    ("Integer", "integer"): "6:13: 'integer' cannot be the 'type' of the parameter 'n'; did you mean 'Integer'?",
    (
        "{type: Integer}",
        "{type: Integer, options: []}",
    ): "6:22: unknown key 'options' in the parameter 'n'; did you mean 'optional'",
    (
        "figlet {{ n }}",
        "figlet\n  {{ m }}",
    ): "9:1: the template uses 'm', which is no parameter; declare it in 'parameters' (there are n)",
    ("figlet {{ n }}", "figlet\n\n  {{ n | opton('x') }}"): "10:1: there is no filter 'opton'; did you mean 'option'?",
    ("figlet {{ n }}", "figlet\n  {{ n }"): "9:1: the template cannot be read",
    ("figlet {{ n }}", "{% include 'x' %}"): "8:1: 'include' is not available in templates; write its content out",
    (
        "invocation: |\n  figlet {{ n }}\n",
        "invocation: [figlet]\n",
    ): "7:13: 'invocation' of version v2 is one template, not a list",
    ("invocation: |\n  figlet {{ n }}\n", ""): "1:1: an application has no 'invocation'; add `invocation: command",
    (
        "invocation:",
        "features: {multinode: true}\ninvocation:",
    ): "7:12: unknown key 'multinode' in 'features' of an application",
    (
        "invocation:",
        "web: {enabled: true}\nvnc: {enabled: true}\ninvocation:",
    ): "8:6: an application has a web page or a desktop, not both; disable 'web' or 'vnc'",
    ("invocation:", "authors: [me]\ninvocation:"): "7:1: unknown key 'authors' in an application",
    ("invocation:", "environment: {A-B: x}\ninvocation:"): "7:15: 'A-B' cannot be the name of an environment variable",
}


@pytest.mark.parametrize(
    ("text", "change", "expected"),
    [
        (text, change, expected)
        for text, table in ((TOOL, IN_A_TOOL), (APPLICATION, IN_AN_APPLICATION), (MODERN, IN_A_MODERN_ONE))
        for change, expected in table.items()
    ],
    ids=lambda value: value[1].strip()[:40] if isinstance(value, tuple) else "",
)
def test_a_mistake_is_told_with_its_place_and_a_remedy_and_nothing_else_is(
    text: str, change: tuple[str, str], expected: str
) -> None:
    changed = text.replace(*change, 1)
    assert changed != text
    found = told(changed)
    assert len(found) == 1, found
    assert found[0].startswith(expected), found


def test_all_mistakes_of_all_documents_are_told_in_order() -> None:
    text = "\n---\n".join([TOOL.replace("name", "nam"), APPLICATION.replace("boolean", "bool"), "x: y"])
    assert [line.partition(": ")[0] for line in told(text)] == ["2:1", "13:16", "18:1"]


def test_the_same_document_twice_in_one_file_is_told() -> None:
    assert told(f"{TOOL}---\n{TOOL}") == [
        "8:10: the tool 'figlet' stands twice in version '1.0', first in line 3; give one another version"
    ]


def test_a_tool_that_is_nowhere_is_told_at_the_application_that_needs_it() -> None:
    assert missing_tools(read(f"{APPLICATION}---\n{TOOL}").documents, lambda *_: False) == []
    assert missing_tools(read(APPLICATION).documents, lambda *_: True) == []
    [mistake] = missing_tools(read(APPLICATION).documents, lambda *_: False)
    assert mistake.text == "there is no tool 'figlet' in version '1.0'; add it first, or to this file"
    assert mistake.place.line == 4


def test_a_parameter_with_a_mistake_is_not_missing_elsewhere() -> None:
    assert len(told(APPLICATION.replace("integer", "number").replace("- figlet", "- {type: var, vars: n}"))) == 1


def test_a_workflow_may_bring_parameters_that_the_file_does_not_know() -> None:
    """INV-43."""
    open_ended = APPLICATION.replace("{type: boolean}", "{type: workflow}").replace(
        "- figlet", "- {type: var, vars: m}"
    )
    assert told(open_ended) == []


def test_names_that_templates_have_without_the_author_are_known() -> None:
    """INV-35, INV-39."""
    template = "{% for i in range(3) %}{{ loop.index }} {{ i }} {{ ucloud.jobId }}{% endfor %}{% set x = 1 %}{{ x }}"
    more = (
        "{% macro m(a) %}{{ a | flag('x') }}{% endmacro %}{{ m(1) }}{{ ternary(n == None, 1, 2) }}{{ n is match('x') }}"
    )
    assert told(MODERN.replace("figlet {{ n }}", template + more)) == []


def test_no_more_than_a_hundred_mistakes_are_told() -> None:
    assert len(told(TOOL + "".join(f"unknown{n}: 1\n" for n in range(500)))) == 100
