"""Projects with members and groups, and what they let one do with jobs and drives (end-user-api 8)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.orchestrator.conftest import Setup, batch, running
from tests.unit.orchestrator.fake_provider import FakeProvider
from ucloud_ray.orchestrator.settings import OrchestratorSettings
from ucloud_ray.settings import DriveOwner, DriveSettings

BASE = "/api/projects/v2"
MEMBERS = ("pi", "admin", "user", "other")


@dataclass
class World:
    setup: Setup
    project: str
    group: str

    def who(self, name: str, project: str | None = None) -> dict[str, str]:
        headers = self.setup.user(name, admin=name == "root")
        return headers if project is None else {**headers, "Project": project}

    async def post(self, name: str, path: str, *items: dict[str, Any], inside: bool = True) -> httpx.Response:
        headers = self.who(name, self.project if inside else None)
        return await self.setup.post(f"{BASE}{path}", {"items": list(items)}, headers)

    async def create_job(self, name: str, inside: bool = True) -> httpx.Response:
        return await self.setup.post("/api/jobs", batch(), self.who(name, self.project if inside else None))

    async def job(self, name: str) -> str:
        answer = await self.create_job(name)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["responses"][0]["id"])

    async def rights(self, name: str, job_id: str) -> tuple[str, ...] | None:
        """None: there is no such job for them."""
        answer = await self.setup.get("/api/jobs/retrieve", self.who(name), id=job_id)
        return tuple(answer.json()["permissions"]["myself"]) if answer.status_code == 200 else None

    async def listed(self, name: str, inside: bool = True) -> list[str]:
        answer = await self.setup.get("/api/jobs/browse", self.who(name, self.project if inside else None))
        assert answer.status_code == 200, answer.text
        return [job["id"] for job in answer.json()["items"]]

    async def retrieve(self, name: str = "pi") -> dict[str, Any]:
        answer = await self.setup.get(f"{BASE}/retrieve", self.who(name), id=self.project)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


async def found(setup: Setup) -> World:
    """A project of `pi`, led by `admin` as well, with the members `user` and `other`; the group has `user` in it."""
    answer = await setup.post(BASE, {"items": [{"title": "Our project"}]}, setup.user("pi"))
    world = World(setup, answer.json()["responses"][0]["id"], "")
    await world.post("pi", "/createInvite", *({"recipient": name} for name in MEMBERS[1:]))
    for name in MEMBERS[1:]:
        await world.post(name, "/acceptInvite", {"project": world.project}, inside=False)
    await world.post("pi", "/changeRole", {"username": "admin", "role": "ADMIN"})
    made = await world.post("admin", "/createGroup", {"title": "Students"})
    world.group = made.json()["responses"][0]["id"]
    await world.post("admin", "/createGroupMember", {"group": world.group, "username": "user"})
    return world


@pytest.fixture
async def world(setup: Setup) -> World:
    return await found(setup)


# ----------------------------------------------------------------------------------------------------- projects


async def test_a_project_shows_its_members_and_groups_to_them(world: World) -> None:
    """Models 17."""
    project = await world.retrieve("other")
    assert project["specification"] == {"parent": None, "title": "Our project", "canConsumeResources": True}
    assert {one["username"]: one["role"] for one in project["status"]["members"]} == {
        "pi": "PI", "admin": "ADMIN", "user": "USER", "other": "USER",
    }  # fmt: skip
    (group,) = project["status"]["groups"]
    assert (group["specification"]["title"], group["status"]["members"]) == ("Students", ["user"])
    assert project["status"]["myRole"] == "USER"
    listed = (await world.setup.get(f"{BASE}/browse", world.who("user"))).json()["items"]
    assert [one["id"] for one in listed] == [world.project]


async def test_strangers_cannot_tell_a_project_from_none(world: World) -> None:
    answers = []
    for project in (world.project, "00000000-0000-0000-0000-000000000000"):
        answer = await world.setup.get(f"{BASE}/retrieve", world.who("stranger"), id=project)
        answers.append((answer.status_code, answer.json()["why"].replace(project, "?")))
    assert answers[0] == answers[1]
    assert answers[0][0] == 404
    assert (await world.setup.get(f"{BASE}/browse", world.who("stranger"))).json()["items"] == []


LEADERS_ONLY = {
    "/createInvite": {"recipient": "x"},
    "/deleteMember": {"username": "other"},
    "/changeRole": {"username": "other", "role": "ADMIN"},
    "/createGroup": {"title": "x"},
    "/deleteGroup": {"id": "{group}"},
    "/createGroupMember": {"group": "{group}", "username": "other"},
    "/deleteGroupMember": {"group": "{group}", "username": "user"},
    "/renameProject": {"id": "{project}", "newTitle": "x"},
}


@pytest.mark.parametrize("path", LEADERS_ONLY)
async def test_only_who_leads_a_project_changes_it(world: World, path: str) -> None:
    names = {"{group}": world.group, "{project}": world.project}
    item = {name: names.get(value, value) for name, value in LEADERS_ONLY[path].items()}
    before = await world.retrieve()
    for name, status in (("user", 403), ("stranger", 404)):
        assert (await world.post(name, path, item)).status_code == status
    assert await world.retrieve() == before
    assert (await world.post("admin", path, item)).status_code == 200


async def test_nobody_becomes_a_member_without_saying_yes(world: World) -> None:
    await world.post("pi", "/createInvite", {"recipient": "new"})
    assert (await world.create_job("new")).status_code == 403
    invites = await world.setup.get(f"{BASE}/browseInvites", world.who("new"))
    assert [one["invitedTo"] for one in invites.json()["items"]] == [world.project]
    taken_back = await world.post("pi", "/deleteInvite", {"recipient": "new"})
    assert taken_back.status_code == 200
    accepted = await world.post("new", "/acceptInvite", {"project": world.project}, inside=False)
    assert accepted.status_code == 404


async def test_there_is_always_one_pi(world: World) -> None:
    assert (await world.post("admin", "/changeRole", {"username": "admin", "role": "PI"})).status_code == 403
    for path, item in (("/changeRole", {"username": "pi", "role": "USER"}), ("/deleteMember", {"username": "pi"})):
        assert (await world.post("pi", path, item)).status_code == 400
    assert (await world.post("pi", "/changeRole", {"username": "user", "role": "PI"})).status_code == 200
    roles = {one["username"]: one["role"] for one in (await world.retrieve())["status"]["members"]}
    assert (roles["user"], roles["pi"]) == ("PI", "ADMIN")


async def test_projects_outlive_the_orchestrator(settings: OrchestratorSettings, provider: FakeProvider) -> None:
    async with running(settings, provider) as setup:
        world = await found(setup)
        await world.post("pi", "/createInvite", {"recipient": "new"})
        before = await world.retrieve()
    async with running(settings, provider) as setup:
        again = World(setup, world.project, world.group)
        assert await again.retrieve() == before
        accepted = await again.post("new", "/acceptInvite", {"project": world.project}, inside=False)
        assert accepted.status_code == 200


@pytest.mark.parametrize("title", ["", "   ", "x" * 201, "a\nb", "a\0"])
async def test_a_title_that_nobody_could_read_is_refused(setup: Setup, title: str) -> None:
    answer = await setup.post(BASE, {"items": [{"title": "good"}, {"title": title}]})
    assert answer.status_code == 400
    assert (await setup.get(f"{BASE}/browse")).json()["items"] == []


# --------------------------------------------------------------------------------------------------------- jobs


async def test_a_job_belongs_to_the_project_of_the_header(world: World) -> None:
    job_id = await world.job("user")
    asked = world.setup.provider.calls("jobs")[-1].body["items"][0]
    assert asked["owner"] == {"createdBy": "user", "project": world.project}
    assert await world.rights("user", job_id) == ("READ", "EDIT", "ADMIN")


@pytest.mark.parametrize("name", ["stranger", "root"])
async def test_who_is_not_a_member_cannot_work_in_it(world: World, name: str) -> None:
    """1.1."""
    assert (await world.create_job(name)).status_code == 403
    answer = await world.setup.get("/api/jobs/browse", world.who(name, world.project))
    assert answer.status_code == 403
    assert (await world.create_job("user", inside=False)).status_code == 200


async def test_who_leads_the_project_has_everything_and_other_members_nothing(world: World) -> None:
    """8."""
    job_id = await world.job("user")
    everything = ("READ", "EDIT", "ADMIN")
    seen = {name: await world.rights(name, job_id) for name in (*MEMBERS, "stranger", "root")}
    assert seen == {
        "pi": everything, "admin": everything, "user": everything, "root": everything, "other": None, "stranger": None,
    }  # fmt: skip
    assert await world.listed("pi") == await world.listed("admin") == await world.listed("user") == [job_id]
    assert await world.listed("other") == []
    assert await world.listed("user", inside=False) == []


async def test_a_group_that_was_given_a_right_has_it_through_its_members(world: World) -> None:
    job_id = await world.job("other")
    entity = {"type": "project_group", "projectId": world.project, "group": world.group}
    added = [{"entity": entity, "permissions": ["EDIT", "READ"]}]
    change = {"items": [{"id": job_id, "added": added, "deleted": []}]}
    assert await world.rights("user", job_id) is None
    assert (await world.setup.post("/api/jobs/updateAcl", change, world.who("other"))).status_code == 200
    assert await world.rights("user", job_id) == ("READ", "EDIT")
    assert await world.listed("user") == [job_id]
    shown = await world.setup.get("/api/jobs/retrieve", world.who("other"), id=job_id, includeOthers="true")
    assert shown.json()["permissions"]["others"] == added
    await world.post("pi", "/deleteGroupMember", {"group": world.group, "username": "user"})
    assert await world.rights("user", job_id) is None
    await world.post("pi", "/createGroupMember", {"group": world.group, "username": "user"})
    taken = {"items": [{"id": job_id, "added": [], "deleted": [entity]}]}
    assert (await world.setup.post("/api/jobs/updateAcl", taken, world.who("pi"))).status_code == 200
    assert await world.rights("user", job_id) is None


async def test_a_group_that_is_deleted_opens_nothing_any_more(world: World) -> None:
    job_id = await world.job("other")
    entity = {"type": "project_group", "projectId": world.project, "group": world.group}
    change = {"items": [{"id": job_id, "added": [{"entity": entity, "permissions": ["READ"]}], "deleted": []}]}
    await world.setup.post("/api/jobs/updateAcl", change, world.who("other"))
    assert await world.rights("user", job_id) == ("READ",)
    await world.post("pi", "/deleteGroup", {"id": world.group})
    assert await world.rights("user", job_id) is None


async def test_rights_are_not_given_to_groups_of_elsewhere(world: World) -> None:
    """8: 403."""
    mine = (await world.create_job("user", inside=False)).json()["responses"][0]["id"]
    theirs = await world.job("user")
    unknown = {"type": "project_group", "projectId": world.project, "group": "nobody"}
    known = {"type": "project_group", "projectId": world.project, "group": world.group}
    for job_id, entity in ((theirs, unknown), (mine, known), (theirs, {"type": "user", "username": "_group:x/y"})):
        change = {"items": [{"id": job_id, "added": [{"entity": entity, "permissions": ["READ"]}], "deleted": []}]}
        answer = await world.setup.post("/api/jobs/updateAcl", change, world.who("user"))
        assert (answer.status_code, "Bad ACL update" in answer.json()["why"]) == (403, True)


async def test_who_leaves_the_project_loses_what_they_made_there(world: World) -> None:
    job_id = await world.job("user")
    assert (await world.post("user", "/deleteMember", {"username": "user"})).status_code == 200
    assert await world.rights("user", job_id) is None
    assert (await world.create_job("user")).status_code == 403
    assert (await world.retrieve())["status"]["groups"][0]["status"]["members"] == []
    assert await world.rights("pi", job_id) is not None


# -------------------------------------------------------------------------------------------------------- money


async def test_a_project_pays_for_its_jobs_and_its_members_see_what_it_has(
    settings: OrchestratorSettings, provider: FakeProvider
) -> None:
    poor = replace(settings, options=replace(settings.options, initial_grant=0))
    async with running(poor, provider) as setup:
        world = await found(setup)
        assert (await world.create_job("user")).status_code == 402
        category = {"name": "example-compute", "provider": "example"}
        owner = {"type": "project", "projectId": world.project}
        granted = {"items": [{"owner": owner, "category": category, "amount": 10**9}]}
        assert (await setup.post("/api/accounting/wallets/grant", granted, world.who("root"))).status_code == 200
        assert (await world.create_job("user")).status_code == 200
        assert (await world.create_job("user", inside=False)).status_code == 402
        for name, status in (("user", 200), ("stranger", 403)):
            headers = world.who(name, world.project)
            assert (await setup.get("/api/accounting/wallets/browse", headers)).status_code == status
        products = [
            (await setup.get("/api/jobs/retrieveProducts", world.who("user", project))).json()["productsByProvider"]
            for project in (world.project, None)
        ]
        assert [bool(one) for one in products] == [True, False]


# ------------------------------------------------------------------------------------------------------- drives


async def test_a_projects_drive_is_its_leaders_and_theirs_to_share(
    settings: OrchestratorSettings, provider: FakeProvider
) -> None:
    async with running(settings, provider) as setup:
        project = (await found(setup)).project
    drive = DriveSettings("d-1", "Data", Path("/nowhere"), DriveOwner("project", project_id=project))
    async with running(replace(settings, drives=(drive,)), provider) as setup:
        world = World(setup, project, next(iter(setup.orchestrator.gate.directory.projects[project].groups)))

        async def rights(name: str) -> list[str] | None:
            answer = await setup.get("/api/files/collections/retrieve", world.who(name), id="d-1")
            return answer.json()["permissions"]["myself"] if answer.status_code == 200 else None

        assert await rights("pi") == ["READ", "EDIT", "ADMIN"]
        assert await rights("user") is None
        entity = {"type": "project_group", "projectId": project, "group": world.group}
        change = {"items": [{"id": "d-1", "added": [{"entity": entity, "permissions": ["READ"]}], "deleted": []}]}
        assert (await setup.post("/api/files/collections/updateAcl", change, world.who("admin"))).status_code == 200
        assert await rights("user") == ["READ"]
        assert await rights("other") is None
