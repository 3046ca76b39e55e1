"""What the daemon says when it cannot fetch an image: whether another try may help, and the same in words for users.

Called by `fetch`. The daemon has one status code for nearly everything, so its words decide. What is told names the
image and the kind of trouble and nothing of our network. Words that are not known count as passing: the time for
passing trouble is bounded (ENV-55).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum

from runtimes.errors import ImageUnavailable

_NAME_LENGTH = 100
_ADDRESS = re.compile(r'"https?://[^"]*"')
_NOT_THERE = "the registry has no such image"
_NO_LOGIN = "it does not exist, or the registry wants a login for it"
_LOGIN_REFUSED = "the registry refuses the login that this provider has for it, or has no such image"
_NOT_AN_IMAGE = "what the registry has under this name is not an image for containers"
_DAMAGED = "one of its layers is damaged"
_FOREIGN = "it is not made for this type of machine"
_UNTRUSTED = "the connection to the registry is not secure, which must be allowed or repaired by the operator"

_FULL_DISK = ("no space left", "disk quota exceeded")
_LOGIN = ("denied", "unauthorized", "authentication required", "no basic auth credentials", "http 401", "http 403")
_PERMANENT = {
    "invalid reference format": "that is not a name of an image",
    "invalid tag format": "that is not a name of an image",
    "no matching manifest": _FOREIGN,
    "cannot be used on this platform": _FOREIGN,
    "manifest unknown": _NOT_THERE,
    "blob unknown": _NOT_THERE,
    "http 404": _NOT_THERE,
    "not found": _NOT_THERE,
    "does not exist": _NOT_THERE,
    "invalid character": _NOT_AN_IMAGE,
    "mediatype in manifest": _NOT_AN_IMAGE,
    "missing signature key": _NOT_AN_IMAGE,
    "unsupported media type": _NOT_AN_IMAGE,
    "unsupported manifest": _NOT_AN_IMAGE,
    "encountered remote": _NOT_AN_IMAGE,
    "archive/tar": _DAMAGED,
    "gzip: invalid": _DAMAGED,
    "server gave http response to https client": _UNTRUSTED,
    "x509": _UNTRUSTED,
    "certificate": _UNTRUSTED,
}
_PASSING = {
    "toomanyrequests": "the registry limits how often images may be fetched",
    "http 429": "the registry limits how often images may be fetched",
    "no such host": "there is no registry of this name at the moment",
    "unexpected http status": "the registry has trouble of its own",
    "verification failed": "it arrives damaged",
}
_NO_ANSWER = "the registry does not answer"


class Trouble(Enum):
    PASSING = "passing"
    """The registry or the way to it: worth another try (ENV-55)."""
    PERMANENT = "permanent"
    MACHINE = "machine"
    """This machine cannot take it; another one may."""


def is_full_disk(words: str) -> bool:
    """Whether the daemon has no room for what it shall do, fetching or not."""
    return _has(words, _FULL_DISK)


def kind(words: str) -> Trouble:
    """What the daemon's words mean for another try."""
    if is_full_disk(words):
        return Trouble.MACHINE
    if _first(_PASSING, words):
        return Trouble.PASSING
    return Trouble.PERMANENT if _has(words, _LOGIN) or _first(_PERMANENT, words) else Trouble.PASSING


def reason(words: str, *, logged_in: bool = False) -> str:
    """The trouble in half a sentence for users. `logged_in`: a login of ours was sent."""
    if is_full_disk(words):
        return "the disk of the machine is full"
    if passing := _first(_PASSING, words):
        return passing
    if _has(words, _LOGIN):
        return _LOGIN_REFUSED if logged_in else _NO_LOGIN
    return _first(_PERMANENT, words) or _NO_ANSWER


def explain(reference: str, words: str, *, logged_in: bool = False) -> ImageUnavailable:
    """The end of all tries. Only trouble of this machine leaves hope, on another one (SCH-11)."""
    why = reason(words, logged_in=logged_in)
    return ImageUnavailable(
        f"The image {short(reference)} could not be fetched: {why}.", retryable=kind(words) is Trouble.MACHINE
    )


def without_name(words: str, reference: str) -> str:
    """The daemon's words without the image's name and the address that they repeat: nobody's `acme/denied:1.0` is to
    be taken for a refusal."""
    name = reference.partition("@")[0]
    host, slash, path = (
        name.rpartition(":")[0].partition("/") if ":" in name.rpartition("/")[2] else name.partition("/")
    )
    for part in sorted({name, f"{host}{slash}{path}", path or host}, key=len, reverse=True):
        words = re.sub(rf"(?<![\w.-]){re.escape(part)}(?![\w-])", "…", words)
    return _ADDRESS.sub("", words)


def short(reference: str) -> str:
    """Its name, without the middle if it would leave no room for what is said about it."""
    if len(reference) <= _NAME_LENGTH:
        return reference
    half = _NAME_LENGTH // 2
    return f"{reference[:half]}…{reference[-half:]}"


def _has(words: str, patterns: tuple[str, ...]) -> bool:
    lower = words.lower()
    return any(pattern in lower for pattern in patterns)


def _first(reasons: Mapping[str, str], words: str) -> str | None:
    # "error parsing HTTP 404 response body: invalid character '<' …" is about its status, not about its body.
    status = re.search(r"HTTP \d{3} response", words)
    lower = (status[0] if status else words).lower()
    return next((reason for pattern, reason in reasons.items() if pattern in lower), None)
