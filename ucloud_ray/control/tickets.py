"""Signed permissions (D8). Most are short-lived, made by the supervisor and spent at a relay beside a replica; those of
web pages and desktops are looked at by the supervisor itself each time, and live as long as their job runs (W8).

A ticket names one job and one purpose and dies after its time; an open connection is not cut by that. The key never
leaves the cluster: the supervisor keeps it in the store and hands it to the relays.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time

LIFETIME_SECONDS = 60.0
"""Between making a ticket and opening the connection."""


class BadTicket(Exception):
    """Forged, expired, or for something else."""


def make(key: bytes, purpose: str, uid: str, now: float | None = None, lifetime: float = LIFETIME_SECONDS) -> str:
    """URL-safe text of at least 256 bits that nobody without the key can make."""
    expires = (time.time() if now is None else now) + lifetime
    body = json.dumps([purpose, uid, expires, secrets.token_hex(16)]).encode()
    return _text(body) + "." + _text(_signature(key, body))


def check(key: bytes, ticket: str, purpose: str, now: float | None = None) -> str:
    """The uid that the ticket is for. Raises `BadTicket`; the comparison takes constant time (IS-3)."""
    try:
        body_text, signature_text = ticket.split(".")
        body, signature = _bytes(body_text), _bytes(signature_text)
    except ValueError:
        raise BadTicket("not a ticket") from None
    if not hmac.compare_digest(signature, _signature(key, body)):
        raise BadTicket("not signed by this cluster")
    for_purpose, uid, expires, _ = json.loads(body)
    if for_purpose != purpose:
        raise BadTicket("for another purpose")
    if expires < (time.time() if now is None else now):
        raise BadTicket("expired")
    return str(uid)


def _signature(key: bytes, body: bytes) -> bytes:
    return hmac.new(key, body, hashlib.sha256).digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text.encode() + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
