"""Credentials without a running server: what `up` gives the provider and what `token` prints.

Both work on the files of the data folder (`keys`), so a token made here is accepted by the server of the same folder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ucloud_ray.orchestrator.keys import ProviderKeys, UserKey
from ucloud_ray.orchestrator.tokens import USER_LIFETIME_SECONDS, user_token


@dataclass(frozen=True, slots=True)
class Credentials:
    """What registration gives to a provider (control-api 11)."""

    refresh_token: str = field(repr=False)
    public_key_base64: str
    """DER SubjectPublicKeyInfo; verifies what we send."""


def bootstrap_credentials(data_dir: Path, provider_id: str = "example") -> Credentials:
    """Register the provider if that has not been done; the same answer every time."""
    keys = ProviderKeys(data_dir, provider_id)
    return Credentials(keys.refresh_token(), keys.public_base64)


def issue_user_token(
    data_dir: Path, username: str, *, admin: bool = False, lifetime_seconds: int = USER_LIFETIME_SECONDS
) -> str:
    """An access token of a user. `admin` allows to change the catalogue and to see everybody's jobs.

    Raises `ValueError` for a name that users cannot have.
    """
    if not username or username.startswith(("#P_", "_")) or "\0" in username:
        raise ValueError(f"{username!r} cannot be the name of a user")
    return user_token(UserKey(data_dir), username, admin=admin, lifetime=lifetime_seconds)
