"""Users with passwords: added, logged in and out, removed; and what their tokens are worth then."""

from __future__ import annotations

import jwt
import pytest

from tests.unit.orchestrator.conftest import Setup, running
from tests.unit.orchestrator.fake_provider import FakeProvider
from ucloud_ray.orchestrator import attempts
from ucloud_ray.orchestrator.attempts import Attempts
from ucloud_ray.orchestrator.errors import TooMany
from ucloud_ray.orchestrator.settings import OrchestratorSettings

PASSWORD = "correct horse battery"


async def add(setup: Setup, *names: str, role: str = "USER") -> None:
    items = [{"username": name, "password": PASSWORD, "role": role} for name in names]
    answer = await setup.post("/auth/users/register", {"items": items}, setup.user("root", admin=True))
    assert answer.status_code == 200, answer.text


async def log_in(setup: Setup, name: str = "alice", password: str = PASSWORD) -> dict[str, str]:
    answer = await setup.http.post("/auth/login", json={"username": name, "password": password})
    assert answer.status_code == 200, answer.text
    tokens: dict[str, str] = answer.json()
    return tokens


def as_bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def works(setup: Setup, access_token: str) -> bool:
    answer = await setup.get("/api/jobs/browse", as_bearer(access_token))
    assert answer.status_code in (200, 401)
    return answer.status_code == 200


async def test_whoever_logs_in_gets_an_access_token_for_ten_minutes_and_a_refresh_token(setup: Setup) -> None:
    await add(setup, "alice")
    tokens = await log_in(setup)
    claims = jwt.decode(tokens["accessToken"], options={"verify_signature": False})
    assert (claims["sub"], claims["role"], claims["exp"] - claims["iat"]) == ("alice", "USER", 600)
    assert await works(setup, tokens["accessToken"])
    assert not await works(setup, tokens["refreshToken"])


async def test_the_web_pages_form_logs_in_too(setup: Setup) -> None:
    await add(setup, "alice")
    answer = await setup.http.post("/auth/login", data={"service": "web", "username": "alice", "password": PASSWORD})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"


async def test_a_refresh_token_is_good_for_further_access_tokens(setup: Setup) -> None:
    await add(setup, "alice", role="ADMIN")
    tokens = await log_in(setup)
    answer = await setup.http.post("/auth/refresh", headers=as_bearer(tokens["refreshToken"]))
    renewed = answer.json()["accessToken"]
    assert await works(setup, renewed)
    assert (await setup.get("/auth/users/browse", as_bearer(renewed))).status_code == 200


async def test_logging_out_ends_all_that_came_from_the_log_in_and_nothing_else(setup: Setup) -> None:
    await add(setup, "alice")
    first, second = await log_in(setup), await log_in(setup)
    for _ in range(2):
        assert (await setup.http.post("/auth/logout", headers=as_bearer(first["refreshToken"]))).status_code == 200
    assert not await works(setup, first["accessToken"])
    assert (await setup.http.post("/auth/refresh", headers=as_bearer(first["refreshToken"]))).status_code == 401
    assert await works(setup, second["accessToken"])


async def test_a_removed_user_can_do_nothing_any_more(setup: Setup) -> None:
    """Tokens of the command line are void as well."""
    await add(setup, "alice", "bob")
    tokens, of_bob = await log_in(setup), await log_in(setup, "bob")
    made = setup.user("alice")["Authorization"].removeprefix("Bearer ")
    assert await works(setup, made)
    body = {"items": [{"username": "alice"}]}
    await setup.post("/auth/users/remove", body, setup.user("root", admin=True))
    assert not await works(setup, tokens["accessToken"])
    assert not await works(setup, made)
    assert (await setup.http.post("/auth/refresh", headers=as_bearer(tokens["refreshToken"]))).status_code == 401
    wrong = await setup.http.post("/auth/login", json={"username": "alice", "password": PASSWORD})
    assert wrong.status_code == 401
    assert await works(setup, of_bob["accessToken"])


async def test_what_is_void_stays_void_after_a_restart(settings: OrchestratorSettings, provider: FakeProvider) -> None:
    async with running(settings, provider) as setup:
        await add(setup, "alice", "bob")
        ended, of_bob = await log_in(setup), await log_in(setup, "bob")
        await setup.http.post("/auth/logout", headers=as_bearer(ended["refreshToken"]))
        await setup.post("/auth/users/remove", {"items": [{"username": "bob"}]}, setup.user("root", admin=True))
    async with running(settings, provider) as setup:
        assert not await works(setup, ended["accessToken"])
        assert not await works(setup, of_bob["accessToken"])
        assert await works(setup, (await log_in(setup))["accessToken"])


@pytest.mark.parametrize(
    ("name", "password"),
    [("alice", "wrong password"), ("nobody", PASSWORD), ("alice", ""), ("", PASSWORD), ("\0", "x")],
)
async def test_a_failed_log_in_does_not_say_what_was_wrong(setup: Setup, name: str, password: str) -> None:
    await add(setup, "alice")
    answer = await setup.http.post("/auth/login", json={"username": name, "password": password})
    assert (answer.status_code, answer.json()["why"]) == (401, "The user name or the password is wrong.")


async def test_too_many_failures_are_not_looked_at_any_more(setup: Setup) -> None:
    await add(setup, "alice")
    for _ in range(attempts.MOST_OF_ONE_NAME):
        await setup.http.post("/auth/login", json={"username": "alice", "password": "wrong"})
    answer = await setup.http.post("/auth/login", json={"username": "alice", "password": PASSWORD})
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


async def test_somebody_elses_failures_keep_nobody_out(setup: Setup) -> None:
    """Behind a proxy all have one address."""
    await add(setup, "alice")
    for number in range(attempts.MOST_OF_ONE_NAME + 1):
        await setup.http.post("/auth/login", json={"username": f"nobody-{number % 5}", "password": "wrong"})
    assert await works(setup, (await log_in(setup))["accessToken"])


def test_failures_are_forgotten_with_time_and_by_success() -> None:
    moment = [0.0]
    counted = Attempts(attempts.MOST_OF_ONE_NAME, lambda: moment[0])
    for _ in range(attempts.MOST_OF_ONE_NAME):
        counted.require_room("a")
        counted.failed("a")
    with pytest.raises(TooMany):
        counted.require_room("a")
    counted.require_room("b")
    moment[0] += attempts.WITHIN_SECONDS
    counted.require_room("a")
    counted.failed("a")
    counted.succeeded("a")
    counted.require_room("a")


async def test_a_changed_password_ends_every_log_in(setup: Setup) -> None:
    await add(setup, "alice")
    tokens = await log_in(setup)
    mine = as_bearer(tokens["accessToken"])
    wrong = {"currentPassword": "not it at all", "newPassword": "another password"}
    assert (await setup.post("/auth/users/password", wrong, mine)).status_code == 401
    right = {"currentPassword": PASSWORD, "newPassword": "another password"}
    assert (await setup.post("/auth/users/password", right, mine)).status_code == 200
    assert not await works(setup, tokens["accessToken"])
    assert await works(setup, (await log_in(setup, password="another password"))["accessToken"])
    reset = {"items": [{"username": "alice", "password": "a third password"}]}
    assert (await setup.post("/auth/users/password/reset", reset, setup.user("root", admin=True))).status_code == 200
    assert await works(setup, (await log_in(setup, password="a third password"))["accessToken"])


BAD = {
    "a short password": {"password": "short"},
    "no name": {"username": ""},
    "the name of a provider": {"username": "#P_example"},
    "a name of ours": {"username": "_ucloud"},
    "a control character": {"username": "al\nice"},
    "blanks around": {"username": " alice"},
    "an unknown role": {"role": "KING"},
    "no password": {"password": None},
}


@pytest.mark.parametrize("changes", BAD.values(), ids=BAD.keys())
async def test_a_bad_user_is_refused_and_nobody_is_added(setup: Setup, changes: dict[str, str | None]) -> None:
    items = [{"username": "bob", "password": PASSWORD}, {"username": "alice", "password": PASSWORD, **changes}]
    answer = await setup.post("/auth/users/register", {"items": items}, setup.user("root", admin=True))
    assert answer.status_code == 400
    assert (await setup.get("/auth/users/browse", setup.user("root", admin=True))).json() == {"items": []}


async def test_a_name_is_taken_until_its_user_is_removed(setup: Setup) -> None:
    await add(setup, "alice")
    again = {"items": [{"username": "bob", "password": PASSWORD}, {"username": "alice", "password": PASSWORD}]}
    assert (await setup.post("/auth/users/register", again, setup.user("root", admin=True))).status_code == 409
    names = (await setup.get("/auth/users/browse", setup.user("root", admin=True))).json()["items"]
    assert [one["username"] for one in names] == ["alice"]
    await setup.post("/auth/users/remove", {"items": [{"username": "alice"}]}, setup.user("root", admin=True))
    await add(setup, "alice", "bob")
    assert await works(setup, (await log_in(setup))["accessToken"])


async def test_nobody_unknown_is_removed(setup: Setup) -> None:
    await add(setup, "alice")
    body = {"items": [{"username": "alice"}, {"username": "nobody"}]}
    assert (await setup.post("/auth/users/remove", body, setup.user("root", admin=True))).status_code == 404
    assert await works(setup, (await log_in(setup))["accessToken"])


async def test_no_password_and_no_token_lies_in_the_database(setup: Setup) -> None:
    await add(setup, "alice")
    tokens = await log_in(setup)
    for file in setup.data_dir.rglob("*.db*"):
        content = file.read_bytes()
        assert PASSWORD.encode() not in content
        assert tokens["refreshToken"].encode() not in content
