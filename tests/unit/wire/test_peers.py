"""Peers of a job as they come from the Core (ENV-47, ENV-50)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ucloud_ray.domain.ids import JobId
from ucloud_ray.domain.job import PeerRequest
from ucloud_ray.wire.jobs import Job
from ucloud_ray.wire.peers import peers_of
from ucloud_ray.wire.refusals import ConversionRefused

RECORDED = Path(__file__).parents[2] / "data/observed/POST_jobs_create.json"


def peers(resources: list[Any], parameters: dict[str, Any] | None = None) -> tuple[PeerRequest, ...]:
    """Of the recorded job with these values, with a parameter `db` of type `peer` and one `flow`."""
    document = json.loads(RECORDED.read_text())["request"]["body"]["items"][0]
    document["id"] = "4150"
    document["specification"] |= {"resources": resources, "parameters": parameters or {}}
    invocation = document["status"]["resolvedApplication"]["invocation"]
    invocation["parameters"] = [
        {"type": "peer", "name": "db", "title": "Database", "optional": True},
        {"type": "workflow", "name": "flow", "title": "Workflow", "optional": True},
    ]
    job = Job.model_validate(document)
    assert job.status.resolved_application is not None
    return peers_of(job, job.status.resolved_application)


def peer(hostname: str, job_id: str = "4101") -> dict[str, str]:
    return {"type": "peer", "hostname": hostname, "jobId": job_id}


def test_peers_come_from_parameters_and_resources_in_lower_case() -> None:
    """ENV-47, ENV-50."""
    found = peers([peer("Database"), peer("cache-2", "4102")], {"db": peer("x", "4103")})
    assert found == (
        PeerRequest("x", JobId("4103")),
        PeerRequest("database", JobId("4101")),
        PeerRequest("cache-2", JobId("4102")),
    )


def test_the_same_peer_twice_is_one() -> None:
    """As a parameter, and attached as well."""
    assert peers([peer("db")], {"db": peer("db")}) == (PeerRequest("db", JobId("4101")),)


def test_a_value_that_the_application_does_not_declare_is_ignored() -> None:
    """INV-3."""
    assert peers([], {"other": peer("db")}) == ()


def test_a_value_that_a_workflow_declares_is_a_peer() -> None:
    """INV-43: its parameters are the job's, with all that comes of them."""
    flow = {"type": "workflow", "specification": {"job": "x", "inputs": [{"type": "peer", "name": "other"}]}}
    assert peers([], {"flow": flow, "other": peer("cache")}) == (PeerRequest("cache", JobId("4101")),)
    assert peers([], {"undeclared": flow, "other": peer("cache")}) == ()


def test_two_names_may_lead_to_one_job() -> None:
    assert len(peers([peer("db"), peer("cache")])) == 2


@pytest.mark.parametrize(
    "hostname",
    ["", "-db", "db-", "a_b", "a.b", "a b", "db\n", "dätabase", "x" * 64, "127.0.0.1", "a/b", "\u212aelvin"],
)
def test_a_name_that_is_no_label_is_refused(hostname: str) -> None:
    """ENV-50."""
    with pytest.raises(ConversionRefused, match="must have letters"):
        peers([peer(hostname)])


@pytest.mark.parametrize("hostname", ["localhost", "LOCALHOST", "ip6-localhost", "j-4150-job-0", "J-4150-job-17"])
def test_a_name_that_leads_to_the_job_itself_is_refused(hostname: str) -> None:
    """ENV-50."""
    with pytest.raises(ConversionRefused, match="itself"):
        peers([peer(hostname)])


def test_one_name_for_two_jobs_is_refused() -> None:
    """ENV-50."""
    with pytest.raises(ConversionRefused, match="cannot both be reached"):
        peers([peer("db"), peer("DB", "4102")])


@pytest.mark.parametrize("job_id", ["", "../41", "41\n"])
def test_a_peer_that_is_no_job_is_refused(job_id: str) -> None:
    with pytest.raises(ConversionRefused, match="not named by an id"):
        peers([peer("db", job_id)])
