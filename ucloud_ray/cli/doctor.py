"""`ucloud-ray doctor`: checks this machine, one line each with the remedy. `checks` holds what is checked."""

from __future__ import annotations

from typing import Annotated

import typer

from ucloud_ray.cli import checks, options, output


def doctor(
    config: options.Config = None,
    data: options.Data = options.DEFAULT_DATA,
    port: Annotated[int, typer.Option(metavar="N", help="Port that the orchestrator would use.")] = 8080,
    provider_port: Annotated[int, typer.Option(metavar="N", help="Port that the provider would use.")] = 8889,
    as_json: options.AsJson = False,
) -> None:
    """Check this machine: what can run jobs here, what cannot, and what to do about it.

    The exit status is 1 only if nothing here can run jobs.

    \b
    Example:
      ucloud-ray doctor
    """
    found = checks.all_checks(config, data, port, provider_port)
    usable = any(check.ok for check in found if check.runs_jobs)
    if as_json:
        output.show_json({"canRunJobs": usable, "checks": [check.as_json() for check in found]})
    else:
        for check in found:
            _show(check)
        if not usable:
            output.say("nothing here can run jobs; start with the lines marked 'fail'")
    raise typer.Exit(0 if usable else 1)


def _show(check: checks.Check) -> None:
    words = {True: ("ok", typer.colors.GREEN), False: ("fail", typer.colors.RED), None: ("info", typer.colors.YELLOW)}
    word, colour = words[check.ok]
    line = f"{typer.style(word.ljust(4), fg=colour)}  {check.name.ljust(15)} {check.detail}"
    typer.echo(f"{line}; {check.remedy}" if check.remedy else line)
