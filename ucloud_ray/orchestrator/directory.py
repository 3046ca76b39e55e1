"""Who is in which project and group, as it is now: in memory, asked with every request. Changed by `projects` only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

Role = Literal["PI", "ADMIN", "USER"]
LEADERS = ("PI", "ADMIN")
_GROUP = "_group:"
"""Begins the keys of groups where users have their names; no user's name does."""


@dataclass(slots=True)
class Group:
    id: str
    title: str
    created_at: int
    members: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Project:
    id: str
    title: str
    created_at: int
    modified_at: int
    archived: bool = False
    members: dict[str, Role] = field(default_factory=dict)
    invited: set[str] = field(default_factory=set)
    groups: dict[str, Group] = field(default_factory=dict)


class Directory:
    def __init__(self) -> None:
        self.projects: dict[str, Project] = {}

    def of(self, username: str) -> Membership:
        return Membership(self, username)

    def has_group(self, project: str, group: str) -> bool:
        return project in self.projects and group in self.projects[project].groups

    def project_of_group(self, group: str) -> Project | None:
        return next((project for project in self.projects.values() if group in project.groups), None)


class Membership:
    """What one user is in."""

    def __init__(self, directory: Directory, username: str) -> None:
        self._directory = directory
        self._username = username

    def role(self, project: str) -> Role | None:
        found = self._directory.projects.get(project)
        return None if found is None else found.members.get(self._username)

    def leads(self, project: str | None) -> bool:
        """Its PI and admins have everything in it (end-user-api 8)."""
        return project is not None and self.role(project) in LEADERS

    def is_outside(self, project: str | None) -> bool:
        """Of a project that is known here: what one made there is not one's own any more."""
        return project in self._directory.projects and self.role(str(project)) is None

    def joined(self) -> list[Project]:
        return [one for one in self._directory.projects.values() if self._username in one.members]

    def names(self) -> list[str]:
        """Under which rights may have been given: the name, and a key for each group."""
        return [self._username, *self._groups()]

    def _groups(self) -> Iterator[str]:
        for project in self.joined():
            for group in project.groups.values():
                if self._username in group.members:
                    yield group_key(project.id, group.id)


def group_key(project: str, group: str) -> str:
    return f"{_GROUP}{project}/{group}"


def group_of(key: str) -> tuple[str, str] | None:
    """Project and group; None for the name of a user."""
    if not key.startswith(_GROUP):
        return None
    project, _, group = key.removeprefix(_GROUP).partition("/")
    return project, group
