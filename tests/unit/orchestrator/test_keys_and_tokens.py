"""Secrets in files, and which tokens are believed."""

from __future__ import annotations

import base64
import stat
import time
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from ucloud_ray.orchestrator import tokens
from ucloud_ray.orchestrator.credentials import bootstrap_credentials, issue_user_token
from ucloud_ray.orchestrator.errors import Forbidden, Unauthorized
from ucloud_ray.orchestrator.keys import ProviderKeys, UserKey, checked_name, kept


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ProviderKeys]:
    data_dir = tmp_path_factory.mktemp("keys")
    return data_dir, ProviderKeys(data_dir, "example")


@pytest.fixture
def gate(keys: tuple[Path, ProviderKeys]) -> tokens.Gate:
    return tokens.Gate(UserKey(keys[0]), {"example": keys[1]})


def test_credentials_stay_the_same_and_fit_the_keys(keys: tuple[Path, ProviderKeys]) -> None:
    first, second = bootstrap_credentials(keys[0]), bootstrap_credentials(keys[0])
    assert first == second
    assert keys[1].is_refresh_token(first.refresh_token)
    public = serialization.load_der_public_key(base64.b64decode(first.public_key_base64))
    assert jwt.decode(tokens.ServiceToken(keys[1]).current(), public, ["RS256"], audience="all:write")
    assert first.refresh_token not in repr(first)


def test_every_secret_is_readable_by_its_owner_alone(keys: tuple[Path, ProviderKeys]) -> None:
    issue_user_token(keys[0], "user")
    files = [path for path in (keys[0] / "orchestrator").rglob("*") if path.is_file()]
    assert len(files) == 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_the_server_does_not_need_the_refresh_token_in_clear(tmp_path: Path) -> None:
    token = bootstrap_credentials(tmp_path).refresh_token
    (tmp_path / "orchestrator/providers/example/refresh").unlink()
    assert ProviderKeys(tmp_path, "example").is_refresh_token(token)


def test_whoever_makes_a_secret_second_gets_the_first_one(tmp_path: Path) -> None:
    path = tmp_path / "secret"

    def make_while_another_does() -> bytes:
        path.write_bytes(b"theirs")
        return b"ours"

    assert kept(path, make_while_another_does) == b"theirs"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x", "a\0"])
def test_a_provider_id_cannot_leave_its_folder(name: str) -> None:
    with pytest.raises(ValueError, match="provider id"):
        checked_name(name)


@pytest.mark.parametrize("name", ["", "#P_example", "_UCloud", "a\0"])
def test_names_of_the_system_cannot_be_users(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="cannot be the name"):
        issue_user_token(tmp_path, name)


def test_valid_tokens_say_who_calls(keys: tuple[Path, ProviderKeys], gate: tokens.Gate) -> None:
    assert gate.user(issue_user_token(keys[0], "Ærlig bruger")) == tokens.User("Ærlig bruger")
    assert gate.admin(issue_user_token(keys[0], "root", admin=True)) == tokens.User("root", is_admin=True)
    assert gate.provider(tokens.provider_token(keys[1], "example")) == tokens.Provider("example")


def claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    plain = {"sub": "user", "role": "ADMIN", "iss": "cloud.sdu.dk", "iat": now, "exp": now + 60}
    return {name: value for name, value in (plain | changes).items() if value is not None}


def forged(keys: tuple[Path, ProviderKeys]) -> dict[str, str]:
    user, provider = UserKey(keys[0]).secret, keys[1]
    public = provider.public_base64
    return {
        "empty": "",
        "no token": "abc",
        "no signature": jwt.encode(claims(), None, algorithm="none"),
        "public key as secret": jwt.encode(claims(sub="#P_example"), public, algorithm="HS256"),
        "public key as user secret": jwt.encode(claims(), public * 2, algorithm="HS512"),
        "user key with another algorithm": jwt.encode(claims(), user, algorithm="HS256"),
        "provider in a user's token": jwt.encode(claims(sub="#P_example"), user, algorithm="HS512"),
        "user in a provider's token": jwt.encode(claims(), provider.private, algorithm="RS256"),
        "what we show to the provider": tokens.ServiceToken(provider).current(),
        "unknown provider": jwt.encode(claims(sub="#P_other"), provider.private, algorithm="RS256"),
        "expired": jwt.encode(claims(exp=int(time.time()) - 1), user, algorithm="HS512"),
        "without an end": jwt.encode(claims(exp=None), user, algorithm="HS512"),
        "without a start": jwt.encode(claims(iat=None), user, algorithm="HS512"),
        "another issuer": jwt.encode(claims(iss="example.com"), user, algorithm="HS512"),
    }


def test_forged_tokens_are_not_believed(keys: tuple[Path, ProviderKeys], gate: tokens.Gate) -> None:
    for name, token in forged(keys).items():
        with pytest.raises(Unauthorized):
            pytest.fail(f"{name}: {gate.actor(token)}")


def test_a_role_is_needed_for_each_kind_of_call(keys: tuple[Path, ProviderKeys], gate: tokens.Gate) -> None:
    user, provider = issue_user_token(keys[0], "user"), tokens.provider_token(keys[1], "example")
    for refused in (lambda: gate.admin(user), lambda: gate.provider(user), lambda: gate.user(provider)):
        with pytest.raises(Forbidden):
            refused()


def test_a_remembered_token_is_forgotten_when_it_expires(
    keys: tuple[Path, ProviderKeys], gate: tokens.Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = issue_user_token(keys[0], "user", lifetime_seconds=5)
    assert gate.user(token)
    later = time.time() + 6
    monkeypatch.setattr(tokens.time, "time", lambda: later)
    monkeypatch.setattr(gate, "_verify", lambda _: (_ for _ in ()).throw(Unauthorized("verified again")))
    with pytest.raises(Unauthorized, match="again"):
        gate.user(token)


def test_our_token_is_renewed_when_three_minutes_are_left(keys: tuple[Path, ProviderKeys]) -> None:
    clock = [1_000_000.0]
    service = tokens.ServiceToken(keys[1], lambda: clock[0])
    first = service.current()
    clock[0] += 420
    assert service.current() == first
    clock[0] += 1
    assert service.current() != first


def test_our_token_is_made_anew_when_the_machines_clock_was_set_back(keys: tuple[Path, ProviderKeys]) -> None:
    """TIME-13. A provider need not believe a token that was issued in its future."""
    clock = [time.time() + 3600]
    service = tokens.ServiceToken(keys[1], lambda: clock[0])
    service.current()
    clock[0] -= 3600
    issued = jwt.decode(service.current(), options={"verify_signature": False})["iat"]
    assert issued <= time.time()


def test_whoever_logged_in_before_the_machines_clock_was_set_back_stays_so(
    keys: tuple[Path, ProviderKeys], gate: tokens.Gate
) -> None:
    """TIME-13."""
    now = int(time.time()) + 3600
    token = jwt.encode(claims(iat=now, exp=now + 60), UserKey(keys[0]).secret, algorithm="HS512")
    assert gate.user(token).name == "user"
