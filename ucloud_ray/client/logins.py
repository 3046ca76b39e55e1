"""Logging in with a password, and where the command line keeps what it was given for it: refresh tokens by address.

$XDG_CONFIG_HOME/ucloud-ray/logins.json, readable by its user only
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from ucloud_ray.client.errors import ClientError, StrangeAnswer, Unreachable, refused

SECONDS = 30.0


def log_in(url: str, username: str, password: str) -> str:
    """The refresh token. Raises `ClientError`."""
    content = _post(f"{url}/auth/login", json_body={"username": username, "password": password})
    token = content.get("refreshToken")
    if not isinstance(token, str) or not token:
        raise StrangeAnswer(f"{url} gives no refresh token")
    return token


def log_out(url: str, refresh_token: str) -> None:
    """Its tokens are of no use afterwards. Raises `ClientError`."""
    _post(f"{url}/auth/logout", bearer=refresh_token)


def kept(url: str) -> str | None:
    """The refresh token for that address."""
    token = _read().get(url)
    return token if isinstance(token, str) else None


def keep(url: str, refresh_token: str | None) -> None:
    """None: forget it. Raises `ClientError`."""
    logins = {**_read(), url: refresh_token}
    content = json.dumps({where: token for where, token in logins.items() if token}, indent=2)
    file = _file()
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = file.with_suffix(".new")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as opened:
            opened.write(content)
        fresh.replace(file)
    except OSError as error:
        raise ClientError(f"the log-in cannot be kept in {file}: {error.strerror}") from error


def _file() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "ucloud-ray" / "logins.json"


def _read() -> dict[str, Any]:
    try:
        found = json.loads(_file().read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _post(url: str, json_body: Any = None, bearer: str = "") -> dict[str, Any]:
    import httpx

    headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
    try:
        answer = httpx.post(url, json=json_body, headers=headers, timeout=SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Unreachable(f"nothing answers at {url}") from error
    try:
        content = answer.json() if answer.content else {}
    except ValueError:
        content = None
    if not answer.is_success:
        raise refused(answer.status_code, content, answer.reason_phrase)
    if not isinstance(content, dict):
        raise StrangeAnswer(f"{url} does not answer like UCloud/Core")
    return content
