"""UCloud's YAML becomes the catalogue's JSON, and what the catalogue holds stays (end-user-api 10, models 7 to 10)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.orchestrator.conftest import Setup, running
from tests.unit.orchestrator.fake_provider import FakeProvider
from ucloud_ray.orchestrator.document import ApplicationDocument, ToolDocument, parse_document
from ucloud_ray.orchestrator.errors import BadRequest
from ucloud_ray.orchestrator.settings import OrchestratorSettings

TOOL = """
tool: v1
name: figlet
version: 1.0
title: Figlet
container: figlet:1.0
authors: [Somebody]
defaultTimeAllocation: {hours: 0, minutes: 1, seconds: 0}
"""
APPLICATION = """
application: v1
name: figlet-count
version: 2
tool: {name: figlet, version: 1.0}
title: Count
invocation:
- figlet
- 10
- type: var
  vars: n
  prefixGlobal: --count
- type: flag
  var: loud
  flag: --loud
- {type: env, variable: HOME}
parameters:
  n: {type: integer, defaultValue: 100, min: 1}
  loud: {type: boolean, optional: true}
environment:
  N: {type: var, vars: [n]}
"""


def test_a_tool_is_read_with_its_defaults() -> None:
    document = parse_document(TOOL)
    assert isinstance(document, ToolDocument)
    assert document.description["info"] == {"name": "figlet", "version": "1.0"}
    assert document.description["image"] == "figlet:1.0"
    assert document.description["backend"] == "DOCKER"
    assert document.description["defaultTimeAllocation"] == {"hours": 0, "minutes": 1, "seconds": 0}


def test_an_application_is_read_with_the_short_forms_of_its_command_line() -> None:
    document = parse_document(APPLICATION)
    assert isinstance(document, ApplicationDocument)
    invocation = document.invocation
    assert [part["type"] for part in invocation["invocation"]] == ["word", "word", "var", "bool_flag", "env"]
    assert invocation["invocation"][2]["variableNames"] == ["n"]
    assert invocation["environment"]["N"]["variableNames"] == ["n"]
    number, loud = invocation["parameters"]
    assert (number["defaultValue"], number["min"], number["optional"]) == (100, 1, False)
    assert (loud["trueValue"], loud["optional"]) == ("true", True)


def test_words_and_templates_are_taken_as_they_stand_there() -> None:
    """INV-8: outer blanks of a word belong to it."""
    words = APPLICATION.replace(
        "- figlet\n", '- "  figlet  "\n- {type: word, word: "  a  "}\n- {type: word, word: ""}\n'
    )
    document = parse_document(words)
    assert isinstance(document, ApplicationDocument)
    assert [part["word"] for part in document.invocation["invocation"][:3]] == ["  figlet  ", "  a  ", ""]
    templated = parse_document(APPLICATION.replace("- figlet\n", '- {type: jinja, template: " a \\n"}\n'))
    assert isinstance(templated, ApplicationDocument)
    assert templated.invocation["invocation"][0]["template"] == " a \n"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", "document"),
        ("[", "YAML"),
        ("a: b", "tool: v1"),
        ("tool: v2\nname: a\nversion: b", "tool: v1"),
        ("a: &x [1]\nb: *x", "alias"),
        ("tool: v1\nversion: 1", "name and version"),
        ("tool: v1\nname: a\nversion: 1", "image"),
        ("tool: v1\nname: a\nversion: 1\nbackend: MAGIC", "backend"),
        (APPLICATION.replace("type: integer", "type: number"), "parameters.n.type"),
        (APPLICATION.replace("vars: n\n", "vars: {}\n"), "invocation[2].vars"),
        (APPLICATION.replace("type: flag", "type: magic"), "invocation[3]"),
        (APPLICATION.replace("title: Count", "title: [x]"), "title"),
        (APPLICATION.replace("title: Count", "title: x\nweb: {port: 80}"), "web"),
        (APPLICATION.replace("title: Count", "title: x\napplicationType: WEB\nweb: {port: x}"), "invocation.web.port"),
        (APPLICATION.replace("title: Count", "title: x\ncontainer: {runAsRoot: maybe}"), "runAsRoot"),
        (APPLICATION.replace("min: 1", "min: one"), "min"),
        ("x: " + "[" * 5_000, "nested too deeply"),
    ],
)
def test_a_wrong_document_is_refused_with_the_place(text: str, place: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_document(text)
    assert place in refused.value.why


async def add(setup: Setup, text: str, path: str = "/api/hpc/apps", **headers: Any) -> Any:
    return await setup.http.put(path, content=text, headers=headers or setup.user("root", admin=True))


async def test_what_is_added_can_be_run_and_survives_a_restart(
    settings: OrchestratorSettings, provider: FakeProvider
) -> None:
    async with running(settings, provider) as setup:
        assert (await add(setup, TOOL, "/api/hpc/tools")).status_code == 200
        assert (await add(setup, APPLICATION)).status_code == 200
    async with running(settings, provider) as setup:
        found = await setup.get("/api/hpc/apps/byNameAndVersion", appName="figlet-count", appVersion="2")
        tool = found.json()["invocation"]["tool"]["tool"]
        assert (tool["owner"], tool["description"]["title"]) == ("root", "Figlet")
        reference = {"name": "figlet-count", "version": "2"}
        assert await setup.create(application=reference, parameters={})


async def test_only_administrators_may_add(setup: Setup) -> None:
    assert (await add(setup, TOOL, **setup.user())).status_code == 403
    assert (await add(setup, TOOL, **setup.as_provider())).status_code == 403


async def test_an_existing_version_is_never_replaced(setup: Setup) -> None:
    await add(setup, TOOL)
    again = await add(setup, TOOL.replace("Figlet", "Other"))
    assert (again.status_code, "new version" in again.json()["why"]) == (400, True)


async def test_an_application_needs_its_tool(setup: Setup) -> None:
    answer = await add(setup, APPLICATION)
    assert (answer.status_code, "add it first" in answer.json()["why"]) == (400, True)


async def test_the_list_shows_the_newest_version_and_pages_by_number(setup: Setup) -> None:
    await add(setup, TOOL)
    await add(setup, APPLICATION)
    await add(setup, APPLICATION.replace("version: 2", "version: 3"))
    first = (await setup.get("/api/hpc/apps", itemsPerPage=2, page=0)).json()
    second = (await setup.get("/api/hpc/apps", itemsPerPage=2, page=1)).json()
    names = [(item["metadata"]["name"], item["metadata"]["version"]) for item in first["items"] + second["items"]]
    assert first["itemsInTotal"] == 3
    assert names == [
        ("a-batch-application", "1.0.0"), ("a-native-batch-application", "1.0.0"), ("figlet-count", "3"),
    ]  # fmt: skip


async def test_an_unknown_application_is_not_found(setup: Setup) -> None:
    answer = await setup.get("/api/hpc/apps/byNameAndVersion", appName="x", appVersion="1")
    assert answer.status_code == 404
