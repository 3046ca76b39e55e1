"""`ucloud-ray run`: submits a job, shows its states and output live, and ends as the job ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from ucloud_ray.cli import complete, durations, options, output
from ucloud_ray.cli.connect import connect
from ucloud_ray.cli.errors import CliError, UsageMistake

if TYPE_CHECKING:
    from ucloud_ray.client import Client, OutputSeen


def run(
    application: Annotated[
        str,
        typer.Argument(
            metavar="APP", help="APP or APP@VERSION; the newest if none is named.", autocompletion=complete.applications
        ),
    ],
    parameters: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME=VALUE", help="Its parameters.", autocompletion=complete.parameters),
    ] = None,
    product: Annotated[
        str | None,
        typer.Option(metavar="P", help="Machine type; else the first that fits.", autocompletion=complete.products),
    ] = None,
    nodes: Annotated[int, typer.Option(metavar="N", min=1, help="Number of nodes.")] = 1,
    time: Annotated[str | None, typer.Option(metavar="TIME", help="Ends the job after 30s, 45m, 1h30m, 2d.")] = None,
    name: Annotated[str | None, typer.Option(metavar="TITLE", help="Title of the job.")] = None,
    mount: Annotated[
        list[str] | None,
        typer.Option(metavar="DRIVE/PATH[:ro]", help="Folder to see, with :ro only to read; repeatable."),
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Print the job's id and do not follow it.")] = False,
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Submit a job and follow it to its end.

    States go to standard error, the job's output to standard output. The exit status is 0 if the job ended in SUCCESS
    and 1 otherwise. Ctrl-C stops following; the job goes on. Files of parameters are named DRIVE/PATH, other jobs
    HOSTNAME:ID.

    \b
    Examples:
      ucloud-ray run a-batch-application var=Example
      ucloud-ray run a-batch-application@1.0.0 var=Example --product example-small --time 1h --detach
      ucloud-ray run a-batch-application var=Example --mount home-user/inputs:ro --nodes 2
    """
    given = _parameters(parameters or [])
    ends_after = durations.delta(time) if time else None
    with connect(host, token, project, data) as client:
        job = client.jobs.submit(
            application, None, given, product, nodes=nodes, time=ends_after, mounts=mount or [], name=name
        )
        if detach:
            _show_id(job.id, as_json)
            return
        wanted = job.specification or {}
        output.say(f"job {job.id}: {wanted['application']['name']} on {wanted['product']['id']}")
        follow_to_the_end(client, job.id, as_json)


def follow_to_the_end(
    client: Client,
    job_id: str,
    as_json: bool,
    wants: Callable[[OutputSeen], bool] = lambda _: True,
    begin: Mapping[tuple[int, str], int] | None = None,
) -> NoReturn:
    """Show everything until the job is final; leave with status 1 unless it succeeded.

    `wants`: whether some output is shown. `begin`: byte offsets of streams whose past is not.
    """
    from ucloud_ray.cli.screen import Screen
    from ucloud_ray.client import OutputSeen, Unavailable

    screen, state = Screen(), ""
    try:
        for seen in client.jobs.handle(job_id).follow(begin):
            state = state if isinstance(seen, OutputSeen) else seen.state
            if not as_json and (not isinstance(seen, OutputSeen) or wants(seen)):
                screen.show(seen)
    except KeyboardInterrupt:
        output.say(
            f"\njob {job_id} goes on; stop it with `ucloud-ray jobs stop {job_id}`,"
            f" follow it with `ucloud-ray jobs logs -f {job_id}`"
        )
        raise typer.Exit(1) from None
    except Unavailable as error:
        raise CliError(str(error), f"follow it again with `ucloud-ray jobs logs -f {job_id}`") from error
    if as_json:
        output.show_json(client.raw.jobs.retrieve(job_id))
    raise typer.Exit(0 if state == "SUCCESS" else 1)


def _parameters(words: Sequence[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals:
            raise UsageMistake(f"'{word}' is not NAME=VALUE", "write parameters like var=Example")
        if name in given:
            raise UsageMistake(f"'{name}' is given twice", "leave one of them out")
        given[name] = text
    return given


def _show_id(job_id: str, as_json: bool) -> None:
    if as_json:
        output.show_json({"id": job_id})
    else:
        typer.echo(job_id)
