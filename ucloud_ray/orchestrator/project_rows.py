"""Statements about projects, members and groups. Functions of a connection, run inside `Database.read` and `write`."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert, select

from ucloud_ray.db.columns import upsert
from ucloud_ray.orchestrator.directory import Directory, Group, Project
from ucloud_ray.orchestrator.tables import group_members, groups, members, projects


def load(connection: Connection, directory: Directory) -> None:
    for row in connection.execute(select(projects)):
        directory.projects[row.id] = Project(row.id, row.title, row.created_at, row.modified_at, row.archived)
    for row in connection.execute(select(members)):
        project = directory.projects[row.project]
        if row.role is None:
            project.invited.add(row.username)
        else:
            project.members[row.username] = row.role
    of_group = {}
    for row in connection.execute(select(groups)):
        of_group[row.id] = directory.projects[row.project].groups[row.id] = Group(row.id, row.title, row.created_at)
    for row in connection.execute(select(group_members)):
        of_group[row.group_id].members.add(row.username)


def save(connection: Connection, project: Project) -> None:
    """The project itself, without whom it has."""
    row = {
        "id": project.id,
        "title": project.title,
        "created_at": project.created_at,
        "modified_at": project.modified_at,
        "archived": project.archived,
    }
    upsert(connection, projects, [row])


def save_members(connection: Connection, project: str, roles: Mapping[str, str | None]) -> None:
    """Name to role; None: invited, and has not said yes."""
    rows = [{"project": project, "username": username, "role": role} for username, role in roles.items()]
    upsert(connection, members, rows)


def remove_member(connection: Connection, project: Project, username: str) -> None:
    """Out of its groups, too."""
    connection.execute(delete(members).where(members.c.project == project.id, members.c.username == username))
    of_project = group_members.c.group_id.in_(list(project.groups))
    connection.execute(delete(group_members).where(of_project, group_members.c.username == username))


def add_group(connection: Connection, project: str, group: Group) -> None:
    values = {"id": group.id, "project": project, "title": group.title, "created_at": group.created_at}
    connection.execute(insert(groups).values(**values))


def remove_group(connection: Connection, group: str) -> None:
    connection.execute(delete(group_members).where(group_members.c.group_id == group))
    connection.execute(delete(groups).where(groups.c.id == group))


def add_to_group(connection: Connection, group: str, username: str) -> None:
    remove_from_group(connection, group, username)
    connection.execute(insert(group_members).values(group_id=group, username=username))


def remove_from_group(connection: Connection, group: str, username: str) -> None:
    connection.execute(
        delete(group_members).where(group_members.c.group_id == group, group_members.c.username == username)
    )
