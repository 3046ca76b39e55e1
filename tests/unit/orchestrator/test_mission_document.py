"""The example "Creating a simple batch Job" of the mission document, call by call, field by field."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.unit.orchestrator.conftest import Setup, example, running
from tests.unit.orchestrator.fake_provider import FakeProvider, support_entry
from ucloud_ray.orchestrator.settings import OrchestratorSettings
from ucloud_ray.settings import ProductSettings


async def test_the_catalogue_lists_the_batch_application_as_documented(
    settings: OrchestratorSettings, provider: FakeProvider
) -> None:
    only_batch = tuple(path for path in settings.catalogue if "native" not in path.name)
    async with running(replace(settings, catalogue=only_batch), provider) as setup:
        answer = await setup.get("/api/hpc/apps", itemsPerPage=50, page=0)
    assert (answer.status_code, answer.json()) == (200, example("user-apps-browse.response"))


async def test_the_catalogue_has_the_same_application_without_a_container(setup: Setup) -> None:
    listed = (await setup.get("/api/hpc/apps")).json()
    assert [item["metadata"]["name"] for item in listed["items"]] == [
        "a-batch-application",
        "a-native-batch-application",
    ]
    found = await setup.get("/api/hpc/apps/byNameAndVersion", appName="a-native-batch-application", appVersion="1.0.0")
    invocation = found.json()["invocation"]
    assert invocation["tool"]["tool"]["description"]["backend"] == "NATIVE"
    assert invocation["invocation"][0] == {"type": "word", "word": "/bin/echo"}


async def test_an_application_is_shown_in_full_as_documented(setup: Setup) -> None:
    answer = await setup.get("/api/hpc/apps/byNameAndVersion", appName="a-batch-application", appVersion="1.0.0")
    assert answer.json() == example("user-apps-by-name-and-version.response")


async def test_products_are_browsed_as_documented(setup: Setup) -> None:
    answer = await setup.get("/api/products/browse", itemsPerPage=50, filterArea="COMPUTE")
    assert answer.json() == example("user-products-browse.response")


async def test_the_documented_command_creates_a_job_whatever_its_content_type_says(setup: Setup) -> None:
    headers = {**setup.user(), "Content-Type": "content-type: application/json; charset=utf-8"}
    answer = await setup.http.post("/api/jobs", json=example("user-create-batch.request"), headers=headers)
    assert answer.status_code == 200
    (response,) = answer.json()["responses"]
    assert list(response) == ["id"]
    assert response["id"].isdigit()


async def test_the_created_job_reads_as_documented(setup: Setup) -> None:
    """The retrieve examples of the document show every field; ours are the same ones."""
    job_id = await setup.create()
    await setup.update(job_id, state="RUNNING", status="Your job is now running!")
    job = await setup.job(job_id)
    documented = example("user-retrieve-after-terminate.response")
    assert set(job) == set(documented)
    assert set(job["status"]) == set(documented["status"])
    assert set(job["updates"][0]) == set(documented["updates"][0])
    assert job["specification"] == example("user-create-batch.request")["items"][0]
    assert job["owner"] == documented["owner"]
    assert job["output"] is None
    assert [job["status"][name] for name in ("resolvedApplication", "resolvedSupport", "resolvedProduct")] == [None] * 3


async def test_support_reads_as_documented(settings: OrchestratorSettings, provider: FakeProvider) -> None:
    product = ProductSettings("compute-example", "compute-example", 1, 2, description="An example machine")
    provider.support = [support_entry("compute-example", docker={"enabled": True, "terminal": True}, native=None)]
    async with running(replace(settings, products=(product,)), provider) as setup:
        answer = await setup.get("/api/jobs/retrieveProducts")
    assert answer.json() == example("user-retrieve-products.response")


@pytest.mark.parametrize("path", ["/api/hpc/apps", "/api/products/browse", "/api/jobs/browse", "/api/jobs/retrieve"])
async def test_nothing_is_shown_without_a_token(setup: Setup, path: str) -> None:
    answer = await setup.http.get(path)
    assert answer.status_code == 401
    assert answer.json()["why"]


async def test_the_provider_gets_the_job_in_the_documented_form(setup: Setup) -> None:
    job_id = await setup.create()
    (asked,) = setup.provider.calls("jobs")
    (job,) = asked.body["items"]
    assert asked.username == "user"
    assert (job["id"], job["status"]["state"], job["updates"]) == (job_id, "IN_QUEUE", [])
    resolved = dict(example("user-apps-by-name-and-version.response"))
    assert job["status"]["resolvedApplication"] == {name: resolved[name] for name in ("metadata", "invocation")}
    product = example("user-products-browse.response")["items"][0]
    assert job["status"]["resolvedProduct"] == {name: product[name] for name in product if name != "type"}
    assert job["status"]["jobParametersJson"]["machineType"] == {"cpu": 10, "memoryInGigs": 20}
    assert job["permissions"] == {"myself": [], "others": []}
