"""`ucloud-ray jobs`: what a user can do with jobs that exist."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ucloud_ray.cli import complete, durations, options, output, usage
from ucloud_ray.cli.connect import connect
from ucloud_ray.cli.errors import UsageMistake
from ucloud_ray.cli.queue import queue, reasons
from ucloud_ray.cli.shell import shell

if TYPE_CHECKING:
    from ucloud_ray.client import Client

app = typer.Typer(no_args_is_help=True, help="List, show, follow and stop jobs.", rich_markup_mode=None)

JobId = Annotated[
    str,
    typer.Argument(metavar="ID", help="Id of the job, as `jobs list` shows it.", autocompletion=complete.jobs),
]
JobIds = Annotated[list[str], typer.Argument(metavar="ID", help="Ids of the jobs.", autocompletion=complete.jobs)]


@app.command("list")
def list_jobs(
    state: Annotated[
        str | None, typer.Option(metavar="STATE", help="Only jobs in this state.", autocompletion=complete.states)
    ] = None,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="At most so many, newest first.")] = 50,
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """List jobs, newest first.

    \b
    Examples:
      ucloud-ray jobs list
      ucloud-ray jobs list --state running --json
    """
    wanted = _state(state) if state else None
    with connect(host, token, project, data) as client:
        jobs = list(client.raw.jobs.browse(state=wanted, at_most=limit))
    waiting = {} if as_json else reasons(host, data)
    if as_json:
        output.show_json(jobs)
    else:
        columns = ("ID", "STATE", "APPLICATION", "PRODUCT", "NODES", "CREATED", "STATUS")
        output.show_table(columns, [_row(job, waiting) for job in jobs], "no jobs")


@app.command("show")
def show_job(
    job_id: JobId,
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Show one job with everything that was told about it, and what its nodes use at the moment.

    \b
    Example:
      ucloud-ray jobs show 48920
    """
    with connect(host, token, project, data) as client:
        job = client.raw.jobs.retrieve(job_id)
        used = _usage(client, job_id) if job["status"]["state"] in ("RUNNING", "CANCELING") else []
    if as_json:
        output.show_json({**job, "usage": used} if used else job)
        return
    output.show_pairs([*_facts(job), *usage.pairs(used)])
    for update in job.get("updates") or []:
        text = f"{_clock(update.get('timestamp'))}  {output.state_text(update.get('state') or '')}"
        typer.echo(f"  {text} {update.get('status') or ''}".rstrip())


@app.command("logs")
def show_logs(
    job_id: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job has ended.")] = False,
    rank: Annotated[int | None, typer.Option(metavar="N", min=0, help="Only this node, counted from 0.")] = None,
    stream: Annotated[str | None, typer.Option(metavar="NAME", help="Only stdout, or only stderr.")] = None,
    tail: Annotated[int | None, typer.Option(metavar="N", min=0, help="Only the last N lines of each stream.")] = None,
    since_offset: Annotated[int | None, typer.Option(metavar="BYTES", min=0, help="Only what is behind it.")] = None,
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Print a job's output; with -f its states too, live, ending as the job ends.

    With --json one object for each part, with the byte offset that the next call goes on from.

    \b
    Examples:
      ucloud-ray jobs logs 48920 > output.txt
      ucloud-ray jobs logs -f --tail 10 48920
      ucloud-ray jobs logs --rank 1 --stream stderr --since-offset 1200 --json 48920
    """
    from ucloud_ray.cli import logs

    if stream not in (None, *logs.STREAMS):
        raise UsageMistake(f"there is no stream '{stream}'", "choose stdout or stderr")
    if follow and as_json:
        raise UsageMistake("--follow and --json exclude each other", "ask again with --since-offset instead")
    if tail is not None and since_offset is not None:
        raise UsageMistake("--tail and --since-offset exclude each other", "leave one of them out")
    with connect(host, token, project, data) as client:
        logs.show(client, job_id, logs.Chosen(rank, stream, tail, since_offset), follow, as_json)


@app.command("stop")
def stop_jobs(
    job_ids: JobIds,
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """End jobs. What they have written so far stays.

    \b
    Example:
      ucloud-ray jobs stop 48920 48921
    """
    with connect(host, token, project, data) as client:
        client.jobs.stop(job_ids)
    _done(as_json, job_ids, "told to stop")


@app.command("extend")
def extend_job(
    job_id: JobId,
    by: Annotated[str, typer.Argument(metavar="TIME", help="How much longer: 30m, 2h.")],
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Give a job more time.

    \b
    Example:
      ucloud-ray jobs extend 48920 1h
    """
    requested = durations.delta(by)
    with connect(host, token, project, data) as client:
        client.jobs.extend(job_id, requested)
    _done(as_json, [job_id], f"has {by} more")


@app.command("suspend")
def suspend_jobs(
    job_ids: JobIds,
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Power virtual machines off, and keep them. Other jobs cannot be suspended.

    \b
    Example:
      ucloud-ray jobs suspend 48920
    """
    with connect(host, token, project, data) as client:
        client.jobs.suspend(job_ids)
    _done(as_json, job_ids, "told to power off")


@app.command("unsuspend")
def unsuspend_jobs(
    job_ids: JobIds,
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Power suspended virtual machines on.

    \b
    Example:
      ucloud-ray jobs unsuspend 48920
    """
    with connect(host, token, project, data) as client:
        client.jobs.unsuspend(job_ids)
    _done(as_json, job_ids, "told to power on")


@app.command("rename")
def rename_job(
    job_id: JobId,
    title: Annotated[str, typer.Argument(metavar="TITLE", help="The new title.")],
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Give a job another title.

    \b
    Example:
      ucloud-ray jobs rename 48920 "Second attempt"
    """
    with connect(host, token, project, data) as client:
        client.jobs.rename(job_id, title)
    _done(as_json, [job_id], f"is now called {title}")


@app.command("delete")
def delete_jobs(
    job_ids: JobIds,
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Remove the records of jobs from the orchestrator, for administrators. What still runs is stopped once the
    provider has found out; files stay, and so does what was charged.

    \b
    Example:
      ucloud-ray jobs delete 48920
    """
    with connect(host, token, project, data, admin=True) as client:
        client.jobs.delete(job_ids)
    _done(as_json, job_ids, "deleted")


app.command("shell")(shell)
app.command("queue")(queue)


# ------------------------------------------------------------------------------------------------- presentation


def _state(text: str) -> str:
    state = text.upper().replace("-", "_")
    if state not in complete.STATES:
        raise UsageMistake(f"there is no state '{text}'", f"choose from {', '.join(complete.STATES)}")
    return state


def _usage(client: Client, job_id: str) -> list[dict[str, Any]]:
    """Nothing, of a server that does not tell."""
    from ucloud_ray.client import Refused

    try:
        found: list[dict[str, Any]] = client.raw.jobs.handle(job_id).usage()
    except Refused:
        return []
    return found


def _row(job: Mapping[str, Any], waiting: Mapping[str, str]) -> tuple[object, ...]:
    specification = job["specification"]
    application = specification["application"]
    return (
        job["id"],
        job["status"]["state"],
        f"{application['name']}@{application['version']}",
        specification["product"]["id"],
        specification.get("replicas", 1),
        _clock(job.get("createdAt")),
        _why(job, waiting) or _last_words(job),
    )


def _facts(job: Mapping[str, Any]) -> list[tuple[str, object]]:
    specification, status = job["specification"], job["status"]
    application, product = specification["application"], specification["product"]
    started = status.get("startedAt")
    return [
        ("job", f"{job['id']} {specification.get('name') or ''}".rstrip()),
        ("state", output.state_text(status["state"])),
        ("application", f"{application['name']}@{application['version']}"),
        ("product", f"{product['id']} ({specification.get('replicas', 1)} node(s))"),
        ("owner", job["owner"]["createdBy"]),
        ("project", job["owner"].get("project")),
        ("created", _clock(job.get("createdAt"))),
        ("started", _clock(started) if started else None),
        ("time left", _time_left(status)),
        ("output", (job.get("output") or {}).get("outputFolder")),
    ]


def _time_left(status: Mapping[str, Any]) -> str | None:
    expires = status.get("expiresAt")
    if not expires or status["state"] != "RUNNING":
        return None
    return durations.show(int(expires - time.time() * 1000))


def _why(job: Mapping[str, Any], waiting: Mapping[str, str]) -> str | None:
    """Why it waits, if it does: as of now where the provider is on this machine, else as it was told last."""
    if job["status"]["state"] != "IN_QUEUE":
        return None
    told = _last_words(job)
    return waiting.get(job["id"]) or (told if told.startswith("Waiting for room") else None)


def _last_words(job: Mapping[str, Any]) -> str:
    words = [update.get("status") for update in job.get("updates") or [] if update.get("status")]
    return str(words[-1]) if words else ""


def _clock(timestamp: int | None) -> str:
    return f"{datetime.fromtimestamp(timestamp / 1000):%Y-%m-%d %H:%M:%S}" if timestamp else "-"


def _done(as_json: bool, job_ids: list[str], what: str) -> None:
    if as_json:
        output.show_json({"ids": job_ids})
    else:
        for job_id in job_ids:
            output.say(f"job {job_id} {what}")
