"""Access tokens: which kinds there are, how they are signed and what is believed about a caller.

    kind               key                  sub          role            lifetime
    end user           HS512, ours          user name    USER or ADMIN   10 min (log-in), a day (command line)
    provider -> us     RS256, provider's    #P_<id>      PROVIDER        10 min
    us -> provider     RS256, provider's    _UCloud      SERVICE         10 min, renewed with 3 min left

Both RS256 kinds carry the same key, so the subject is part of the check (control-api 2.2, provider-api 2.1).
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from ucloud_ray.orchestrator.directory import Directory, Membership
from ucloud_ray.orchestrator.errors import Forbidden, Unauthorized
from ucloud_ray.orchestrator.keys import ProviderKeys, UserKey

ISSUER = "cloud.sdu.dk"
AUDIENCE = "all:write"
PROVIDER_LIFETIME_SECONDS = 600
RENEW_BELOW_SECONDS = 180
USER_LIFETIME_SECONDS = 24 * 3600
_CACHED_TOKENS = 4_096


@dataclass(frozen=True, slots=True)
class User:
    name: str
    is_admin: bool = False
    login: str = field(default="", compare=False)
    """Which log-in the token is from; empty for one that the command line made."""
    directory: Directory = field(default_factory=Directory, compare=False, repr=False)

    @property
    def membership(self) -> Membership:
        return self.directory.of(self.name)


@dataclass(slots=True)
class Blocked:
    """Whose tokens are void although they have not expired."""

    users: set[str] = field(default_factory=set)
    logins: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Provider:
    id: str


Actor = User | Provider


def user_token(
    key: UserKey, username: str, *, admin: bool = False, lifetime: int = USER_LIFETIME_SECONDS, login: str = ""
) -> str:
    """`login`: which one the token comes from; it ends with that."""
    claims = _claims(username, "ADMIN" if admin else "USER", "password", lifetime)
    if login:
        claims["publicSessionReference"] = login
    return jwt.encode(claims, key.secret, algorithm="HS512")


def provider_token(keys: ProviderKeys, provider_id: str) -> str:
    """What a refresh token is exchanged for."""
    claims = _claims(f"#P_{provider_id}", "PROVIDER", "provider", PROVIDER_LIFETIME_SECONDS)
    return jwt.encode(claims, keys.private, algorithm="RS256")


class ServiceToken:
    """The token that we show to one provider. Signed rarely: a signature costs more than the rest of a call."""

    def __init__(self, keys: ProviderKeys, now: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._now = now
        self._token = ""
        self._issued = self._expires = 0.0

    def current(self) -> str:
        """One that lives for a while yet, also after the machine's clock was set back."""
        now = self._now()
        if self._expires - now < RENEW_BELOW_SECONDS or now < self._issued:
            claims = _claims("_UCloud", "SERVICE", "service", PROVIDER_LIFETIME_SECONDS, now)
            self._token = jwt.encode(claims, self._keys.private, algorithm="RS256")
            self._issued, self._expires = claims["iat"], claims["exp"]
        return self._token


class Gate:
    """Bearer token -> who it is. Remembers what it has verified, until it expires."""

    def __init__(
        self, user_key: UserKey, providers: Mapping[str, ProviderKeys], blocked: Blocked | None = None
    ) -> None:
        self._user_key = user_key
        self._providers = providers
        self.blocked = blocked or Blocked()
        self.directory = Directory()
        self._verified: OrderedDict[str, tuple[Actor, float]] = OrderedDict()

    def user(self, token: str) -> User:
        actor = self.actor(token)
        if not isinstance(actor, User):
            raise Forbidden("This call is for users; a provider's token does not allow it.")
        return actor

    def admin(self, token: str) -> User:
        user = self.user(token)
        if not user.is_admin:
            raise Forbidden("Only administrators may do this.")
        return user

    def provider(self, token: str) -> Provider:
        actor = self.actor(token)
        if not isinstance(actor, Provider):
            raise Forbidden("This call is for providers; a user's token does not allow it.")
        return actor

    def actor(self, token: str) -> Actor:
        """Raises `Unauthorized` unless the token is valid now."""
        known = self._verified.get(token)
        if known and known[1] > time.time():
            return self._admitted(known[0])
        actor, expires = self._verify(token)
        self._admitted(actor)
        self._verified[token] = (actor, expires)
        if len(self._verified) > _CACHED_TOKENS:
            self._verified.popitem(last=False)
        return actor

    def _admitted(self, actor: Actor) -> Actor:
        """A token is good for as long as it says; its user or its log-in may be gone sooner."""
        if isinstance(actor, User) and (actor.name in self.blocked.users or actor.login in self.blocked.logins):
            raise Unauthorized("You are not logged in any more; log in again.")
        return actor

    def _verify(self, token: str) -> tuple[Actor, float]:
        if not token:
            raise Unauthorized("You are not logged in: the request carries no access token.")
        try:
            algorithm = jwt.get_unverified_header(token).get("alg")
            # The algorithm only chooses the key; each key accepts one algorithm, so neither can pass for the other.
            claims = self._user_claims(token) if algorithm == "HS512" else self._provider_claims(token)
        except (jwt.PyJWTError, ValueError) as error:
            raise Unauthorized("The access token is not valid or has expired; get a new one.") from error
        return self._actor(claims), float(claims["exp"])

    def _actor(self, claims: Mapping[str, Any]) -> Actor:
        subject: str = claims["sub"]
        if subject.startswith("#P_"):
            return Provider(subject.removeprefix("#P_"))
        login = claims.get("publicSessionReference")
        is_admin = claims.get("role") == "ADMIN"
        return User(subject, is_admin, login if isinstance(login, str) else "", self.directory)

    def _user_claims(self, token: str) -> dict[str, Any]:
        claims = _decode(token, self._user_key.secret, "HS512")
        if claims["sub"].startswith(("#P_", "_")):
            raise ValueError("not the name of a user")
        return claims

    def _provider_claims(self, token: str) -> dict[str, Any]:
        subject = jwt.decode(token, options={"verify_signature": False}).get("sub")
        if not isinstance(subject, str) or not subject.startswith("#P_"):
            raise ValueError("not a token of a provider")
        keys = self._providers.get(subject.removeprefix("#P_"))
        if keys is None:
            raise ValueError("unknown provider")
        return _decode(token, keys.public, "RS256")


def _decode(token: str, key: Any, algorithm: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(
        token,
        key,
        algorithms=[algorithm],
        issuer=ISSUER,
        # Whoever logged in before the machine's clock was set back stays logged in.
        options={"require": ["exp", "iat", "sub", "iss"], "verify_aud": False, "verify_iat": False},
    )
    return claims


def _claims(subject: str, role: str, principal: str, lifetime: int, now: float | None = None) -> dict[str, Any]:
    issued = int(time.time() if now is None else now)
    return {
        "sub": subject,
        "role": role,
        "principalType": principal,
        "aud": [AUDIENCE],
        "iss": ISSUER,
        "iat": issued,
        "exp": issued + lifetime,
    }
