"""`ucloud-ray token`: an access token for curl and for programs."""

from __future__ import annotations

from typing import Annotated

import typer

from ucloud_ray.cli import options, output
from ucloud_ray.cli.connect import token_of


def token(
    user: Annotated[str, typer.Option("--user", metavar="NAME", help="Who it is for.")] = "user",
    admin: Annotated[bool, typer.Option("--admin", help="May change the catalogue and see everybody's jobs.")] = False,
    as_json: options.AsJson = False,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Print an access token of the local orchestrator. It is valid for a day.

    \b
    Example:
      accessToken=$(ucloud-ray token)
      curl -H "Authorization: Bearer $accessToken" "http://127.0.0.1:8080/api/jobs/browse"
    """
    made = token_of(data, user, admin)
    if as_json:
        output.show_json({"accessToken": made, "user": user})
    else:
        typer.echo(made)
