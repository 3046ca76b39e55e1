"""Who calls: verifies UCloud/Core's tokens (provider-api 2.1) and reads the acting user (2.2).

The Core signs the tokens that it gives *to* us with the same key, so subject and role are as important as the
signature.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

from ucloud_ray.provider.errors import Forbidden, Unauthenticated

ISSUER = "cloud.sdu.dk"
SUBJECT = "_UCloud"
ROLE = "SERVICE"
LEEWAY_SECONDS = 30.0
"""Clock skew between us and the Core that does no harm."""

_REQUIRED = ["exp", "iat", "iss", "sub"]


class InvalidPublicKey(ValueError):
    """The configured key is none; the text says what is expected."""


class TokenVerifier:
    """Judges `Authorization` headers with the public key that the Core showed at registration."""

    def __init__(self, public_key: str, leeway_seconds: float = LEEWAY_SECONDS) -> None:
        """`public_key`: base64 of the DER form as the Core shows it, or PEM. Raises `InvalidPublicKey`."""
        self._key = load_public_key(public_key)
        self._leeway = leeway_seconds

    def verify(self, authorization: str | None) -> None:
        """Return if it is the Core. Raises `Unauthenticated` (401) or `Forbidden` (403)."""
        scheme, _, token = (authorization or "").strip().partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise Unauthenticated(
                "This call needs the header 'Authorization: Bearer <token>' with a token of UCloud/Core"
            )
        self.verify_token(token.strip())

    def verify_token(self, token: str) -> None:
        """The same for a token without its header."""
        claims = self._claims(token)
        if claims.get("sub") != SUBJECT or claims.get("role") != ROLE:
            raise Forbidden("Only UCloud/Core itself may call a provider; this token belongs to someone else")

    def _claims(self, token: str) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                self._key,
                algorithms=["RS256"],
                issuer=ISSUER,
                leeway=self._leeway,
                # A Core whose clock is ahead of ours issues in our future; only the end of a token protects anything.
                options={"require": _REQUIRED, "verify_aud": False, "verify_iat": False},
            )
        except jwt.ExpiredSignatureError as error:
            raise Unauthenticated("The token has expired; get a new one and repeat the call") from error
        # Besides its own errors the library lets through what a damaged token makes of the standard library.
        except (jwt.PyJWTError, ValueError, TypeError, OverflowError) as error:
            raise Unauthenticated("The token is not a valid token of UCloud/Core for this provider") from error


def load_public_key(text: str) -> RSAPublicKey:
    """An RSA public key from PEM or from base64 of its DER form. Raises `InvalidPublicKey`."""
    try:
        if "-----BEGIN" in text:
            key = load_pem_public_key(text.strip().encode())
        else:
            key = load_der_public_key(base64.b64decode("".join(text.split()), validate=True))
    except (ValueError, binascii.Error, UnsupportedAlgorithm) as error:
        raise InvalidPublicKey(
            "The public key of UCloud/Core cannot be read. Expected is the base64 text that UCloud/Core shows when the "
            "provider is registered, or a PEM file that begins with '-----BEGIN PUBLIC KEY-----'"
        ) from error
    if not isinstance(key, RSAPublicKey):
        raise InvalidPublicKey(
            "The public key of UCloud/Core must be an RSA key, because its tokens are signed with RS256"
        )
    return key


def acting_user(header: str | None) -> str | None:
    """The user behind the call, from `ucloud-username` (base64 of UTF-8); None on calls of the Core itself.

    It may be another user than the owner of the job (O24). Only meaningful on a request whose token was verified.
    """
    if not header:
        return None
    try:
        return base64.b64decode(header, validate=True).decode()
    except ValueError:  # also what is not UTF-8
        return None
