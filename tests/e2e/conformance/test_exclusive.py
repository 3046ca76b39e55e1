"""Conformance point 16: what only one node can have is refused for several."""

from __future__ import annotations

import copy

import pytest

from tests.e2e.conformance.looking import as_sent
from tests.support.stack import Stack, specification

CONNECTED = {"name": "native-connected", "version": "1.0.0"}
WORDS = {"network": "public IP", "ingress": "public link"}


@pytest.mark.parametrize("place", ["resources", "parameters"])
@pytest.mark.parametrize("resource", ["network", "ingress"])
def test_point_16_an_exclusive_resource_needs_a_job_of_one_node(catalogue: Stack, resource: str, place: str) -> None:
    """RES-1: in both places where one can be named, over the end-user API and at the provider itself."""
    value = {"type": resource, "id": "77"}
    asked = specification(CONNECTED, replicas=2, parameters={}, resources=[])
    parameter = {"network": "address", "ingress": "link"}[resource]
    asked[place] = [value] if place == "resources" else {parameter: value}
    answers = [catalogue.http.post("/api/jobs", json={"items": [asked]})]
    job = copy.deepcopy(as_sent(catalogue, catalogue.run(CONNECTED, parameters={})["id"])) | {"id": "987654322"}
    job["specification"] |= {"replicas": 2, place: asked[place]}
    answers.append(catalogue.as_core.post("/jobs", json={"items": [job]}))
    for answer in answers:
        assert answer.status_code == 400, answer.text
        assert "one node" in answer.json()["why"]
        assert WORDS[resource] in answer.json()["why"]
