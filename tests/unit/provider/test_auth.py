"""Who may call a provider (provider-api 2.1), seen through the application: nobody else reaches the engine."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import pickle
import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from tests.unit.provider.conftest import Keys, Sign, core_claims
from tests.unit.provider.fakes import RecordingService
from tests.unit.provider.recordings import example, recorded_create
from ucloud_ray.provider.auth import InvalidPublicKey, TokenVerifier, acting_user
from ucloud_ray.provider.errors import Forbidden, Unauthenticated

HOUR = 3600


def _now() -> int:
    return int(time.time())


def _unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def _hmac_with_public_key(key: str) -> str:
    """The classic confusion: the public key used as a shared secret."""
    head = _unsigned({"alg": "HS256", "typ": "JWT"}, core_claims()).rsplit(".", 1)[0]
    mac = hmac.new(key.encode(), head.encode(), hashlib.sha256).digest()
    return f"{head}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def _other_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


ACCEPTED: dict[str, Callable[[], dict[str, Any]]] = {
    "G": dict,
    "K, audience as a string": lambda: {"aud": "all:write", "uid": 42, "extendedByChain": []},
    "no audience": lambda: {"aud": None},
    "a clock an hour ahead": lambda: {"iat": _now() + HOUR, "exp": _now() + HOUR + 600},
    "expired two seconds ago": lambda: {"exp": _now() - 2},
}
"""Made when the test runs, which may be long after it was collected."""

REFUSED = {
    "expired": ({"exp": _now() - HOUR}, 401),
    "no expiry": ({"exp": None}, 401),
    "expiry that is no number": ({"exp": "tomorrow"}, 401),
    "expiry beyond all numbers": ({"exp": 1e400}, 401),
    "no time of issue": ({"iat": None}, 401),
    "another issuer": ({"iss": "elsewhere.example"}, 401),
    "no issuer": ({"iss": None}, 401),
    "no subject": ({"sub": None}, 401),
    "our own outgoing token": ({"sub": "#P_example", "role": "PROVIDER", "principalType": "provider"}, 403),
    "subject alone": ({"role": "PROVIDER"}, 403),
    "role alone": ({"sub": "#P_example"}, 403),
    "no role": ({"role": None}, 403),
    "role as a list": ({"role": ["SERVICE"]}, 403),
    "a user": ({"sub": "alice", "role": "USER"}, 403),
}


@pytest.mark.parametrize("claims", ACCEPTED.values(), ids=ACCEPTED)
def test_tokens_of_both_eras_are_accepted(
    claims: Callable[[], dict[str, Any]], verifier: TokenVerifier, sign: Sign
) -> None:
    verifier.verify(f"Bearer {sign(**claims())}")


@pytest.mark.parametrize("era", ["kotlin", "go"])
def test_the_documented_claims_are_accepted_while_they_are_valid(era: str, verifier: TokenVerifier, sign: Sign) -> None:
    claims = example("derived-jwt-claims")["coreToProvider"][era]["claims"]
    verifier.verify(f"Bearer {sign(**claims | {'iat': _now(), 'exp': _now() + 900})}")


@pytest.mark.parametrize(("claims", "status"), REFUSED.values(), ids=REFUSED)
async def test_a_token_of_someone_else_reaches_nothing(
    claims: dict[str, Any], status: int, stranger: httpx.AsyncClient, service: RecordingService, sign: Sign
) -> None:
    answer = await stranger.post(
        "/ucloud/example/jobs", json=recorded_create(), headers={"Authorization": f"Bearer {sign(**claims)}"}
    )
    assert answer.status_code == status
    assert answer.json()["why"]
    assert service.calls == []


def _forgeries(keys: Keys) -> dict[str, str]:
    good = jwt.encode(core_claims(), keys.private, algorithm="RS256")
    head, payload, signature = good.split(".")
    return {
        "alg none": _unsigned({"alg": "none", "typ": "JWT"}, core_claims()),
        "alg None": _unsigned({"alg": "None", "typ": "JWT"}, core_claims()),
        "no alg": _unsigned({"typ": "JWT"}, core_claims()),
        "HS256 with the base64 key": _hmac_with_public_key(keys.public),
        "HS256 with the PEM key": _hmac_with_public_key(keys.pem),
        "another key": jwt.encode(core_claims(), _other_key(), algorithm="RS256"),
        "RS512 with the right key": jwt.encode(core_claims(), keys.private, algorithm="RS512"),
        "PS256 with the right key": jwt.encode(core_claims(), keys.private, algorithm="PS256"),
        "signature cut off": f"{head}.{payload}.",
        "signature of other claims": f"{head}.{_unsigned({}, core_claims(uid=1)).split('.')[1]}.{signature}",
        "claims that are no object": jwt.api_jws.encode(b"[1]", keys.private, algorithm="RS256"),
        "claims that are no JSON": jwt.api_jws.encode(b"\xff", keys.private, algorithm="RS256"),
        "header that is no JSON": f"AAAA.{payload}.{signature}",
        "two parts": f"{head}.{payload}",
        "nonsense": "nonsense",
        "not ASCII": "ä.ö.ü",
    }


def test_a_forged_token_is_no_token(keys: Keys, verifier: TokenVerifier) -> None:
    for name, token in _forgeries(keys).items():
        with pytest.raises(Unauthenticated) as refused:
            verifier.verify(f"Bearer {token}")
        assert token not in refused.value.why, name


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YWxpY2U6eA==", "Token x"])
async def test_a_call_without_a_token_is_refused_before_its_body_is_read(
    header: str | None, stranger: httpx.AsyncClient, service: RecordingService
) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = await stranger.post("/ucloud/example/jobs", content=b"not json", headers=headers)
    assert answer.status_code == 401
    assert service.calls == []


async def test_only_the_condition_is_public(stranger: httpx.AsyncClient) -> None:
    """8.3: K asks for it without a token."""
    answer = await stranger.get("/ucloud/example/integration/retrieveCondition")
    assert (answer.status_code, answer.json()["level"]) == (200, "NORMAL")
    assert (await stranger.get("/ucloud/example/integration/retrieveManifest")).status_code == 401
    assert (await stranger.get("/ucloud/example/jobs/retrieveProducts")).status_code == 401


# -------------------------------------------------------------------------------------------------- public keys


def test_a_public_key_is_read_in_every_form_that_operators_paste(keys: Keys, sign: Sign) -> None:
    broken_lines = "\n".join(keys.public[start : start + 64] for start in range(0, len(keys.public), 64))
    for text in (keys.public, f"  {keys.public}\n", broken_lines, keys.pem, f"\n{keys.pem}"):
        TokenVerifier(text).verify(f"Bearer {sign()}")


@pytest.mark.parametrize("text", ["", "x", "AAAA", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", "ä"])
def test_what_is_no_public_key_is_refused_with_advice(text: str) -> None:
    with pytest.raises(InvalidPublicKey, match="base64"):
        TokenVerifier(text)


def test_a_key_of_another_kind_is_refused() -> None:
    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    with pytest.raises(InvalidPublicKey, match="RSA"):
        TokenVerifier(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())


# ------------------------------------------------------------------------------------------------- acting user


@pytest.mark.parametrize(
    ("header", "user"),
    [
        ("YWxpY2U=", "alice"),
        (base64.b64encode("bjørn#1234".encode()).decode(), "bjørn#1234"),
        (None, None),
        ("", None),
        ("not base64!", None),
        ("/w==", None),
    ],
)
def test_the_acting_user_is_read_from_its_header_or_nobody(header: str | None, user: str | None) -> None:
    """provider-api 2.2, O24."""
    assert acting_user(header) == user


@pytest.mark.parametrize("error", [Unauthenticated("why"), Forbidden("why", "CODE")])
def test_refusals_survive_pickling(error: Unauthenticated | Forbidden) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.why, copy.error_code, copy.status) == (
        type(error), error.why, error.error_code, error.status,
    )  # fmt: skip
