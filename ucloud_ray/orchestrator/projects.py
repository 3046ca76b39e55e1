"""Projects: made by anybody, led by their PI and admins, who invite members and put them into groups.

`Directory` is what everybody else asks; each change is on disk before it is there. Somebody who may not see a project
is told that there is none.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, get_args

from sqlalchemy import Connection

from ucloud_ray.db import Database
from ucloud_ray.orchestrator import project_rows
from ucloud_ray.orchestrator.directory import LEADERS, Directory, Group, Project, Role
from ucloud_ray.orchestrator.errors import BadRequest, Conflict, Forbidden, NotFound
from ucloud_ray.orchestrator.tokens import User
from ucloud_ray.orchestrator.users import check_username

MOST_TITLE_CHARACTERS = 200
ROLES: tuple[Role, ...] = get_args(Role)


class Projects:
    def __init__(self, database: Database, directory: Directory, now: Callable[[], int]) -> None:
        self._database = database
        self._directory = directory
        self._now = now
        self._changing = asyncio.Lock()
        """One change at a time: what it looks at is in memory, what it writes on disk."""

    async def load(self) -> None:
        await self._database.read(lambda connection: project_rows.load(connection, self._directory))

    # -------------------------------------------------------------------------------------------------- reading

    def browse(self, user: User) -> list[dict[str, Any]]:
        """Those that the caller is in, by title."""
        mine = sorted(self._directory.of(user.name).joined(), key=lambda project: (project.title, project.id))
        return [shown(project, user) for project in mine]

    def retrieve(self, user: User, project_id: str) -> dict[str, Any]:
        return shown(self._mine(user, project_id), user)

    def invites(self, user: User, project_id: str | None) -> list[dict[str, Any]]:
        """Of a project, for those who lead it; else to the caller."""
        if project_id is not None:
            project = self._led(user, project_id)
            return [_invite(project, name) for name in sorted(project.invited)]
        return [
            _invite(project, user.name) for project in self._directory.projects.values() if user.name in project.invited
        ]

    # ------------------------------------------------------------------------------------------------- projects

    async def create(self, user: User, titles: Sequence[str]) -> list[dict[str, str]]:
        """The caller is the PI. Raises `BadRequest`."""
        now = self._now()
        made = [Project(str(uuid.uuid4()), _title(title), now, now, members={user.name: "PI"}) for title in titles]

        def write(connection: Connection) -> None:
            for project in made:
                project_rows.save(connection, project)
                project_rows.save_members(connection, project.id, {user.name: "PI"})

        await self._database.write(write)
        self._directory.projects |= {project.id: project for project in made}
        return [{"id": project.id} for project in made]

    async def rename(self, user: User, project_id: str, title: str) -> None:
        async with self._changing:
            project = self._led(user, project_id)
            title, before = _title(title), (project.title, project.modified_at)
            project.title, project.modified_at = title, self._now()
            await self._or_undone(
                lambda connection: project_rows.save(connection, project),
                lambda: setattr(project, "title", before[0]),
            )

    # -------------------------------------------------------------------------------------------------- members

    async def invite(self, user: User, project_id: str, names: Sequence[str]) -> None:
        async with self._changing:
            project = self._led(user, project_id)
            for name in names:
                check_username(name)
                if name in project.members:
                    raise Conflict(f"{name} is a member of the project already.")
            await self._database.write(
                lambda connection: project_rows.save_members(connection, project.id, dict.fromkeys(names))
            )
            project.invited |= set(names)

    async def accept(self, user: User, project_id: str) -> None:
        async with self._changing:
            project = self._invited(user.name, project_id)
            await self._database.write(
                lambda connection: project_rows.save_members(connection, project.id, {user.name: "USER"})
            )
            project.invited.discard(user.name)
            project.members[user.name] = "USER"

    async def take_back_invite(self, user: User, project_id: str, name: str) -> None:
        """By who leads the project, or by who was invited."""
        async with self._changing:
            if name != user.name:
                self._led(user, project_id)
            project = self._invited(name, project_id)
            await self._database.write(lambda connection: project_rows.remove_member(connection, project, name))
            project.invited.discard(name)

    async def remove_member(self, user: User, project_id: str, name: str) -> None:
        """By who leads the project, or oneself. The PI stays: somebody else must become it first."""
        async with self._changing:
            project = self._mine(user, project_id) if name == user.name else self._led(user, project_id)
            self._require_member(project, name)
            if project.members[name] == "PI":
                raise BadRequest("The PI cannot leave the project; make somebody else the PI first.")
            await self._database.write(lambda connection: project_rows.remove_member(connection, project, name))
            del project.members[name]
            for group in project.groups.values():
                group.members.discard(name)

    async def change_role(self, user: User, project_id: str, name: str, role: str) -> None:
        """There is one PI; only the PI can make another one, and is an admin afterwards."""
        async with self._changing:
            project = self._led(user, project_id)
            self._require_member(project, name)
            if role not in ROLES:
                raise BadRequest(f"role: must be one of {', '.join(ROLES)}")
            roles = _roles_after(project, user, name, role)
            await self._database.write(lambda connection: project_rows.save_members(connection, project.id, roles))
            project.members |= roles

    # --------------------------------------------------------------------------------------------------- groups

    async def create_group(self, user: User, project_id: str, title: str) -> str:
        async with self._changing:
            project = self._led(user, project_id)
            group = Group(str(uuid.uuid4()), _title(title), self._now())
            if any(known.title == group.title for known in project.groups.values()):
                raise Conflict(f"The project has a group {group.title!r} already.")
            await self._database.write(lambda connection: project_rows.add_group(connection, project.id, group))
            project.groups[group.id] = group
            return group.id

    async def delete_group(self, user: User, group_id: str) -> None:
        """What it was given rights to is not open to its members any more."""
        async with self._changing:
            project = self._project_of_group(user, group_id)
            await self._database.write(lambda connection: project_rows.remove_group(connection, group_id))
            del project.groups[group_id]

    async def add_to_group(self, user: User, group_id: str, name: str) -> None:
        async with self._changing:
            project = self._project_of_group(user, group_id)
            self._require_member(project, name)
            await self._database.write(lambda connection: project_rows.add_to_group(connection, group_id, name))
            project.groups[group_id].members.add(name)

    async def remove_from_group(self, user: User, group_id: str, name: str) -> None:
        async with self._changing:
            project = self._project_of_group(user, group_id)
            await self._database.write(lambda connection: project_rows.remove_from_group(connection, group_id, name))
            project.groups[group_id].members.discard(name)

    # ------------------------------------------------------------------------------------------------- internal

    async def _or_undone(self, write: Callable[[Connection], Any], undo: Callable[[], None]) -> None:
        try:
            await self._database.write(write)
        except BaseException:
            undo()
            raise

    def _mine(self, user: User, project_id: str) -> Project:
        """Raises `NotFound` also for a project of others."""
        project = self._directory.projects.get(project_id)
        if project is None or not (user.name in project.members or user.is_admin):
            raise _no_project(project_id)
        return project

    def _led(self, user: User, project_id: str) -> Project:
        """Raises `NotFound`, and `Forbidden` for members who may not."""
        project = self._mine(user, project_id)
        if not user.is_admin and project.members[user.name] not in LEADERS:
            raise Forbidden("Only the PI and the admins of the project may do this.")
        return project

    def _invited(self, name: str, project_id: str) -> Project:
        project = self._directory.projects.get(project_id)
        if project is None or name not in project.invited:
            raise NotFound("There is no such invitation; it may have been taken back.")
        return project

    def _project_of_group(self, user: User, group_id: str) -> Project:
        project = self._directory.project_of_group(group_id)
        if project is None or not (user.name in project.members or user.is_admin):
            raise NotFound(f"There is no group {group_id!r}, or you may not see it.")
        return self._led(user, project.id)

    def _require_member(self, project: Project, name: str) -> None:
        if name not in project.members:
            raise NotFound(f"{name!r} is no member of the project.")


def _roles_after(project: Project, user: User, name: str, role: Any) -> dict[str, Role]:
    pi = next(who for who, what in project.members.items() if what == "PI")
    if role == "PI":
        if user.name != pi and not user.is_admin:
            raise Forbidden("Only the PI can make somebody else the PI.")
        return {name: "PI"} if name == pi else {pi: "ADMIN", name: "PI"}
    if name == pi:
        raise BadRequest("The project needs a PI; make somebody else the PI first.")
    return {name: role}


def shown(project: Project, user: User) -> dict[str, Any]:
    """As JSON (models 17)."""
    return {
        "id": project.id,
        "createdAt": project.created_at,
        "modifiedAt": project.modified_at,
        "specification": {"parent": None, "title": project.title, "canConsumeResources": True},
        "status": {
            "archived": project.archived,
            "isFavorite": False,
            "isHidden": False,
            "needsVerification": False,
            "members": [{"username": name, "role": role} for name, role in sorted(project.members.items())],
            "groups": [_group(project, group) for group in _by_title(project.groups.values())],
            "settings": None,
            "myRole": project.members.get(user.name),
            "path": None,
            "personalProviderProjectFor": None,
        },
    }


def _group(project: Project, group: Group) -> dict[str, Any]:
    return {
        "id": group.id,
        "createdAt": group.created_at,
        "specification": {"project": project.id, "title": group.title},
        "status": {"members": sorted(group.members)},
    }


def _invite(project: Project, name: str) -> dict[str, Any]:
    return {"invitedTo": project.id, "recipient": name, "projectTitle": project.title}


def _by_title(groups: Iterable[Group]) -> list[Group]:
    return sorted(groups, key=lambda group: (group.title, group.id))


def _title(title: str) -> str:
    clean = title.strip()
    if not clean or len(clean) > MOST_TITLE_CHARACTERS or any(not character.isprintable() for character in clean):
        raise BadRequest(f"title: must have 1 to {MOST_TITLE_CHARACTERS} characters, all of them printable")
    return clean


def _no_project(project_id: str) -> NotFound:
    return NotFound(f"There is no project {project_id!r}, or you are not in it.")
