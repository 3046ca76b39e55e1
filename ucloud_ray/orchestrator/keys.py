"""The secrets of the orchestrator, as files that only its user can read.

    <dataDir>/orchestrator/user-tokens.key              signs tokens of end users
    <dataDir>/orchestrator/providers/<id>/private.pem   RS256 key pair of one provider, both directions
    <dataDir>/orchestrator/providers/<id>/refresh       what the provider is configured with
    <dataDir>/orchestrator/providers/<id>/refresh.sha256  what the server compares with

Each is made once, on first use, by whichever process comes first (`up`, `token` or the server), and then kept. The
server never reads `refresh`: it may be deleted once the provider has it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

RSA_BITS = 2048


class UserKey:
    """Secret for HS512 tokens of end users."""

    def __init__(self, data_dir: Path) -> None:
        self.secret = kept(_root(data_dir) / "user-tokens.key", lambda: secrets.token_bytes(64))


class ProviderKeys:
    """Key pair and refresh token of one provider. Makes them if they are not there."""

    def __init__(self, data_dir: Path, provider_id: str) -> None:
        self._folder = _root(data_dir) / "providers" / checked_name(provider_id)
        pem = kept(self._folder / "private.pem", _new_private_key)
        key = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError(f"{self._folder / 'private.pem'} is not an RSA key; delete it to get a new one")
        self.private = key
        self.public = key.public_key()
        self._digest = kept(self._folder / "refresh.sha256", self._new_digest)

    @property
    def public_base64(self) -> str:
        """DER SubjectPublicKeyInfo in base64, as UCloud shows it to the owner of a provider."""
        der = self.public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return base64.b64encode(der).decode()

    def refresh_token(self) -> str:
        """For configuring the provider. Raises `FileNotFoundError` when the operator has deleted it."""
        return (self._folder / "refresh").read_text()

    def is_refresh_token(self, token: str) -> bool:
        return hmac.compare_digest(_digest(token.encode()), self._digest)

    def _new_digest(self) -> bytes:
        return _digest(kept(self._folder / "refresh", lambda: secrets.token_urlsafe(48).encode()))


def kept(path: Path, make: Callable[[], bytes]) -> bytes:
    """Content of a secret file, made on first use. Two processes that make it at once agree on one content."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    _write_private(draft, make())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass  # another process was first; its content counts
    finally:
        draft.unlink()
    return path.read_bytes()


def checked_name(provider_id: str) -> str:
    """The id as a folder name. Raises `ValueError` for what could leave the folder."""
    if not provider_id or not all(letter.isalnum() or letter in "-_." for letter in provider_id):
        raise ValueError(f"provider id {provider_id!r}: only letters, digits, '-', '_' and '.' are allowed")
    if set(provider_id) == {"."}:
        raise ValueError(f"provider id {provider_id!r} is not a name")
    return provider_id


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _new_private_key() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).hexdigest().encode()


def _root(data_dir: Path) -> Path:
    return data_dir / "orchestrator"
