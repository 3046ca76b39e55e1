"""Who a task is inside its container, and whether it may be that (ENV-34, ENV-35). Called by `launch` and `driver`.

`users` knows what an image says; this file adds the task's wish, the operator's policy and the machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from runtimes.docker import image_files, users
from runtimes.docker.client import DockerClient
from runtimes.docker.host import HostFacts
from runtimes.docker.users import AS_ROOT, RunsAs
from runtimes.errors import InvalidTask, StartFailed
from runtimes.settings import DockerSettings
from runtimes.types import TaskSpec


def runs_as(
    client: DockerClient, settings: DockerSettings, host: HostFacts, spec: TaskSpec, image: Mapping[str, Any]
) -> RunsAs:
    """The user, with the group that job folders belong to. `image`: the answer of "inspect image".

    Raises `errors.InvalidTask`, `errors.StartFailed`, and what looking into the image raises. Blocks.
    """
    return _in_job_group(_user(client, settings, host, spec, image), settings.job_user, host)


def _user(
    client: DockerClient, settings: DockerSettings, host: HostFacts, spec: TaskSpec, image: Mapping[str, Any]
) -> RunsAs:
    if spec.run_as_root:
        require_root_allowed(settings, host)
        return AS_ROOT
    if spec.user is not None:
        return RunsAs(*spec.user)
    user = str((image.get("Config") or {}).get("User") or "")
    accounts = users.Accounts()
    if users.needs_accounts(user):
        accounts = image_files.accounts(client, settings.state_dir, image)
    who = users.of_image(str(spec.image), user, accounts)
    users.refuse_root(str(spec.image), who)
    return who


def require_root_allowed(settings: DockerSettings, host: HostFacts) -> None:
    """Raises `errors.InvalidTask`: by the operator's policy, or because nothing here could confine root."""
    if settings.container_root == "never":
        raise InvalidTask("The application wants to run as root, which this provider does not allow.")
    if host.remapped_root is None and settings.container_root == "remapped":
        raise InvalidTask(
            "The application wants to run as root, which this provider only allows on machines that map root to another"
            " user, and this is none of them."
        )
    if host.remapped_root is None and not host.seccomp:
        raise InvalidTask("The application wants to run as root, which cannot be confined on this machine.")


def _in_job_group(who: RunsAs, owner: tuple[int, int] | None, host: HostFacts) -> RunsAs:
    """A job folder is writable for its group, whoever the image's user is."""
    if owner is None:
        return who
    group = host.group_inside(owner[1])
    if group is None:
        raise StartFailed(
            "Docker on this machine maps users in a way in which no container can write to its job folder: its operator"
            f" must map root to {owner[0]}."
        )
    return who if group in (who.gid, *who.groups) else replace(who, groups=(*who.groups, group))
