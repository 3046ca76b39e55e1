"""Hashes of passwords, by argon2. Slow on purpose: called in threads."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from ucloud_ray.orchestrator.errors import BadRequest

SHORTEST, LONGEST = 8, 1024
_HASHER = PasswordHasher()
_NOBODYS = _HASHER.hash("of nobody")


def hashed(password: str) -> str:
    """Raises `BadRequest`."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise BadRequest(f"password: must have {SHORTEST} to {LONGEST} characters")
    return _HASHER.hash(password)


def is_right(kept: str | None, password: str) -> bool:
    """Without a hash it takes as long, so that nobody learns who there is."""
    try:
        return _HASHER.verify(kept or _NOBODYS, password[:LONGEST]) and kept is not None
    except (VerificationError, InvalidHashError):
        return False
