"""`ucloud-ray projects`: workspaces of several users, at our own orchestrator or at UCloud."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from ucloud_ray.cli import options, output
from ucloud_ray.cli.connect import connect
from ucloud_ray.cli.errors import UsageMistake

app = typer.Typer(no_args_is_help=True, help="Workspaces of several users.", rich_markup_mode=None)

ROLES = ("pi", "admin", "user")
Id = Annotated[str, typer.Argument(metavar="PROJECT", help="Id of the project, as `projects list` shows it.")]
User = Annotated[str, typer.Argument(metavar="USER", help="Name of a user.")]
GroupTitle = Annotated[str, typer.Argument(metavar="GROUP", help="Title of a group of the project.")]


@app.command("list")
def list_projects(
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """List the projects that you are in, and those that you are invited to.

    \b
    Example:
      ucloud-ray projects list
    """
    with connect(host, token, None, data) as client:
        found, invites = client.raw.projects.browse(), client.raw.projects.invites()
    if as_json:
        output.show_json({"projects": found, "invites": invites})
        return
    rows: list[tuple[object, ...]] = [
        (one["id"], one["specification"]["title"], one["status"]["myRole"], len(one["status"]["members"]))
        for one in found
    ]
    rows += [(one["invitedTo"], one["projectTitle"], "invited", "-") for one in invites]
    output.show_table(
        ("ID", "TITLE", "ROLE", "MEMBERS"), rows, "no projects; make one with `ucloud-ray projects create`"
    )


@app.command("create")
def create(
    title: Annotated[str, typer.Argument(metavar="TITLE", help="What it is called.")],
    host: options.Host = None,
    token: options.Token = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Make a project, and print its id. You are its PI.

    \b
    Example:
      ucloud-ray projects create "Climate models"
    """
    with connect(host, token, None, data) as client:
        typer.echo(client.projects.create(title))


@app.command("show")
def show(
    project: Id,
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Show who is in a project, and its groups.

    \b
    Example:
      ucloud-ray projects show 5a1b…
    """
    with connect(host, token, None, data) as client:
        found = client.raw.projects.retrieve(project)
    if as_json:
        output.show_json(found)
        return
    status = found["status"]
    output.show_pairs(
        [("project", found["id"]), ("title", found["specification"]["title"]), ("role", status["myRole"])]
    )
    output.show_table(("MEMBER", "ROLE"), [(one["username"], one["role"]) for one in status["members"]], "no members")
    if status["groups"]:
        groups = [(one["specification"]["title"], ", ".join(one["status"]["members"])) for one in status["groups"]]
        output.show_table(("GROUP", "MEMBERS"), groups, "no groups")


@app.command("invite")
def invite(
    project: Id,
    user: User,
    host: options.Host = None,
    token: options.Token = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Invite a user, who becomes a member with `ucloud-ray projects accept`.

    \b
    Example:
      ucloud-ray projects invite 5a1b… alice
    """
    with connect(host, token, None, data) as client:
        client.projects.invite(project, user)
    output.say(f"invited {user}")


@app.command("accept")
def accept(
    project: Id, host: options.Host = None, token: options.Token = None, data: options.Data = options.DEFAULT_DATA
) -> None:
    """Become a member of a project that you are invited to.

    \b
    Example:
      ucloud-ray projects accept 5a1b…
    """
    with connect(host, token, None, data) as client:
        client.projects.accept(project)
    output.say("you are a member now")


@app.command("remove")
def remove(
    project: Id,
    user: User,
    host: options.Host = None,
    token: options.Token = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Take a member out of a project; with your own name, leave it.

    \b
    Example:
      ucloud-ray projects remove 5a1b… alice
    """
    with connect(host, token, None, data) as client:
        client.projects.remove(project, user)
    output.say(f"{user} is no member any more")


@app.command("role")
def role(
    project: Id,
    user: User,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="pi, admin or user.")],
    host: options.Host = None,
    token: options.Token = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Say what a member may do: `admin` everything, `user` what is one's own or given. There is one `pi`.

    \b
    Example:
      ucloud-ray projects role 5a1b… alice admin
    """
    if role.lower() not in ROLES:
        raise UsageMistake(f"there is no role '{role}'", f"choose from {', '.join(ROLES)}")
    with connect(host, token, None, data) as client:
        client.projects.change_role(project, user, role.upper())
    output.say(f"{user} is {role.lower()}")


@app.command("group")
def group(
    project: Id,
    title: GroupTitle,
    add: Annotated[list[str] | None, typer.Option(metavar="USER", help="Put this member in; may be repeated.")] = None,
    take_out: Annotated[
        list[str] | None, typer.Option("--remove", metavar="USER", help="Take this member out; may be repeated.")
    ] = None,
    delete: Annotated[bool, typer.Option("--delete", help="Delete the group.")] = False,
    host: options.Host = None,
    token: options.Token = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Make a group, or change who is in it. Jobs and drives can be opened to groups.

    \b
    Examples:
      ucloud-ray projects group 5a1b… Students --add alice --add bob
      ucloud-ray projects group 5a1b… Students --delete
    """
    with connect(host, token, None, data) as client:
        known = _group(client.raw.projects.retrieve(project), title)
        if delete:
            if known is None:
                raise UsageMistake(f"there is no group '{title}'", f"see `ucloud-ray projects show {project}`")
            client.projects.delete_group(known)
            output.say(f"deleted the group {title}")
            return
        group_id = known or client.projects.create_group(project, title)
        for user in add or []:
            client.projects.add_to_group(group_id, user)
        for user in take_out or []:
            client.projects.remove_from_group(group_id, user)
    output.say(f"the group {title} is as you want it")


def _group(project: Mapping[str, Any], title: str) -> str | None:
    return next((str(one["id"]) for one in project["status"]["groups"] if one["specification"]["title"] == title), None)
