"""The command line `ucloud-ray`: which command is where, and how an error is shown. Called by `__main__`.

Nothing heavy is imported here: commands import what they need when they run, so that `--help` answers at once.
"""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from ucloud_ray.cli import (
    apps,
    capacity,
    completion,
    doctor,
    files,
    jobs,
    node,
    nodes,
    projects,
    serve,
    status,
    token,
    up,
    users,
    wallets,
)
from ucloud_ray.cli import run as run_command
from ucloud_ray.cli.errors import CliError
from ucloud_ray.config_tree import ConfigError

app = typer.Typer(
    name="ucloud-ray",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from ucloud_ray import __version__

        typer.echo(f"ucloud-ray {__version__}")
        raise typer.Exit


@app.callback()
def ucloud_ray(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Run UCloud jobs on a Ray cluster: containers and processes, placed, followed and ended.

    \b
    First steps:
      ucloud-ray doctor
      ucloud-ray up --detach
      ucloud-ray run a-batch-application var=Example
      ucloud-ray down
    """


app.command("up", short_help="Start everything on this machine.")(up.up)
app.command("down", short_help="Stop what `up` started; jobs go on.")(up.down)
app.command("node", short_help="Join a cluster with this machine.")(node.node)
app.command("status", short_help="Everything in one screen.")(status.status)
app.command("doctor", short_help="Check this machine.")(doctor.doctor)
app.command("run", short_help="Submit a job and follow it.")(run_command.run)
app.add_typer(jobs.app, name="jobs")
app.add_typer(apps.app, name="apps")
app.add_typer(files.app, name="files")
app.add_typer(wallets.app, name="wallets")
app.add_typer(projects.app, name="projects")
app.add_typer(users.app, name="users")
app.command("login", short_help="Log in with a password.")(users.login)
app.command("logout", short_help="Log out.")(users.logout)
app.command("products", short_help="Machine types.")(capacity.products)
app.add_typer(nodes.app, name="nodes", short_help="Machines of the cluster.")
app.command("utilization", short_help="Capacity and use.")(capacity.utilization)
app.command("token", short_help="An access token for curl.")(token.token)
app.command("completion", short_help="Completion for bash, zsh, fish.")(completion.completion)
app.add_typer(serve.provider, name="provider")
app.add_typer(serve.orchestrator, name="orchestrator")
app.add_typer(serve.database, name="db")


def run() -> None:
    """Run the command of `sys.argv` and leave with its exit status: 0 done, 1 failed, 2 wrong usage."""
    try:
        app(prog_name="ucloud-ray")  # also where it runs as `python -m ucloud_ray`: shells complete by this name
    except CliError as error:
        _leave(str(error), error.exit_status)
    except ConfigError as error:
        _leave(str(error), 2)
    except BrokenPipeError:
        # The reader of a pipe has left, as `head` does; the interpreter must not complain about it once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _leave(message: str, status: int) -> None:
    typer.echo(f"{typer.style('ucloud-ray:', fg=typer.colors.RED)} {message}", err=True)
    sys.exit(status)
