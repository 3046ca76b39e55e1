"""`ucloud-ray apps add`: what is sent, and how mistakes are shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Cli
from tests.unit.cli.fake_core import FakeCore

TOOL = "tool: v1\nname: t\nversion: 2.10\nimage: t:2\n"
APPLICATION = "application: v1\nname: a\nversion: 1\ntool: {name: t, version: 2.10}\n"
MISSING = {"line": 4, "column": 7, "message": "there is no tool 't' in version '2.10'", "remedy": "add it first"}


def test_one_document_is_sent_as_it_is_to_the_address_of_its_kind(cli: Cli, core: FakeCore, tmp_path: Path) -> None:
    for text, path, said in ((TOOL, "tools", "tool t@2.10"), (APPLICATION, "apps", "application a@1")):
        (tmp_path / "a.yaml").write_text(text)
        outcome = cli("apps", "add", "a.yaml")
        assert (outcome.status, outcome.err) == (0, f"added {said}\n")
        assert core.changes()[-1] == (f"/api/hpc/{path}", text)


def test_a_file_with_several_documents_is_sent_whole(cli: Cli, core: FakeCore, tmp_path: Path) -> None:
    text = f"{APPLICATION}---\n{TOOL}"
    core.added = [{}, {}]
    (tmp_path / "a.yaml").write_text(text)
    outcome = cli("apps", "add", "a.yaml")
    assert (outcome.status, outcome.err) == (0, "added tool t@2.10\nadded application a@1\n")
    assert core.changes() == [("/api/hpc/apps", text)]


def test_a_server_that_takes_single_documents_is_noticed(cli: Cli, core: FakeCore, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"{APPLICATION}---\n{TOOL}")
    outcome = cli("apps", "add", "a.yaml")
    assert outcome.status == 1
    assert "one document at a time" in outcome.err


def test_every_mistake_is_shown_with_its_line_and_nothing_is_sent(cli: Cli, core: FakeCore, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"{TOOL}titel: x\n---\n{APPLICATION}invocation:\n- type: var\n  vars: n\n")
    outcome = cli("apps", "add", "a.yaml")
    assert outcome.err.splitlines() == [
        "a.yaml:5:1: unknown key 'titel' in a tool; did you mean 'title'?",
        "a.yaml:13:9: there is no parameter 'n'; declare it in 'parameters' (there are none)",
        "ucloud-ray: a.yaml has 2 mistakes; nothing was added",
    ]
    assert (outcome.status, outcome.out, core.asked) == (2, "", [])


def test_mistakes_that_only_the_server_sees_are_shown_the_same_way(cli: Cli, core: FakeCore, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(APPLICATION)
    core.refuse = (400, {"why": "words", "mistakes": [MISSING]})
    outcome = cli("apps", "add", "a.yaml")
    assert outcome.status == 2
    assert outcome.err.splitlines() == [
        "a.yaml:4:7: there is no tool 't' in version '2.10'; add it first",
        "ucloud-ray: a.yaml has a mistake; nothing was added",
    ]


def test_json_lists_mistakes(cli: Cli, core: FakeCore, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(APPLICATION)
    core.refuse = (400, {"why": "words", "mistakes": [MISSING]})
    outcome = cli("apps", "add", "a.yaml", "--json")
    assert json.loads(outcome.out) == {"added": [], "mistakes": [{"file": "a.yaml", **MISSING}]}
    assert outcome.status == 2
    core.refuse = None
    outcome = cli("apps", "add", "a.yaml", "--json")
    assert json.loads(outcome.out) == {"added": [{"kind": "application", "name": "a@1"}], "mistakes": []}


def test_a_check_asks_the_server_and_adds_nothing(cli: Cli, core: FakeCore, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(TOOL)
    outcome = cli("apps", "add", "--check", "a.yaml")
    assert (outcome.status, outcome.err) == (0, "correct: tool t@2.10\n")
    assert core.changes() == [("/api/hpc/apps/check", TOOL)]


@pytest.mark.parametrize("refusal", [(404, {"why": "no such call"}), (401, {"why": "expired"})])
def test_a_check_works_without_a_catalogue_and_says_what_it_did_not_see(
    cli: Cli, core: FakeCore, tmp_path: Path, refusal: tuple[int, dict[str, str]]
) -> None:
    core.refuse = refusal
    (tmp_path / "a.yaml").write_text(TOOL)
    outcome = cli("apps", "add", "--check", "a.yaml")
    assert outcome.status == 0
    assert "no catalogue was asked" in outcome.err


@pytest.mark.parametrize("text", ["a: [", "- 1", "name: x", "", "\ttool: v1", "tool: v3"])
def test_what_is_no_catalogue_file_is_refused_with_a_place(cli: Cli, core: FakeCore, tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yaml").write_text(text)
    outcome = cli("apps", "add", "a.yaml")
    assert (outcome.status, core.asked, len(outcome.err.splitlines())) == (2, [], 2)
    assert outcome.err.startswith("a.yaml:1:")


def test_a_file_that_cannot_be_read_is_told(cli: Cli, core: FakeCore, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"name: \xff")
    for name, why in (("a.yaml", "not UTF-8"), ("b.yaml", "No such file")):
        outcome = cli("apps", "add", name)
        assert (outcome.status, why in outcome.err) == (1, True)
