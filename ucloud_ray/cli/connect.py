"""The client of a command: where it connects to, and as whom.

Options say it, the environment, or else what `up` left in the data folder. What the client raises leaves here as a
`CliError` with what to do about it on a command line.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ucloud_ray.cli import state_file
from ucloud_ray.cli.errors import CliError, UsageMistake

if TYPE_CHECKING:
    from ucloud_ray.client import Client, ClientError, Mistake

LISTS = {"application": "ucloud-ray apps list", "product": "ucloud-ray products"}
"""Which command lists the values of a kind."""


@contextmanager
def connect(
    host: str | None, token: str | None, project: str | None, data: Path, admin: bool = False
) -> Iterator[Client]:
    """`admin`: the token that is made for the local orchestrator may change the catalogue and see everybody's jobs.

    Raises `CliError`, also for what the client raises inside of the `with`.
    """
    from ucloud_ray.client import ClientError, Retry

    # Somebody waits at the keyboard: an address where nobody is gets no second chance.
    client = client_of(host, token, project, data, admin, retry=Retry(when_unreached=False))
    try:
        with client:
            yield client
    except ClientError as error:
        raise explained(error, client.url) from error


def client_of(
    host: str | None, token: str | None, project: str | None, data: Path, admin: bool = False, **how: Any
) -> Client:
    """`how`: of the client. Raises `CliError`."""
    from ucloud_ray.client import Client, local, logins

    if host is not None and not host.startswith(("http://", "https://")):
        raise UsageMistake(f"'{host}' is no address", "write --host like http://127.0.0.1:8080")
    url = (host or local_url(data)).rstrip("/")
    if token is None and (refresh_token := logins.kept(url)) is not None and not (admin and host is None):
        return Client(url, refresh_token=refresh_token, project=project, **how)
    if token is None and host is not None:
        raise CliError(f"no token for {url}", "log in with `ucloud-ray login`, or set --token or $UCLOUD_RAY_TOKEN")
    make = partial(local.access_token, data, local.DEFAULT_USER, admin) if token is None else None
    return Client(url, token or "", make_token=make, project=project, **how)


def local_url(data: Path) -> str:
    state = state_file.read(data)
    if state is None:
        raise CliError(
            f"nothing was started in {data}", "run `ucloud-ray up --detach`, or set --data, or --host and --token"
        )
    return state.orchestrator_url


def token_of(data: Path, user: str, admin: bool) -> str:
    """An access token of the local orchestrator. Raises `CliError`."""
    from ucloud_ray.client import ClientError, local

    try:
        return local.access_token(data, user, admin)
    except ClientError as error:
        raise explained(error, str(data)) from error


def explained(error: ClientError, address: str) -> CliError:
    """The same for a command line."""
    from ucloud_ray import client

    match error:
        case client.Mistake():
            return UsageMistake(error.message, error.remedy or _where_to_look(error))
        case client.NotLoggedIn():
            return CliError(
                f"{address} does not accept the token (it may have expired)",
                "log in again with `ucloud-ray login`, get a new one with `ucloud-ray token`, or correct --token",
            )
        case client.Unreachable():
            return CliError(str(error), "start it with `ucloud-ray up`, or correct --host")
        case client.AnswerLost():
            return CliError(str(error), "see `ucloud-ray jobs list`")
        case client.NoMachine():
            return CliError(str(error), "see `ucloud-ray doctor` for the reason")
        case client.StrangeAnswer():
            return CliError(str(error), "correct --host")
    return CliError(str(error))


def _where_to_look(mistake: Mistake) -> str:
    return f"see `{LISTS[mistake.about]}`" if mistake.about in LISTS else ""
