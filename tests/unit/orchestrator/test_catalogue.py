"""UCloud's YAML becomes the catalogue's JSON, and what the catalogue holds stays (end-user-api 10, models 7 to 10)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.orchestrator.conftest import Setup, running
from tests.unit.orchestrator.fake_provider import FakeProvider
from ucloud_ray.orchestrator.catalogue import read_documents
from ucloud_ray.orchestrator.errors import BadDocument
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


def test_a_file_is_refused_with_everything_that_is_wrong_with_it() -> None:
    with pytest.raises(BadDocument) as refused:
        read_documents(TOOL.replace("title", "titel").replace("version: 1.0\n", ""))
    assert refused.value.why.splitlines() == [
        "line 2, column 1: a tool has no 'version'; add `version: 1.0.0`",
        "line 4, column 1: unknown key 'titel' in a tool; did you mean 'title'?",
    ]
    first = refused.value.body()["mistakes"][0]
    assert (first["line"], first["column"], first["remedy"]) == (2, 1, "add `version: 1.0.0`")


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
    assert answer.status_code == 400
    [mistake] = answer.json()["mistakes"]
    assert mistake["message"] == "there is no tool 'figlet' in version '1.0'"
    assert (mistake["line"], mistake["column"]) == (5, 7)


async def test_a_file_with_several_documents_is_added_whole(setup: Setup) -> None:
    answer = await add(setup, f"{APPLICATION}\n---\n{TOOL}")
    assert [(one["kind"], one["name"]) for one in answer.json()["added"]] == [
        ("tool", "figlet"),
        ("application", "figlet-count"),
    ]
    assert (await shown(setup, "figlet-count", "2")).status_code == 200


async def test_a_file_with_one_mistake_adds_nothing_of_it(setup: Setup) -> None:
    """Whether the mistake is in the file itself or between it and the catalogue."""
    await add(setup, TOOL)
    for text in (f"{APPLICATION}\n---\nx: y", f"{TOOL}\n---\n{APPLICATION}"):
        assert (await add(setup, text)).status_code == 400
        assert (await shown(setup, "figlet-count", "2")).status_code == 404


async def test_a_check_tells_the_same_and_adds_nothing(setup: Setup) -> None:
    wrong = await add(setup, APPLICATION, "/api/hpc/apps/check")
    assert wrong.json() == (await add(setup, APPLICATION)).json()
    right = await add(setup, f"{TOOL}\n---\n{APPLICATION}", "/api/hpc/apps/check")
    assert (right.status_code, right.json()["added"], len(right.json()["checked"])) == (200, [], 2)
    assert (await shown(setup, "figlet-count", "2")).status_code == 404
    assert (await add(setup, TOOL, "/api/hpc/apps/check", **setup.user())).status_code == 403


async def test_a_document_of_version_2_is_a_tool_and_an_application(setup: Setup) -> None:
    """INV-47."""
    text = "application: v2\nname: m\nversion: 1\nsoftware: {type: Container, image: m:1}\n"
    text += "invocation: echo {{ ucloud.rank }}"
    assert (await add(setup, text)).status_code == 200
    found = (await shown(setup, "m", "1")).json()["invocation"]
    assert found["tool"]["tool"]["description"]["image"] == "m:1"
    assert found["invocation"] == [{"type": "jinja", "template": "echo {{ ucloud.rank }}"}]


async def shown(setup: Setup, name: str, version: str) -> Any:
    return await setup.get("/api/hpc/apps/byNameAndVersion", appName=name, appVersion=version)


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


async def found(setup: Setup, query: str) -> list[str]:
    answer = await setup.get("/api/hpc/apps/search", query=query)
    assert answer.json()["itemsInTotal"] == len(answer.json()["items"])
    return [item["metadata"]["name"] for item in answer.json()["items"]]


async def test_applications_are_found_by_a_part_of_their_name_or_title(setup: Setup) -> None:
    assert await found(setup, "NATIVE") == ["a-native-batch-application"]
    assert await found(setup, "batch app") == ["a-batch-application", "a-native-batch-application"]
    assert await found(setup, "nothing like it") == []
    assert len(await found(setup, "")) == 2


async def test_products_come_in_the_form_of_the_current_core_too(setup: Setup) -> None:
    """Models 6.2: what is empty is left out, and the two forms can be told apart."""
    answer = await setup.get("/api/products/v2/browse", filterProductType="COMPUTE")
    product = next(item for item in answer.json()["items"] if item["name"] == "example-compute")
    assert (product["type"], product["productType"], product["cpu"]) == ("compute", "COMPUTE", 10)
    assert "gpu" not in product
    assert product["category"]["accountingUnit"]["floatingPoint"]
    assert product["category"]["accountingFrequency"] == "PERIODIC_MINUTE"
    assert (await setup.get("/api/products/v2/browse", filterProductType="STORAGE")).json()["items"] == []
