"""Where a client connects to, and as whom, when nobody says it in the program."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.unit.cli.fake_core import FakeCore
from ucloud_ray.client import AsyncClient, Client, ClientError, Mistake, environment, local
from ucloud_ray.orchestrator.keys import UserKey
from ucloud_ray.orchestrator.tokens import Gate, User

NAMES = ("URL", "HOST", "TOKEN", "REFRESH_TOKEN", "PROJECT", "DATA")


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in NAMES:
        monkeypatch.delenv(f"UCLOUD_RAY_{name}", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def installation(tmp_path: Path) -> Path:
    """As `up` leaves it."""
    data = tmp_path / "ucloud-ray-data"
    UserKey(data)
    (data / local.STATE_FILE).write_text(json.dumps({"orchestratorUrl": "http://127.0.0.1:8080"}))
    return data


def test_a_token_made_here_is_one_that_the_orchestrator_accepts(installation: Path) -> None:
    gate = Gate(UserKey(installation), {})
    assert gate.user(local.access_token(installation)) == User("user")
    assert gate.admin(local.access_token(installation, "ann", admin=True)) == User("ann", is_admin=True)


def test_without_a_word_it_is_the_installation_in_this_folder(installation: Path, core: FakeCore) -> None:
    with Client.from_environment(transport=core.transport()) as client:
        assert client.url == "http://127.0.0.1:8080"
        list(client.raw.jobs.browse())
    assert (core.authorization or "").startswith("Bearer ey")
    assert AsyncClient.from_environment(installation).url == client.url


def test_an_address_needs_a_token_of_one_kind(monkeypatch: pytest.MonkeyPatch, core: FakeCore) -> None:
    monkeypatch.setenv("UCLOUD_RAY_URL", "https://cloud.example.org/")
    with pytest.raises(ClientError, match="no token for https://cloud"):
        Client.from_environment()
    monkeypatch.setenv("UCLOUD_RAY_TOKEN", "t0ken")
    monkeypatch.setenv("UCLOUD_RAY_PROJECT", "p1")
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return core.answer(request)

    with Client.from_environment(transport=httpx.MockTransport(answer)) as client:
        list(client.raw.jobs.browse())
    assert str(asked[0].url).startswith("https://cloud.example.org/api/jobs/browse")
    assert (asked[0].headers["Authorization"], asked[0].headers["Project"]) == ("Bearer t0ken", "p1")


def test_a_named_installation_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch, installation: Path) -> None:
    monkeypatch.setenv("UCLOUD_RAY_URL", "https://cloud.example.org")
    assert environment.found(installation)["url"] == "http://127.0.0.1:8080"


@pytest.mark.parametrize("state", [None, "", "{}", "[]", '{"orchestratorUrl": 7}'])
def test_a_folder_where_nothing_was_started_says_what_to_do(tmp_path: Path, state: str | None) -> None:
    if state is not None:
        (tmp_path / "ucloud-ray-data").mkdir()
        (tmp_path / "ucloud-ray-data" / local.STATE_FILE).write_text(state)
    with pytest.raises(ClientError, match="run `ucloud-ray up --detach`"):
        Client.from_environment()


def test_a_folder_without_an_orchestrator_gives_no_token_and_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="holds no orchestrator"):
        local.access_token(tmp_path / "no")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "#P_example", "_UCloud", "a\0b"])
def test_names_that_users_cannot_have_get_no_token(installation: Path, name: str) -> None:
    with pytest.raises(Mistake, match="cannot be the name"):
        local.access_token(installation, name)
