"""Where a client command connects to, and as whom: options, environment, else what `up` left in the data folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ucloud_ray.cli import state_file
from ucloud_ray.cli.errors import CliError, UsageMistake

if TYPE_CHECKING:
    from ucloud_ray.cli.api import Api


def connect(host: str | None, token: str | None, project: str | None, data: Path, admin: bool = False) -> Api:
    """`admin`: the token that is made for the local orchestrator may change the catalogue and see everybody's jobs.

    Raises `CliError` when nothing says where to connect to.
    """
    from ucloud_ray.cli.api import Api, Connection

    if host is not None and not host.startswith(("http://", "https://")):
        raise UsageMistake(f"'{host}' is no address", "write --host like http://127.0.0.1:8080")
    local = host is None
    address = host or local_url(data)
    if token is None and not local:
        raise CliError(f"no token for {address}", "set --token or $UCLOUD_RAY_TOKEN")
    return Api(Connection(address.rstrip("/"), token or _local_token(data, admin), project))


def local_url(data: Path) -> str:
    state = state_file.read(data)
    if state is None:
        raise CliError(
            f"nothing was started in {data}", "run `ucloud-ray up --detach`, or set --data, or --host and --token"
        )
    return state.orchestrator_url


def _local_token(data: Path, admin: bool) -> str:
    from ucloud_ray.cli.local_login import DEFAULT_USER, access_token

    return access_token(data, DEFAULT_USER, admin)
