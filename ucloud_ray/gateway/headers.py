"""What of a request's and an answer's headers goes through the gateway. Pure (IS-18, IS-20)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Pair = tuple[bytes, bytes]

COOKIE = "ucloud-compute-session-"
"""Begins the names of our cookies; nothing of them reaches an application."""
_OF_THE_CONNECTION = frozenset(
    {
        b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"proxy-connection", b"te",
        b"trailer", b"transfer-encoding", b"upgrade",
    }
)  # fmt: skip
_FORWARDED = frozenset({b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"})
_OF_THE_SOCKET = b"sec-websocket-"


def of_request(given: Iterable[Pair], client: str, scheme: str, has_body: bool) -> list[Pair]:
    """For the application: `Host` as it is, our cookie gone, who asked and how they asked added."""
    given = list(given)
    passed = [pair for pair in _through(given) if pair[0] not in _FORWARDED]
    host = next((value for name, value in given if name == b"host"), b"")
    forwarded = {b"x-forwarded-for": client.encode(), b"x-forwarded-proto": scheme.encode(), b"x-forwarded-host": host}
    length_known = any(name == b"content-length" for name, _ in passed)
    chunked = [(b"transfer-encoding", b"chunked")] if has_body and not length_known else []
    return [*passed, *forwarded.items(), *chunked]


def of_socket(given: Iterable[Pair], client: str, scheme: str) -> list[tuple[str, str]]:
    """The same for the handshake of a web socket, whose own headers its library makes."""
    kept = of_request(given, client, scheme, has_body=False)
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in kept
        if name not in (b"host", b"content-length") and not name.startswith(_OF_THE_SOCKET)
    ]


def of_answer(given: Iterable[Pair]) -> list[Pair]:
    """For the browser. An application cannot set a cookie of ours."""
    return [
        (name.lower(), value)
        for name, value in given
        if name.lower() not in _OF_THE_CONNECTION
        and not (name.lower() == b"set-cookie" and value.strip().startswith(COOKIE.encode()))
    ]


def cookie(given: Iterable[Pair], name: str) -> str | None:
    for header, value in given:
        if header == b"cookie":
            for found, content in _cookies(value):
                if found == name:
                    return content
    return None


def _through(given: Iterable[Pair]) -> Iterator[Pair]:
    for name, value in given:
        if name == b"cookie":
            kept = b"; ".join(
                f"{found}={content}".encode("latin-1")
                for found, content in _cookies(value)
                if not found.startswith(COOKIE)
            )
            if kept:
                yield name, kept
        elif name not in _OF_THE_CONNECTION:
            yield name, value


def _cookies(value: bytes) -> Iterator[tuple[str, str]]:
    for part in value.decode("latin-1").split(";"):
        name, equals, content = part.strip().partition("=")
        if name and equals:
            yield name, content
