"""Projects, their members and groups. Behind `client.projects`."""

from __future__ import annotations

from typing import Any

from ucloud_ray.client.calls import Group, R, as_it_is, call, nothing
from ucloud_ray.client.effects import Json, Plan
from ucloud_ray.client.session import Query


class Projects(Group[R]):
    """Answers are UCloud's own objects (`spec` models 17)."""

    @call(as_it_is)
    def browse(self) -> Plan[Json]:
        """Those that one is in."""
        return (yield from self._session.ask("GET", "/api/projects/v2/browse"))["items"]

    @call(as_it_is)
    def retrieve(self, project: str) -> Plan[Json]:
        """With members and groups. Raises `NotFound`."""
        wanted: Query = {"id": project, "includeMembers": True, "includeGroups": True}
        return (yield from self._session.ask("GET", "/api/projects/v2/retrieve", wanted))

    @call(str)
    def create(self, title: str) -> Plan[str]:
        """Its id. One is its PI."""
        answer = yield from self._order("", {"title": title, "parent": None})
        return str(answer["responses"][0]["id"])

    @call(as_it_is)
    def invites(self) -> Plan[Json]:
        """To oneself."""
        return (yield from self._session.ask("GET", "/api/projects/v2/browseInvites"))["items"]

    @call(nothing)
    def invite(self, project: str, username: str) -> Plan[None]:
        yield from self._order("/createInvite", {"recipient": username}, project)

    @call(nothing)
    def accept(self, project: str) -> Plan[None]:
        """An invitation to oneself."""
        yield from self._order("/acceptInvite", {"project": project})

    @call(nothing)
    def remove(self, project: str, username: str) -> Plan[None]:
        """A member; also oneself."""
        yield from self._order("/deleteMember", {"username": username}, project)

    @call(nothing)
    def change_role(self, project: str, username: str, role: str) -> Plan[None]:
        """`PI`, `ADMIN` or `USER`."""
        yield from self._order("/changeRole", {"username": username, "role": role}, project)

    @call(str)
    def create_group(self, project: str, title: str) -> Plan[str]:
        """Its id."""
        answer = yield from self._order("/createGroup", {"project": project, "title": title}, project)
        return str(answer["responses"][0]["id"])

    @call(nothing)
    def delete_group(self, group: str) -> Plan[None]:
        yield from self._order("/deleteGroup", {"id": group})

    @call(nothing)
    def add_to_group(self, group: str, username: str) -> Plan[None]:
        """A member of the project."""
        yield from self._order("/createGroupMember", {"group": group, "username": username})

    @call(nothing)
    def remove_from_group(self, group: str, username: str) -> Plan[None]:
        yield from self._order("/deleteGroupMember", {"group": group, "username": username})

    def _order(self, path: str, item: dict[str, Any], project: str | None = None) -> Plan[Any]:
        """About a project; the session's own when None."""
        session = self._session.in_project(project) if project is not None else self._session
        return (yield from session.ask("POST", f"/api/projects/v2{path}", body={"items": [item]}))
