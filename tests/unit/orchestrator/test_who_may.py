"""Every call of the orchestrator against everybody who could make it (end-user-api 1.4 and 8, control-api 2.2).

The calls are those of the server itself: one without a row here fails. Somebody else's job, drive or file and one that
does not exist are one answer, and a refused call changes nothing and asks the provider nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.unit.orchestrator.conftest import Setup, running
from tests.unit.orchestrator.fake_provider import FakeProvider
from ucloud_ray.orchestrator import app, tokens
from ucloud_ray.orchestrator.credentials import issue_user_token
from ucloud_ray.orchestrator.keys import UserKey
from ucloud_ray.orchestrator.settings import OrchestratorSettings
from ucloud_ray.settings import DriveOwner, DriveSettings

DRIVE = "d-1"
READ, EDIT, ADMIN = "READ", "EDIT", "ADMIN"
EVERYBODY, ANY_USER, OPERATOR, PROVIDER = "everybody", "any user", "administrators", "the provider"
NOBODY = "nobody: it is about something that is not there"
"""Who may make calls that are not about one job or drive."""
MISSING = {"job": "999", "drive": "d-999"}
FILE = {"type": "file", "path": "/d-1/x", "readOnly": True}
HOUR = {"hours": 1, "minutes": 0, "seconds": 0}


@dataclass(frozen=True)
class Call:
    needs: str
    items: dict[str, Any] | None = None
    """One item of a bulk request."""
    body: dict[str, Any] | None = None
    query: dict[str, str] = field(default_factory=dict)
    project: str | None = None
    """Of the `Project` header."""


def on_job(needs: str, **item: Any) -> Call:
    return Call(needs, items={"id": "{job}", **item})


def on_file(needs: str, **item: Any) -> Call:
    return Call(needs, items={"id": "/{drive}/x", **item})


ACL = {"added": [{"entity": {"type": "user", "username": "eve"}, "permissions": [READ]}], "deleted": []}
CALLS = {
    "POST /auth/providers/refresh": Call(EVERYBODY, items={"refreshToken": "wrong"}),
    "GET /api/status": Call(EVERYBODY),
    # -- users
    "POST /auth/login": Call(EVERYBODY, body={"username": "user", "password": "wrong"}),
    "POST /auth/refresh": Call(EVERYBODY),
    "POST /auth/logout": Call(EVERYBODY),
    "POST /auth/users/password": Call(ANY_USER, body={}),
    "POST /auth/users/register": Call(OPERATOR, body={"items": [{}]}),
    "GET /auth/users/browse": Call(OPERATOR),
    "POST /auth/users/remove": Call(OPERATOR, body={"items": [{}]}),
    "POST /auth/users/password/reset": Call(OPERATOR, body={"items": [{}]}),
    # -- projects: who of their members may do what is in `test_projects`
    "GET /api/projects/v2/browse": Call(ANY_USER),
    "GET /api/projects/v2/retrieve": Call(NOBODY, query={"id": "p-999"}),
    "POST /api/projects/v2": Call(ANY_USER, items={"title": "A project"}),
    "POST /api/projects/v2/renameProject": Call(NOBODY, items={"id": "p-999", "newTitle": "x"}),
    "GET /api/projects/v2/browseInvites": Call(ANY_USER),
    "POST /api/projects/v2/createInvite": Call(NOBODY, items={"recipient": "x"}, project="p-999"),
    "POST /api/projects/v2/acceptInvite": Call(NOBODY, items={"project": "p-999"}),
    "POST /api/projects/v2/deleteInvite": Call(NOBODY, items={"recipient": "x"}, project="p-999"),
    "POST /api/projects/v2/deleteMember": Call(NOBODY, items={"username": "x"}, project="p-999"),
    "POST /api/projects/v2/changeRole": Call(NOBODY, items={"username": "x", "role": "USER"}, project="p-999"),
    "POST /api/projects/v2/createGroup": Call(NOBODY, items={"title": "x"}, project="p-999"),
    "POST /api/projects/v2/deleteGroup": Call(NOBODY, items={"id": "g-999"}),
    "POST /api/projects/v2/createGroupMember": Call(NOBODY, items={"group": "g-999", "username": "x"}),
    "POST /api/projects/v2/deleteGroupMember": Call(NOBODY, items={"group": "g-999", "username": "x"}),
    # -- jobs
    "POST /api/jobs": Call(ANY_USER, items={"application": "wrong"}),
    "GET /api/jobs/browse": Call(ANY_USER),
    "POST /api/jobs/search": Call(ANY_USER, body={"query": ""}),
    "GET /api/jobs/retrieveProducts": Call(ANY_USER),
    "POST /api/jobs/init": Call(ANY_USER, body={}),
    "POST /api/jobs/requestDynamicParameters": Call(ANY_USER, body={"application": {"name": "x", "version": "1"}}),
    "POST /api/jobs/openTerminalInFolder": Call(ANY_USER, items={"folder": "/d-1"}),
    "GET /api/jobs/settings/retrieve": Call(ANY_USER),
    "POST /api/jobs/settings": Call(ANY_USER, body={"toggled": True}),
    "POST /api/jobs/delete": on_job(OPERATOR),
    "GET /api/jobs/retrieve": Call(READ, query={"id": "{job}"}),
    "GET /api/jobs/{job_id}/logs": Call(READ),
    "GET /api/jobs/{job_id}/usage": Call(READ),
    "GET /api/jobs/retrieveUtilization": Call(READ, query={"jobId": "{job}"}),
    "POST /api/jobs/extend": Call(EDIT, items={"jobId": "{job}", "requestedTime": HOUR}),
    "POST /api/jobs/terminate": on_job(EDIT),
    "POST /api/jobs/suspend": on_job(EDIT),
    "POST /api/jobs/unsuspend": on_job(EDIT),
    "POST /api/jobs/interactiveSession": on_job(EDIT, rank=0, sessionType="SHELL"),
    "POST /api/jobs/rename": on_job(EDIT, newTitle="x"),
    "POST /api/jobs/updateLabels": on_job(EDIT, labels={}),
    "POST /api/jobs/attachResource": Call(EDIT, body={"jobId": "{job}", "resource": FILE}),
    "POST /api/jobs/detachResource": Call(EDIT, body={"jobId": "{job}", "resource": FILE}),
    "POST /api/jobs/updateAcl": on_job(ADMIN, **ACL),
    # -- what the provider calls
    "POST /api/jobs/control/register": Call(PROVIDER, body={"items": []}),
    "POST /api/jobs/control/update": on_job(PROVIDER, update={"status": "x"}),
    "GET /api/jobs/control/retrieve": Call(PROVIDER, query={"id": "{job}"}),
    "GET /api/jobs/control/browse": Call(PROVIDER),
    "POST /api/jobs/control/updateLabels": on_job(PROVIDER, labels={}),
    "POST /api/jobs/control/chargeCredits": Call(PROVIDER, body={"items": []}),
    "POST /api/jobs/control/checkCredits": Call(PROVIDER, body={"items": []}),
    "POST /api/providers/resources/checkExistence": on_job(PROVIDER, type="job"),
    "POST /api/accounting/v2/reportUsage": Call(PROVIDER, body={"items": []}),
    "GET /api/files/collections/control/browse": Call(PROVIDER),
    "GET /api/files/collections/control/retrieve": Call(PROVIDER, query={"id": "{drive}"}),
    # -- drives and files
    "GET /api/files/collections/browse": Call(ANY_USER),
    "GET /api/files/collections/retrieve": Call(READ, query={"id": "{drive}"}),
    "POST /api/files/collections/updateAcl": Call(ADMIN, items={"id": "{drive}", **ACL}),
    "GET /api/files/browse": Call(READ, query={"path": "/{drive}"}),
    "GET /api/files/retrieve": Call(READ, query={"id": "/{drive}/x"}),
    "POST /api/files/download": on_file(READ),
    "POST /api/files/upload": on_file(EDIT),
    "POST /api/files/folder": on_file(EDIT),
    "POST /api/files/trash": on_file(EDIT),
    "POST /api/files/emptyTrash": on_file(EDIT),
    "DELETE /api/files": on_file(EDIT),
    "POST /api/files/move": Call(EDIT, items={"oldId": "/{drive}/x", "newId": "/{drive}/y"}),
    # -- catalogue and money
    "GET /api/hpc/apps": Call(ANY_USER),
    "GET /api/hpc/apps/byNameAndVersion": Call(
        ANY_USER, query={"appName": "a-batch-application", "appVersion": "1.0.0"}
    ),
    "GET /api/hpc/apps/search": Call(ANY_USER, query={"query": "batch"}),
    "GET /api/products/browse": Call(ANY_USER),
    "GET /api/products/v2/browse": Call(ANY_USER),
    "PUT /api/hpc/tools": Call(OPERATOR, body={}),
    "POST /api/hpc/tools/upload": Call(OPERATOR, body={}),
    "PUT /api/hpc/apps": Call(OPERATOR, body={}),
    "POST /api/hpc/apps/upload": Call(OPERATOR, body={}),
    "PUT /api/hpc/apps/check": Call(OPERATOR, body={}),
    "GET /api/accounting/wallets/browse": Call(ANY_USER),
    "GET /api/accounting/v2/browseWallets": Call(ANY_USER),
    "POST /api/accounting/wallets/grant": Call(OPERATOR, body={"items": [{}]}),
}
ORDER = (READ, EDIT, ADMIN)
RIGHTS = {"reader": (READ,), "editor": (READ, EDIT), "user": ORDER, "root": ORDER, "stranger": ()}
USERS = tuple(RIGHTS)
STRANGERS_TO_ALL = ("nobody", "damaged", "expired", "another key", "removed", "logged out")


@dataclass
class World:
    setup: Setup
    job: str

    def headers(self, who: str) -> dict[str, str]:
        if who == "nobody":
            return {}
        return {"Authorization": f"Bearer {self._token(who)}"}

    def _token(self, who: str) -> str:
        orchestrator = self.setup.orchestrator
        match who:
            case "provider":
                return tokens.provider_token(orchestrator.keys, "example")
            case "expired":
                return issue_user_token(self.setup.data_dir, "user", lifetime_seconds=-60)
            case "damaged":
                return issue_user_token(self.setup.data_dir, "user")[:-4] + "AAAA"
            case "removed":
                return issue_user_token(self.setup.data_dir, "removed", admin=True)
            case "logged out":
                key = UserKey(self.setup.data_dir)
                return tokens.user_token(key, "user", admin=True, login="over")
            case "another key":
                return tokens.jwt.encode({"sub": "user", "role": "ADMIN"}, "k" * 64, algorithm="HS512")
        return issue_user_token(self.setup.data_dir, who, admin=who == "root")

    async def make(self, name: str, who: str, *, exists: bool = True) -> httpx.Response:
        """The call about the job and drive of `user`, or about others that do not exist."""
        call, named = CALLS[name], {"job": self.job, "drive": DRIVE} if exists else MISSING
        method, _, path = name.partition(" ")
        content = {"items": [call.items]} if call.items is not None else call.body
        return await self.setup.http.request(
            method,
            path.replace("{job_id}", named["job"]),
            params=_filled(call.query, named),
            json=None if content is None else _filled(content, named),
            headers=self.headers(who) | ({} if call.project is None else {"Project": call.project}),
        )


def _filled(value: Any, named: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(inner, named) for name, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, named) for inner in value]
    if isinstance(value, str):
        return value.replace("{job}", named["job"]).replace("{drive}", named["drive"])
    return value


@pytest.fixture
async def world(settings: OrchestratorSettings, provider: FakeProvider) -> AsyncIterator[World]:
    drive = DriveSettings(DRIVE, "Data", Path("/nowhere"), DriveOwner("user", "user"))
    async with running(replace(settings, drives=(drive,), max_body_bytes=1_000_000), provider) as setup:
        job = await setup.create()
        for path, number in (("/api/jobs/updateAcl", job), ("/api/files/collections/updateAcl", DRIVE)):
            added = [
                {"entity": {"type": "user", "username": name}, "permissions": list(RIGHTS[name])}
                for name in ("reader", "editor")
            ]
            answer = await setup.post(path, {"items": [{"id": number, "added": added, "deleted": []}]})
            assert answer.status_code == 200, answer.text
        setup.orchestrator.gate.blocked.users.add("removed")
        setup.orchestrator.gate.blocked.logins.add("over")
        provider.asked.clear()
        yield World(setup, job)


def test_every_call_of_the_server_has_a_row() -> None:
    server = FastAPI()
    app.include_routes(server)
    known = {f"{method.upper()} {path}" for path, calls in server.openapi()["paths"].items() for method in calls}
    assert known == CALLS.keys()


@pytest.mark.parametrize("name", CALLS)
async def test_whoever_is_not_logged_in_is_told_so_and_nothing_happens(world: World, name: str) -> None:
    for who in STRANGERS_TO_ALL:
        answer = await world.make(name, who)
        if CALLS[name].needs == EVERYBODY:
            assert answer.status_code in (200, 401), answer.text
        else:
            assert (answer.status_code, DRIVE in answer.text) == (401, False), answer.text
    assert world.setup.provider.asked == []


def allowed(needs: str, who: str) -> bool:
    if needs == EVERYBODY:
        return True
    if who == "provider" or needs == PROVIDER:
        return who == "provider" and needs == PROVIDER
    return {ANY_USER: True, OPERATOR: who == "root", NOBODY: False}.get(needs, needs in RIGHTS[who])


@pytest.mark.parametrize("name", CALLS)
async def test_who_may_is_let_through_and_others_learn_and_change_nothing(world: World, name: str) -> None:
    needs = CALLS[name].needs
    for who in ("stranger", "reader", "editor", "provider", "user", "root"):
        world.setup.provider.asked.clear()
        answer = await world.make(name, who)
        if allowed(needs, who):
            assert answer.status_code not in (403, 500), (who, answer.text)
            assert answer.status_code != 404 or "application" in answer.text, (who, answer.text)
            continue
        hidden = needs in (*ORDER, NOBODY) and who != "provider"
        assert answer.status_code == (404 if hidden else 403), (who, answer.text)
        assert world.setup.provider.asked == [], who
        if hidden:
            missing = await world.make(name, who, exists=False)
            assert _anonymous(missing, MISSING) == _anonymous(answer, {"job": world.job, "drive": DRIVE}), who


def _anonymous(answer: httpx.Response, named: dict[str, str]) -> tuple[int, str]:
    """The answer without the ids that the caller named."""
    return answer.status_code, answer.text.replace(f"{named['drive']}", "?").replace(f"({named['job']})", "(?)")


@pytest.mark.parametrize("name", ["GET /api/jobs/browse", "POST /api/jobs/search", "GET /api/files/collections/browse"])
async def test_lists_hold_nothing_of_others(world: World, name: str) -> None:
    seen = {
        who: [one for one in (await world.make(name, who)).json()["items"] if one["id"] != f"home-{who}"]
        for who in USERS
    }
    assert seen["stranger"] == []
    assert all(len(seen[who]) == 1 for who in ("reader", "editor", "user"))
    mine = {who: tuple(seen[who][0]["permissions"]["myself"]) for who in ("reader", "editor", "user")}
    assert mine == {who: RIGHTS[who] for who in mine}


@pytest.mark.parametrize(
    "name", [name for name, call in CALLS.items() if call.items is not None and call.needs in (READ, EDIT, ADMIN)]
)
async def test_bulk_requests_hold_1_to_1000_items_and_are_done_whole_or_not(world: World, name: str) -> None:
    """End-user-api 1.1 and 5 (G): a wrong item, or one of others, refuses all before the provider hears."""
    method, _, path = name.partition(" ")
    good, bad = (_filled(CALLS[name].items, named) for named in ({"job": world.job, "drive": DRIVE}, MISSING))
    wanted = {0: [], 1001: [good] * 1001, 400: [good, {"nonsense": 1}], 404: [good, bad]}
    for status, items in wanted.items():
        answer = await world.setup.http.request(method, path, json={"items": items}, headers=world.headers("user"))
        assert answer.status_code == (status if status >= 400 and status != 1001 else 400), answer.text
        assert world.setup.provider.asked == []
