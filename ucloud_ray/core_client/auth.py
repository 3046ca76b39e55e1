"""Access tokens: exchanged for the refresh token, renewed early, one renewal at a time (control-api 2.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import jwt

from ucloud_ray.core_client.errors import CoreAuthFailed, CoreRefused, CoreUnavailable
from ucloud_ray.settings import CoreSettings

_EARLY_SECONDS = 180.0
"""Both Cores renew when less remains (control-api 2.1)."""
_UNREADABLE_LIFETIME_SECONDS = 300.0
"""For tokens that do not say when they end; half of the shortest lifetime that is known."""

Exchange = Callable[[str], Awaitable[str]]
"""Refresh token -> access token. Raises `CoreUnavailable` or `CoreRefused`."""


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    renew_at: float
    ends_at: float


class AccessTokens:
    """Keeps one access token. `monotonic` is in seconds; the wall clocks of Core and provider need not agree."""

    def __init__(self, settings: CoreSettings, exchange: Exchange, monotonic: Callable[[], float]) -> None:
        self._settings = settings
        self._exchange = exchange
        self._monotonic = monotonic
        self._token: _Token | None = None
        self._renewing = asyncio.Lock()

    async def get(self, instead_of: str | None = None) -> str:
        """A token that is not `instead_of`, the one that the Core just refused.

        Raises `CoreAuthFailed`, or `CoreUnavailable` when a token is needed and the Core cannot be reached.
        """
        async with self._renewing:
            token = self._token
            if token is None or token.text == instead_of or self._monotonic() >= token.renew_at:
                token = await self._renewed(token, instead_of)
            return token.text

    async def _renewed(self, old: _Token | None, refused: str | None) -> _Token:
        try:
            text = await self._exchange(_refresh_token(self._settings))
        except CoreUnavailable:
            # Early renewal is a courtesy: what still works is used.
            if old is None or old.text == refused or self._monotonic() >= old.ends_at:
                raise
            return old
        except CoreRefused as error:
            raise CoreAuthFailed(
                f"UCloud/Core does not accept our refresh token ({error}). Check core.refreshToken and core.url."
            ) from None
        self._token = self._measured(text)
        return self._token

    def _measured(self, text: str) -> _Token:
        now, lifetime = self._monotonic(), _lifetime(text)
        # A lifetime shorter than the margin must not mean a renewal for every call.
        return _Token(text, now + lifetime - min(_EARLY_SECONDS, lifetime / 2), now + lifetime)


def _lifetime(text: str) -> float:
    """Seconds. From `iat` to `exp`, so that a clock that is wrong does no harm. Not verified: it is our own."""
    try:
        claims = jwt.decode(text, options={"verify_signature": False})
        return max(float(claims["exp"]) - float(claims["iat"]), 0.0)
    except (jwt.InvalidTokenError, KeyError, TypeError, ValueError):
        return _UNREADABLE_LIFETIME_SECONDS


def _refresh_token(settings: CoreSettings) -> str:
    # Read again each time: an operator may put a new one into the file while we run.
    if settings.refresh_token:
        return settings.refresh_token
    if settings.refresh_token_file is None:
        raise CoreAuthFailed("There is no refresh token. Set core.refreshToken or core.refreshTokenFile.")
    try:
        return settings.refresh_token_file.read_text().strip()
    except (OSError, UnicodeError) as error:
        raise CoreAuthFailed(f"The refresh token cannot be read from {settings.refresh_token_file}: {error}") from None
