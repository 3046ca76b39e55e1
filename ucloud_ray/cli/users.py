"""`ucloud-ray users`, `login` and `logout`. Passwords are asked for, or come through a pipe; they are no arguments."""

from __future__ import annotations

import getpass
import sys
from datetime import datetime
from typing import Annotated

import typer

from ucloud_ray.cli import options, output
from ucloud_ray.cli.connect import connect, local_url
from ucloud_ray.cli.errors import CliError, UsageMistake

app = typer.Typer(no_args_is_help=True, help="Who may log in; for administrators.", rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the user.")]


@app.command("list")
def list_users(
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """List users that can log in with a password.

    \b
    Example:
      ucloud-ray users list
    """
    with connect(host, token, None, data, admin=True) as client:
        found = client.raw.users.browse()
    if as_json:
        output.show_json(found)
        return
    rows = [
        (user["username"], user["role"], f"{datetime.fromtimestamp(user['createdAt'] / 1000):%Y-%m-%d %H:%M}")
        for user in found
    ]
    output.show_table(("NAME", "ROLE", "ADDED"), rows, "no users yet; add one with `ucloud-ray users add NAME`")


@app.command("add")
def add_user(
    name: Name,
    admin: Annotated[bool, typer.Option("--admin", help="May change everything, and see everybody's jobs.")] = False,
    host: options.Host = None,
    token: options.Token = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Add a user, with a password that is asked for or read from a pipe.

    \b
    Examples:
      ucloud-ray users add alice
      echo "$PASSWORD" | ucloud-ray users add bob --admin
    """
    password = _new_password(name)
    with connect(host, token, None, data, admin=True) as client:
        client.users.add(name, password, "ADMIN" if admin else "USER")
    output.say(f"{name} can log in")


@app.command("remove")
def remove_users(
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="Names of the users.")],
    host: options.Host = None,
    token: options.Token = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Remove users: whatever they were given to log in with is void at once. Their jobs and files stay.

    \b
    Example:
      ucloud-ray users remove bob
    """
    with connect(host, token, None, data, admin=True) as client:
        client.users.remove(names)
    output.say(f"removed {', '.join(names)}")


@app.command("password")
def set_password(
    name: Name,
    host: options.Host = None,
    token: options.Token = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Give a user another password. Every log-in of theirs ends.

    \b
    Example:
      ucloud-ray users password alice
    """
    password = _new_password(name)
    with connect(host, token, None, data, admin=True) as client:
        client.users.set_password(name, password)
    output.say(f"{name} has another password")


def login(
    user: Annotated[str | None, typer.Option(metavar="NAME", help="Who; asked for if left out.")] = None,
    host: options.Host = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Log in with a password. Commands use that from then on, until `ucloud-ray logout`.

    \b
    Examples:
      ucloud-ray login --user alice
      ucloud-ray login --host https://ucloud.example.org
    """
    from ucloud_ray.client import ClientError, logins

    url = _address(host, data)
    name = user or _asked("user name")
    try:
        logins.keep(url, logins.log_in(url, name, _password(f"password of {name}: ")))
    except ClientError as error:
        raise CliError(str(error)) from error
    output.say(f"logged in at {url} as {name}")


def logout(host: options.Host = None, data: options.Data = options.DEFAULT_DATA) -> None:
    """Log out: what this machine was given is void, here and there.

    \b
    Example:
      ucloud-ray logout
    """
    from ucloud_ray.client import ClientError, logins

    url = _address(host, data)
    refresh_token = logins.kept(url)
    if refresh_token is None:
        output.say(f"nobody is logged in at {url}")
        return
    try:
        logins.log_out(url, refresh_token)
        logins.keep(url, None)
    except ClientError as error:
        raise CliError(str(error)) from error
    output.say(f"logged out at {url}")


def _address(host: str | None, data: options.Data) -> str:
    if host is not None and not host.startswith(("http://", "https://")):
        raise UsageMistake(f"'{host}' is no address", "write --host like http://127.0.0.1:8080")
    return (host or local_url(data)).rstrip("/")


def _asked(what: str) -> str:
    if not sys.stdin.isatty():
        raise UsageMistake(f"no {what} was given", "name it with --user")
    return input(f"{what}: ").strip()


def _new_password(name: str) -> str:
    first = _password(f"password for {name}: ")
    if sys.stdin.isatty() and first != getpass.getpass("once more: "):
        raise CliError("the two passwords differ", "try again")
    return first


def _password(prompt: str) -> str:
    """From the keyboard without showing it, or the first line of a pipe."""
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    return sys.stdin.readline().rstrip("\n")
