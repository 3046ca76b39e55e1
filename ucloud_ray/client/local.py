"""The installation that `ucloud-ray up` runs on this machine: where it answers, and access tokens from its key.

Whoever can read the data folder may log in as anybody. Called by `environment`, and by the command line.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

from ucloud_ray.client.errors import ClientError, Mistake

DEFAULT_DATA = Path("ucloud-ray-data")
DEFAULT_USER = "user"
"""The user of the mission document's examples."""
STATE_FILE = "up.json"
KEY_FILE = Path("orchestrator", "user-tokens.key")
ISSUER = "cloud.sdu.dk"
LIFETIME_SECONDS = 24 * 3600


def address(data: Path) -> str:
    """Of the orchestrator. Raises `ClientError` when nothing was started there."""
    try:
        told = json.loads((data / STATE_FILE).read_text())["orchestratorUrl"]
    except (OSError, ValueError, KeyError, TypeError):
        told = None
    if not isinstance(told, str):
        raise ClientError(f"nothing was started in {data}; run `ucloud-ray up --detach`, or say where UCloud/Core is")
    return told


def access_token(data: Path, user: str = DEFAULT_USER, admin: bool = False) -> str:
    """As `ucloud-ray token` prints it: the orchestrator of the same folder accepts it.

    `admin`: may change the catalogue and see everybody's jobs. Raises `ClientError`.
    """
    import jwt  # only here: whoever has a token needs no such library

    if not user or user.startswith(("#P_", "_")) or "\0" in user:
        raise Mistake(f"{user!r} cannot be the name of a user", "choose another")
    now = int(time.time())
    claims = {
        "sub": user,
        "role": "ADMIN" if admin else "USER",
        "principalType": "password",
        "aud": ["all:write"],
        "iss": ISSUER,
        "iat": now,
        "exp": now + LIFETIME_SECONDS,
    }
    return jwt.encode(claims, _key(data), algorithm="HS512")


def _key(data: Path) -> bytes:
    try:
        return (data / KEY_FILE).read_bytes()
    except FileNotFoundError:
        raise ClientError(f"{data} holds no orchestrator; run `ucloud-ray up` first, or name another folder") from None
    except OSError as error:
        raise ClientError(f"{error.filename} cannot be read ({error.strerror}); run as the user of `up`") from error
