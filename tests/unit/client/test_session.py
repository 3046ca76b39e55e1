"""One request, whole: who asks, what is tried again, and what becomes of refusals. A job is never created twice."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from tests.unit.client.conftest import URL, Script, no, ok, session
from ucloud_ray.client import errors
from ucloud_ray.client.credentials import Credentials, renewal
from ucloud_ray.client.effects import NoAnswer, NotReached, Reply
from ucloud_ray.client.errors import AnswerLost, Mistake, Refused, StrangeAnswer, Unavailable
from ucloud_ray.client.retry import Attempts, Retry, retry_after

NOW = 1_000_000.0


def jwt(expires: float, issued: float = NOW) -> str:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": expires, "iat": issued}).encode()).decode().rstrip("=")
    return f"head.{claims}.signature"


def create(script: Script, **more: Any) -> Any:
    return script.run(session(**more).ask("POST", "/api/jobs", body={"items": [{}]}))


def test_a_request_says_who_asks_in_which_workspace_and_leaves_nulls_out() -> None:
    """End-user-api 1.1, 1.2."""
    script = Script([ok({"id": "7"})])
    asked = session(project="p1").ask("GET", "/api/jobs/retrieve", {"id": "7", "includeUpdates": True, "next": None})
    assert script.run(asked) == {"id": "7"}
    (sent,) = script.sent
    assert (sent.method, sent.url) == ("GET", f"{URL}/api/jobs/retrieve")
    assert dict(sent.query) == {"id": "7", "includeUpdates": "true"}
    assert dict(sent.headers) == {"Authorization": "Bearer t0ken", "Project": "p1"}


def test_the_token_is_in_no_text_of_what_carries_it() -> None:
    script = Script([ok()])
    script.run(session().ask("GET", "/x"))
    assert "t0ken" not in repr(script.sent) + repr(session())


# ------------------------------------------------------------------------------------------------ trying again


@pytest.mark.parametrize("trouble", [NotReached(), NoAnswer(), no(502), no(503), no(504), no(429)], ids=str)
def test_a_question_is_asked_again(trouble: Reply | Exception) -> None:
    script = Script([trouble, trouble, ok({"x": 1})])
    assert script.run(session().ask("GET", "/x")) == {"x": 1}
    assert len(script.sent) == 3


@pytest.mark.parametrize(
    "trouble", [NotReached(), no(503, "busy", retry_after="1"), no(429, "full", retry_after="1")], ids=str
)
def test_a_job_is_asked_for_again_when_it_is_known_not_to_have_been_taken(trouble: Reply | Exception) -> None:
    script = Script([trouble, ok({"responses": []})])
    create(script)
    assert len(script.sent) == 2


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        (NoAnswer(), AnswerLost),
        (no(504), AnswerLost),
        (no(502), AnswerLost),
        (no(502, "the provider refused"), Unavailable),
        (no(503), Unavailable),
        (no(429, "full"), errors.TooMuch),
        (no(500, "broken"), Refused),
    ],
    ids=str,
)
def test_a_job_is_never_asked_for_twice_when_it_may_have_been_taken(
    trouble: Reply | Exception, error: type[Exception]
) -> None:
    script = Script([trouble, ok()])
    with pytest.raises(errors.ClientError) as raised:
        create(script)
    assert type(raised.value) is error
    assert len(script.sent) == 1


def test_a_lost_answer_says_to_look_first() -> None:
    with pytest.raises(AnswerLost, match="it may have been done; look before you ask again"):
        create(Script([NoAnswer()]))


def test_pauses_grow_and_end_with_the_patience() -> None:
    clock = [0.0]
    attempts = Attempts(Retry(patience=20.0), repeatable=True, now=lambda: clock[0])
    pauses = []
    while (pause := attempts.pause_after(NoAnswer())) is not None:
        pauses.append(pause)
        clock[0] += pause
    assert 0.1 <= pauses[0] <= 0.2
    assert max(pauses) <= 5.0
    assert clock[0] <= 20.0 < clock[0] + 5.0


def test_a_server_that_says_when_is_asked_then_and_not_at_all_if_that_is_too_late() -> None:
    attempts = Attempts(Retry(patience=20.0), repeatable=False, now=lambda: 0.0)
    assert attempts.pause_after(no(503, retry_after="7")) == 7.0
    assert attempts.pause_after(no(429, retry_after="60")) is None
    assert retry_after(no(503, retry_after="Wed, 21 Oct 2026 07:28:00 GMT")) is None


def test_without_patience_nothing_is_tried_again() -> None:
    script = Script([NotReached()])
    with pytest.raises(Unavailable, match=f"nothing answers at {URL}"):
        script.run(session(retry=Retry(patience=0.0)).ask("GET", "/x"))
    assert script.slept == []


def test_a_server_that_nobody_reaches_need_not_be_waited_for() -> None:
    script = Script([no(503), NotReached()])
    with pytest.raises(Unavailable):
        script.run(session(retry=Retry(first_pause=0.0, when_unreached=False)).ask("GET", "/x"))
    assert len(script.sent) == 2


# ---------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, errors.BadRequest),
        (401, errors.NotLoggedIn),
        (402, errors.OutOfCredits),
        (403, errors.NotPermitted),
        (404, errors.NotFound),
        (409, errors.Taken),
        (418, Refused),
        (500, Refused),
    ],
)
def test_a_refusal_is_the_servers_words_on_one_line(status: int, error: type[Refused]) -> None:
    """End-user-api 1.4."""
    with pytest.raises(Refused) as raised:
        Script([no(status, "first\nsecond")]).run(session().ask("GET", "/x"))
    assert type(raised.value) is error
    assert (str(raised.value), raised.value.status) == ("first second", status)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"x"', b'{"why": null}', b"\xff"])
def test_a_refusal_without_words_says_its_status(body: bytes) -> None:
    with pytest.raises(Refused, match="the server answered 418 Reason"):
        Script([Reply(418, "Reason", {}, body)]).run(session().ask("GET", "/x"))


def test_what_answers_is_no_core_when_it_does_not_speak_json() -> None:
    with pytest.raises(StrangeAnswer, match="does not answer like UCloud/Core"):
        Script([Reply(200, "OK", {}, b"<html>")]).run(session().ask("GET", "/x"))


@pytest.mark.parametrize("url", ["", "core", "ftp://core", "http://", "file:///x"])
def test_what_is_no_address_is_refused_at_once(url: str) -> None:
    with pytest.raises(Mistake, match="write it like"):
        session().__class__(url, Credentials("x"))


# ------------------------------------------------------------------------------------------------------ tokens


def test_a_token_is_renewed_before_it_expires_and_then_used() -> None:
    credentials = Credentials(jwt(NOW + 100, NOW - 500), "refresh-me", now=lambda: NOW)
    script = Script([ok({"accessToken": jwt(NOW + 600)}), ok(), ok()])
    asking = session(credentials=credentials)
    script.run(asking.ask("GET", "/x"))
    script.run(asking.ask("GET", "/y"))
    assert [sent.url.removeprefix(URL) for sent in script.sent] == ["/auth/refresh", "/x", "/y"]
    assert script.sent[0].headers["Authorization"] == "Bearer refresh-me"
    assert {sent.headers["Authorization"] for sent in script.sent[1:]} == {f"Bearer {jwt(NOW + 600)}"}


def test_a_token_that_was_refused_is_renewed_once_and_the_request_repeated() -> None:
    """Nothing was done then, so that also goes for `create`."""
    credentials = Credentials("revoked", make=lambda: "new")
    script = Script([no(401, "expired"), ok({"responses": []})])
    create(script, credentials=credentials)
    assert [sent.headers["Authorization"] for sent in script.sent] == ["Bearer revoked", "Bearer new"]
    again = Script([no(401, "expired"), no(401, "no such user")])
    with pytest.raises(errors.NotLoggedIn, match="no such user"):
        create(again, credentials=Credentials("revoked", make=lambda: "new"))


def test_a_token_that_cannot_be_renewed_is_used_until_it_is_refused() -> None:
    script = Script([no(401, "expired")])
    with pytest.raises(errors.NotLoggedIn):
        create(script, credentials=Credentials(jwt(NOW - 5), now=lambda: NOW))
    assert len(script.sent) == 1


def test_a_refresh_token_that_is_refused_says_so() -> None:
    with pytest.raises(errors.NotLoggedIn, match="revoked"):
        create(Script([no(401, "revoked")]), credentials=Credentials(refresh_token="x"))
    with pytest.raises(StrangeAnswer, match="gives no access token"):
        create(Script([ok({})]), credentials=Credentials(refresh_token="x"))


def test_short_lives_are_renewed_half_way_and_other_tokens_never() -> None:
    assert renewal(jwt(NOW + 600)) == NOW + 420
    assert renewal(jwt(NOW + 100)) == NOW + 50
    for token in ("", "uc12-secret", "a.b.c", "a.e30.c", "a.W10.c"):
        assert renewal(token) == float("inf")
