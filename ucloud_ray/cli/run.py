"""`ucloud-ray run`: submits a job, shows its states and output live, and ends as the job ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from ucloud_ray.cli import durations, names, options, output, values
from ucloud_ray.cli.connect import connect
from ucloud_ray.cli.errors import CliError, UsageMistake

if TYPE_CHECKING:
    from ucloud_ray.cli.api import Api
    from ucloud_ray.cli.follow import OutputSeen, Place


def run(
    application: Annotated[str, typer.Argument(metavar="APP", help="APP or APP@VERSION; the newest if none is named.")],
    parameters: Annotated[list[str] | None, typer.Argument(metavar="NAME=VALUE", help="Its parameters.")] = None,
    product: Annotated[str | None, typer.Option(metavar="P", help="Machine type; else the first that fits.")] = None,
    nodes: Annotated[int, typer.Option(metavar="N", min=1, help="Number of nodes.")] = 1,
    time: Annotated[str | None, typer.Option(metavar="TIME", help="Ends the job after 30s, 45m, 1h30m, 2d.")] = None,
    name: Annotated[str | None, typer.Option(metavar="TITLE", help="Title of the job.")] = None,
    mount: Annotated[list[str] | None, typer.Option(metavar="DRIVE/PATH", help="Folder to see; repeatable.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Print the job's id and do not follow it.")] = False,
    as_json: options.AsJson = False,
    host: options.Host = None,
    token: options.Token = None,
    project: options.Project = None,
    data: options.Data = options.DEFAULT_DATA,
) -> None:
    """Submit a job and follow it to its end.

    States go to standard error, the job's output to standard output. The exit status is 0 if the job ended in SUCCESS
    and 1 otherwise. Ctrl-C stops following; the job goes on.

    \b
    Examples:
      ucloud-ray run a-batch-application var=Example
      ucloud-ray run a-batch-application@1.0.0 var=Example --product example-small --time 1h --detach
    """
    with connect(host, token, project, data) as api:
        specification = _specification(api, application, parameters or [], product)
        specification |= {"replicas": nodes, "name": name, "timeAllocation": durations.parse(time) if time else None}
        specification["resources"] = [_mount(path) for path in mount or []]
        job_id = api.create(specification)
        if detach:
            _show_id(job_id, as_json)
            return
        output.say(f"job {job_id}: {specification['application']['name']} on {specification['product']['id']}")
        follow_to_the_end(api, job_id, as_json)


def follow_to_the_end(
    api: Api,
    job_id: str,
    as_json: bool,
    wants: Callable[[OutputSeen], bool] = lambda _: True,
    begin: Mapping[Place, int] | None = None,
) -> NoReturn:
    """Show everything until the job is final; leave with status 1 unless it succeeded.

    `wants`: whether some output is shown. `begin`: byte offsets of streams whose past is not.
    """
    from ucloud_ray.cli.follow import Follower, OutputSeen
    from ucloud_ray.cli.screen import Screen

    follower, screen = Follower(api, job_id, begin), Screen()
    try:
        for seen in follower.until_final():
            if not as_json and (not isinstance(seen, OutputSeen) or wants(seen)):
                screen.show(seen)
    except KeyboardInterrupt:
        output.say(
            f"\njob {job_id} goes on; stop it with `ucloud-ray jobs stop {job_id}`,"
            f" follow it with `ucloud-ray jobs logs -f {job_id}`"
        )
        raise typer.Exit(1) from None
    if as_json:
        output.show_json(api.job(job_id))
    raise typer.Exit(0 if follower.state == "SUCCESS" else 1)


def _show_id(job_id: str, as_json: bool) -> None:
    if as_json:
        output.show_json({"id": job_id})
    else:
        typer.echo(job_id)


# ----------------------------------------------------------------------------------------------- specification


def _specification(api: Api, application: str, words: Sequence[str], product: str | None) -> dict[str, Any]:
    app = find_application(api, application)
    metadata, invocation = app["metadata"], app["invocation"]
    given = values.typed_values(words, invocation.get("parameters") or [], metadata["name"])
    backend = invocation["tool"]["tool"]["description"].get("backend") or "DOCKER"
    return {
        "application": {"name": metadata["name"], "version": metadata["version"]},
        "parameters": given,
        "product": _choose_product(api.supported_products(), product, backend),
        "allowDuplicateJob": True,
    }


def find_application(api: Api, wanted: str) -> dict[str, Any]:
    """`NAME` or `NAME@VERSION`. Raises `UsageMistake` with the nearest name."""
    name, _, version = wanted.partition("@")
    known = [entry["metadata"] for entry in api.applications()]
    versions = [entry["version"] for entry in known if entry["name"] == name]
    if not versions:
        near = names.hint(name, [entry["name"] for entry in known], "ucloud-ray apps list")
        raise UsageMistake(f"there is no application '{name}'", near)
    return api.application(name, version or versions[0])


def _choose_product(supported: Sequence[Mapping[str, Any]], wanted: str | None, backend: str) -> dict[str, str]:
    fitting = [entry["product"] for entry in supported if _runs(entry, backend)]
    named = [product for product in fitting if wanted in (None, product["name"], _reference_text(product))]
    if named:
        return _reference(named[0])
    if wanted is None:
        raise CliError(f"no machine can run this application ({backend})", "see `ucloud-ray doctor` for the reason")
    if any(wanted in (entry["product"]["name"], _reference_text(entry["product"])) for entry in supported):
        raise CliError(f"'{wanted}' cannot run this application ({backend})", "see `ucloud-ray doctor` for the reason")
    known = [entry["product"]["name"] for entry in supported]
    raise UsageMistake(f"there is no machine type '{wanted}'", names.hint(wanted, known, "ucloud-ray products"))


def _runs(entry: Mapping[str, Any], backend: str) -> bool:
    key = {"DOCKER": "docker", "NATIVE": "native", "VIRTUAL_MACHINE": "virtualMachine"}.get(backend, "docker")
    return bool((entry["support"].get(key) or {}).get("enabled"))


def _reference(product: Mapping[str, Any]) -> dict[str, str]:
    category = product["category"]
    return {"id": product["name"], "category": category["name"], "provider": category["provider"]}


def _reference_text(product: Mapping[str, Any]) -> str:
    return "/".join(_reference(product).values())


def _mount(path: str) -> dict[str, Any]:
    return {"type": "file", "path": f"/{path.strip('/')}", "readOnly": False}
