"""`ucloud-ray up` and `down`: the embedded default on one machine, in the foreground or left running.

`embedded` says what the parts are, `minder` keeps them running; here is only what the user sees of it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from ucloud_ray.cli import minder, options, orphans, output, parts, state_file
from ucloud_ray.cli.errors import CliError

DETACH_SECONDS = 58.0
"""`--detach` has said what is wrong by then, whatever it is."""
DOWN_SECONDS = 60.0
PREFIX = "ucloud-ray: "
"""How `main.run` starts an error."""


def up(
    config: options.Config = None,
    data: options.Data = options.DEFAULT_DATA,
    port: Annotated[int, typer.Option(metavar="N", help="Port of the orchestrator; 0 takes any free one.")] = 8080,
    provider_port: Annotated[int, typer.Option(metavar="N", help="Port of the provider; 0 as well.")] = 8889,
    ray_address: Annotated[
        str, typer.Option(metavar="ADDRESS", help="A Ray cluster that runs; `local` starts one here.")
    ] = "local",
    host: Annotated[
        str | None, typer.Option("--host", metavar="NAME", help="Name of this machine in the cluster; else its own.")
    ] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when everything answers; leave it running.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Start everything on this machine: Ray, provider, orchestrator, with its data in one folder.

    Started again on the same data it takes over the jobs that still run.

    \b
    Examples:
      ucloud-ray up
      ucloud-ray up --detach --data /srv/ucloud-ray --port 0 --provider-port 0
      ucloud-ray up --ray-address 10.0.0.1:6379 --config ucloud-ray.yaml
    """
    data = data.resolve()
    if detach:
        _up_detached(data, as_json)
    else:
        from ucloud_ray.cli import embedded

        embedded.run(data, config, port, provider_port, ray_address, host or socket.gethostname())


def _up_detached(data: Path, as_json: bool) -> None:
    """Start this very command again without `--detach`, as a process that outlives us, and wait for its word."""
    _refuse_second(data)
    logs_dir = data / "logs-of-services"
    logs_dir.mkdir(parents=True, exist_ok=True)
    log_file = logs_dir / "minder.log"
    arguments = [argument for argument in sys.argv[1:] if argument != "--detach"]
    with log_file.open("wb") as log:
        child = subprocess.Popen(
            [*parts.python_command(), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _show(_wait_until_ready(child, data, log_file), data, as_json)


def _refuse_second(data: Path) -> None:
    os.close(minder.lock(data))


def _wait_until_ready(child: subprocess.Popen[bytes], data: Path, log_file: Path) -> state_file.UpState:
    """Raises `CliError` with what went wrong; if time allows, once everything is stopped again."""
    deadline = time.monotonic() + DETACH_SECONDS
    failure = ""
    while time.monotonic() < deadline:
        ended = child.poll() is not None
        state = state_file.read(data)
        if state is not None and state.minder.pid == child.pid:
            failure = state.failure
            if state.ready and not ended:
                return state
        if ended:
            raise CliError(failure or _last_words(log_file))
        time.sleep(0.1)
    child.terminate()
    raise CliError(failure or f"nothing answered within {DETACH_SECONDS:.0f} s; see {log_file}")


def _last_words(log_file: Path) -> str:
    """The error that the minder ended with, which may be followed by the last lines of a part's log."""
    lines = parts.tail(log_file, 20)
    starts = [number for number, line in enumerate(lines) if line.startswith(PREFIX)]
    message = "\n".join(lines[starts[-1] if starts else 0 :]).removeprefix(PREFIX)
    return message or f"it ended without a word; see {log_file}"


def _show(state: state_file.UpState, data: Path, as_json: bool) -> None:
    if as_json:
        output.show_json({"orchestratorUrl": state.orchestrator_url, "providerUrl": state.provider_url})
        return
    output.say(f"orchestrator  {state.orchestrator_url}")
    output.say(f"provider      {state.provider_url}")
    where = "" if data == options.DEFAULT_DATA.resolve() else f" --data {data}"
    output.say(f"try           ucloud-ray run a-batch-application var=Example{where}")


# --------------------------------------------------------------------------------------------------------- down


def down(
    data: options.Data = options.DEFAULT_DATA,
    stop_jobs: Annotated[bool, typer.Option("--stop-jobs", help="End all jobs first; without it they go on.")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Stop what `up` started. Jobs go on and are taken over by the next `up`, unless --stop-jobs.

    \b
    Examples:
      ucloud-ray down
      ucloud-ray down --stop-jobs --data /srv/ucloud-ray
    """
    data = data.resolve()
    state = state_file.read(data)
    running = state is not None and _running(state)
    if state is not None and running:
        if stop_jobs:
            from ucloud_ray.cli.stop_jobs import stop_all_jobs

            stop_all_jobs(data)
        _stop(state)
        if stop_jobs:
            _remove_network(data)
    if as_json:
        output.show_json({"stopped": running})
    else:
        output.say("stopped" if running else f"nothing runs on {data}")


def _remove_network(data: Path) -> None:
    """What containers used to talk to each other; there are none any more."""
    from runtimes.errors import DriverError
    from ucloud_ray import bootstrap
    from ucloud_ray.cli.embedded import EFFECTIVE_FILE
    from ucloud_ray.cli.settings_of import read_settings

    settings = read_settings(data / EFFECTIVE_FILE)
    try:
        bootstrap.remove_network(settings)
    except DriverError as problem:
        output.say(f"the network of the containers is left on this machine: {problem.message}")


def _running(state: state_file.UpState) -> bool:
    return state.minder.alive() or any(mark.alive() for mark in state.parts.values())


def _stop(state: state_file.UpState) -> None:
    if state.minder.alive():
        state.minder.terminate(DOWN_SECONDS)
    orphans.stop_orphans(state)
