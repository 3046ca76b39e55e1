"""Which login goes with which image (ENV-55). Called by `driver` for each attempt at a pull.

Only the configured logins count, never those of the user that runs this process. A password in a file is read each
time, on the machine that pulls: a new one needs no restart.
"""

from __future__ import annotations

from collections.abc import Iterable

from runtimes.docker.pull_errors import short
from runtimes.errors import ImageUnavailable
from runtimes.settings import RegistryLogin

DEFAULT_HOST = "docker.io"
_ITS_NAMES = frozenset({DEFAULT_HOST, "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"})


def registry_of(reference: str) -> str:
    """Host, perhaps with port, as Docker reads a name: without a dot, a colon or `localhost` it is a part of a path."""
    first, slash, _ = reference.partition("/")
    is_host = bool(slash) and ("." in first or ":" in first or first == "localhost")
    return _usual(first) if is_host else DEFAULT_HOST


def login_for(reference: str, logins: Iterable[RegistryLogin]) -> dict[str, str]:
    """What Docker wants to know; empty without a login. Raises `errors.ImageUnavailable` if a file is not there."""
    login = _find(reference, logins)
    if login is None or login.username is None:
        return {}
    return {"username": login.username, "password": _password(reference, login), "serveraddress": login.host}


def has_login(reference: str, logins: Iterable[RegistryLogin]) -> bool:
    login = _find(reference, logins)
    return login is not None and login.username is not None


def _find(reference: str, logins: Iterable[RegistryLogin]) -> RegistryLogin | None:
    wanted = registry_of(reference)
    return next((login for login in logins if _usual(login.host) == wanted), None)


def _password(reference: str, login: RegistryLogin) -> str:
    if login.password_file is None:
        return login.password or ""
    try:
        return login.password_file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ImageUnavailable(
            f"The image {short(reference)} could not be fetched: the machine cannot read the password for its registry;"
            " its operator must put it there.",
            retryable=True,
        ) from error


def _usual(host: str) -> str:
    lower = host.lower()
    return DEFAULT_HOST if lower in _ITS_NAMES else lower
