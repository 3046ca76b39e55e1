"""Documents become the JSON of the catalogue (models 7 to 10, INV-47)."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ucloud_ray.appfile.content import ApplicationDocument, ToolDocument
from ucloud_ray.appfile.reading import read

APPLICATION = """
application: v1
name: figlet-count
version: 2
tool: {name: figlet, version: 1.10}
title: Count
invocation:
- figlet
- 10
- "  x  "
- {type: word, word: ""}
- type: var
  vars: n
  prefixGlobal: " --count "
- type: flag
  var: loud
  flag: --loud
- {type: env, variable: HOME}
- {type: env, var: PATH}
parameters:
  n: {type: integer, defaultValue: 100, min: 1}
  loud: {type: boolean, optional: true}
  shell: {type: enumeration, options: [{name: Bash, value: bash}], defaultValue: Bash}
  text: {type: text, defaultValue: {type: text, value: x}}
environment:
  N: {type: var, vars: [n]}
  PLAIN: word
"""
MODERN = """
application: v2
name: example
version: v1.32
title: Example
license: MIT
documentation: https://example.com
software: {type: Native, load: [{name: gcc, version: 12.10}]}
features: {multiNode: true, folders: false}
ssh: {mode: Optional}
web: {enabled: true, port: 8080}
extensions: [.csv]
sbatch: {partition: short}
parameters:
  count: {type: Integer, defaultValue: 3}
  input: {type: File, optional: false, title: Input}
  pick: {type: Enumeration, options: [{title: One, value: "1"}]}
environment:
  COUNT: "{{ count }}"
invocation: |
  example --input {{ input }} \\
    {{ count | option("--count") }}
"""


def application(text: str) -> ApplicationDocument:
    reading = read(text)
    assert reading.mistakes == []
    document = reading.documents[-1]
    assert isinstance(document, ApplicationDocument)
    return document


def test_a_tool_is_read_with_its_defaults() -> None:
    [tool] = read("tool: v1\nname: figlet\nversion: 1.10\ncontainer: figlet:1.0\n").documents
    assert isinstance(tool, ToolDocument)
    description = tool.description
    assert description["info"] == {"name": "figlet", "version": "1.10"}
    assert (description["image"], description["backend"], description["title"]) == ("figlet:1.0", "DOCKER", "figlet")
    assert description["defaultTimeAllocation"] == {"hours": 1, "minutes": 0, "seconds": 0}


def test_an_application_is_read_with_the_short_forms_of_its_command_line() -> None:
    """INV-8: blanks around words and affixes belong to them here."""
    found = application(APPLICATION)
    parts = found.invocation["invocation"]
    assert [part["type"] for part in parts] == ["word"] * 4 + ["var", "bool_flag", "env", "env"]
    assert [part["word"] for part in parts[:4]] == ["figlet", "10", "  x  ", ""]
    assert (parts[4]["variableNames"], parts[4]["prefixGlobal"]) == (["n"], " --count ")
    assert [part["variable"] for part in parts[6:]] == ["HOME", "PATH"]
    assert found.invocation["environment"]["N"]["variableNames"] == ["n"]
    assert found.invocation["environment"]["PLAIN"] == {"type": "word", "word": "word"}
    assert found.tool.version == "1.10"


def test_parameters_keep_their_order_and_their_own_fields() -> None:
    number, loud, shell, text = application(APPLICATION).invocation["parameters"]
    assert (number["name"], number["defaultValue"], number["min"], number["optional"]) == ("n", 100, 1, False)
    assert (loud["trueValue"], loud["optional"]) == ("true", True)
    assert shell["options"] == [{"name": "Bash", "value": "bash"}]
    assert text["defaultValue"] == {"type": "text", "value": "x"}


def test_a_template_is_taken_as_it_stands_there() -> None:
    text = APPLICATION.partition("invocation:")[0] + 'invocation: [{type: jinja, template: " a \\n"}]\n'
    assert application(text).invocation["invocation"] == [{"type": "jinja", "template": " a \n"}]


def test_version_2_is_a_tool_and_an_application_with_one_template() -> None:
    """INV-47: the environment is words, without templating."""
    tool, found = read(MODERN).documents
    assert isinstance(tool, ToolDocument)
    assert isinstance(found, ApplicationDocument)
    assert tool.key == found.key == found.tool
    assert (tool.description["backend"], tool.description["license"]) == ("NATIVE", "MIT")
    assert tool.description["loadInstructions"]["applications"] == [{"name": "gcc", "version": "12.10"}]
    invocation = found.invocation
    [part] = invocation["invocation"]
    assert part["template"] == 'example --input {{ input }} \\\n  {{ count | option("--count") }}\n'
    assert invocation["environment"] == {"COUNT": {"type": "word", "word": "{{ count }}"}}
    assert (invocation["applicationType"], invocation["web"], invocation["vnc"]) == ("WEB", {"port": 8080}, None)
    assert (invocation["allowMultiNode"], invocation["allowAdditionalMounts"]) == (True, False)
    assert (invocation["ssh"], invocation["fileExtensions"]) == ({"mode": "OPTIONAL"}, [".csv"])
    types = [(one["name"], one["type"], one["optional"]) for one in invocation["parameters"]]
    assert types == [("count", "integer", True), ("input", "input_file", False), ("pick", "enumeration", True)]
    assert invocation["parameters"][2]["options"] == [{"name": "One", "value": "1"}]


def test_tools_come_first_whatever_the_order_in_the_file() -> None:
    text = f"{APPLICATION}---\ntool: v1\nname: figlet\nversion: 1.10\nimage: a\n"
    assert [document.kind for document in read(text).documents] == ["tool", "application"]


@pytest.mark.parametrize("file", sorted(Path("ucloud_ray/orchestrator/seeds").glob("*.yaml")), ids=lambda f: f.name)
def test_the_documents_that_come_with_the_orchestrator_are_correct(file: Path) -> None:
    assert read(file.read_text()).mistakes == []


def test_the_worked_example_of_the_documentation_is_correct() -> None:
    blocks = Path("docs/applications.md").read_text().split("```yaml\n")[1:]
    texts = [block.partition("```")[0] for block in blocks]
    assert texts
    assert [read(text).mistakes for text in texts] == [[]] * len(texts)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["v1", "v2", "var"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=3)
            | st.sampled_from(["application", "tool", "name", "version", "parameters", "invocation", "type", "vars"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(VALUES)
def test_whatever_stands_in_a_file_is_read_without_an_error_of_ours(value: object) -> None:
    read(yaml.safe_dump(value, allow_unicode=True))


@given(st.text(max_size=60))
def test_any_text_is_read_without_an_error_of_ours(text: str) -> None:
    assert read(text).mistakes
