"""The access token that requests carry, and where the next one comes from. Called by `session`.

A refresh token of UCloud/Core, or a function that makes tokens (`local`), renews it before it expires; without either
the token is used as long as the server takes it.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

RENEW_BELOW_SECONDS = 180.0
"""What UCloud's own services keep in hand. Tokens for less than twice as long are renewed half way."""


@dataclass(slots=True)
class Credentials:
    token: str = field(default="", repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    make: Callable[[], str] | None = field(default=None, repr=False)
    """Makes an access token on this machine; may raise `ClientError`."""
    now: Callable[[], float] = time.time

    @property
    def renewable(self) -> bool:
        return self.refresh_token is not None or self.make is not None

    @property
    def due(self) -> bool:
        """Whether another one should be had before the next request."""
        return self.renewable and (not self.token or self.now() > renewal(self.token))


def renewal(token: str) -> float:
    """When a JWT should be renewed, by its unverified claims: it is our own. Never, of any other token."""
    claims = _claims(token)
    try:
        expires = float(claims["exp"])
        lifetime = expires - float(claims.get("iat", 0))
    except (KeyError, TypeError, ValueError):
        return float("inf")
    return expires - min(RENEW_BELOW_SECONDS, lifetime / 2)


def _claims(token: str) -> dict[str, Any]:
    try:
        part = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
