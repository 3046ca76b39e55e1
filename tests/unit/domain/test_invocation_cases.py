"""The authoritative table of applications, values and what they turn into (job-semantics 2.10).

Its templates are rendered in `tests/unit/runtimes/templating`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ucloud_ray.domain.invocation import AppEnvironment, build_argv, build_environment
from ucloud_ray.domain.mounts import path_in_container, plan_mounts, wished_files

CASES = json.loads((Path(__file__).parents[2] / "data" / "invocation-cases.json").read_text())
TEMPLATED = [case for case in CASES if case["invocation"][0]["type"] == "jinja"]
PLAIN = [case for case in CASES if case not in TEMPLATED]


def container_path(case: dict[str, Any]) -> Any:
    return path_in_container(plan_mounts(wished_files([], case["values"])))


@pytest.mark.parametrize("case", PLAIN, ids=[case["name"] for case in PLAIN])
def test_a_case_of_the_table_gives_its_arguments_and_variables(case: dict[str, Any]) -> None:
    map_path = container_path(case)
    argv = build_argv(case["parameters"], case["invocation"], case["values"], map_path)
    environment = build_environment(case["parameters"], case.get("environment"), case["values"], map_path)
    assert list(argv) == case["expected_argv"]
    assert environment == AppEnvironment(case["expected_env"], {})


def test_the_table_is_whole() -> None:
    assert len(PLAIN) + len(TEMPLATED) == 74
    assert len(TEMPLATED) < 15
