"""What a container has without having been given it: variables and programs of its image. Called by `launch`."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from runtimes import variables
from runtimes.docker import image_files, users
from runtimes.docker.client import DockerClient
from runtimes.docker.spec import ETC
from runtimes.docker.users import RunsAs
from runtimes.errors import InvalidTask, TaskNotFound
from runtimes.settings import DockerSettings
from runtimes.types import TaskSpec, VariableRef

SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Docker's own, where the image has none."""
_HOME = "HOME"


def resolved(
    client: DockerClient, settings: DockerSettings, spec: TaskSpec, image: Mapping[str, Any], user: RunsAs
) -> TaskSpec:
    """The task without references (INV-16). `image`: the answer of "inspect image". Asks the daemon for nothing more,
    unless the home of an account of the image is wanted."""
    if not variables.has_references(spec):
        return spec
    inherited = variables_of(image) | {"HOSTNAME": spec.hostname}
    if _HOME not in inherited and _wants(spec, _HOME):
        accounts = image_files.accounts(client, settings.state_dir, image)
        inherited[_HOME] = users.home(user.uid, accounts)
    return variables.resolve(spec, inherited, ETC)


def variables_of(image: Mapping[str, Any]) -> dict[str, str]:
    given = (image.get("Config") or {}).get("Env") or ()
    named = (variable.partition("=") for variable in given)
    return {"PATH": SEARCH_PATH} | {name: value for name, _, value in named}


def command_of(image: Mapping[str, Any]) -> tuple[str, ...]:
    """What runs if nobody says anything else."""
    config = image.get("Config") or {}
    return (*(config.get("Entrypoint") or ()), *(config.get("Cmd") or ()))


def _wants(spec: TaskSpec, name: str) -> bool:
    return VariableRef(name) in spec.argv or name in spec.references.values()


def require_program(client: DockerClient, container: str, spec: TaskSpec, path: str) -> None:
    """Look for `spec.requires` in a container that does not run yet. `path`: its search path.

    Raises `errors.InvalidTask`.
    """
    if spec.requires is None or any(_has(client, container, folder, spec.requires) for folder in path.split(":")):
        return
    raise InvalidTask(f"The application needs the program {spec.requires}, which the image {spec.image} does not have.")


def _has(client: DockerClient, container: str, folder: str, program: str) -> bool:
    try:
        client.archive(container, posixpath.join(folder or "/", program), 1)
    except TaskNotFound:
        return False
    return True
