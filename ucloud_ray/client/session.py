"""One request to the end-user API, whole: logged in, tried again where that is safe, its refusal an error of ours.

Everything in this package asks through `Session.ask`. A plan: knows no network.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

from ucloud_ray.client.credentials import Credentials
from ucloud_ray.client.effects import Json, NoAnswer, NotReached, Plan, Reply, Send, Sleep
from ucloud_ray.client.errors import AnswerLost, ClientError, Mistake, StrangeAnswer, Unavailable, Unreachable, refused
from ucloud_ray.client.retry import Attempts, Outcome, Retry

Query = Mapping[str, str | int | bool | None]
JSON_TYPE = "application/json"
LOST = "{url} took a request and did not answer: it may have been done; look before you ask again"


@dataclass(frozen=True, slots=True)
class Session:
    url: str
    """`https://cloud.sdu.dk`, without a slash at its end."""
    credentials: Credentials
    project: str | None = None
    """Active workspace; None is the user's own."""
    retry: Retry = field(default_factory=Retry)
    known: dict[tuple[str, ...], Json] = field(default_factory=dict)
    """Answers that never change, such as an application in a version."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise Mistake(f"'{self.url}' is no address", "write it like http://127.0.0.1:8080")

    def in_project(self, project: str) -> Session:
        """The same in another workspace."""
        return replace(self, project=project)

    def ask(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        body: Json = None,
        *,
        text: str | None = None,
        repeatable: bool | None = None,
    ) -> Plan[Json]:
        """The answer's JSON; `{}` where there is none. `text`: a body of YAML instead of JSON.

        `repeatable`: whether asking twice does no harm; None: if it is a GET. Raises `ClientError`.
        """
        content = text.encode() if text is not None else None if body is None else json.dumps(body).encode()
        kind = {} if content is None else {"Content-Type": "application/yaml" if text is not None else JSON_TYPE}
        safe = method == "GET" if repeatable is None else repeatable
        reply = yield from self.reply(Send(method, self.url + path, kind, _plain(query), content), safe)
        return self._content(reply)

    def reply(self, request: Send, repeatable: bool) -> Plan[Reply]:
        """The answer, if it is a good one."""
        attempts = Attempts(self.retry, repeatable)
        while True:
            outcome = yield from self._outcome(request)
            pause = attempts.pause_after(outcome)
            if pause is None:
                return self._checked(outcome, repeatable)
            yield Sleep(pause)

    def headers(self) -> Plan[dict[str, str]]:
        """Who we are, with a token that lives for a while yet."""
        if self.credentials.due:
            yield from self.renew()
        headers = {"Authorization": f"Bearer {self.credentials.token}"}
        return headers if self.project is None else {**headers, "Project": self.project}

    def renew(self) -> Plan[None]:
        """Another access token. Raises `ClientError`."""
        if self.credentials.make is not None:
            self.credentials.token = self.credentials.make()
            return
        request = Send(
            "POST", f"{self.url}/auth/refresh", {"Authorization": f"Bearer {self.credentials.refresh_token}"}
        )
        attempts = Attempts(self.retry, repeatable=True)
        while (pause := attempts.pause_after(outcome := (yield from _tried(request)))) is not None:
            yield Sleep(pause)
        token = self._content(self._checked(outcome, repeatable=True)).get("accessToken")
        if not isinstance(token, str) or not token:
            raise StrangeAnswer(f"{self.url} gives no access token for the refresh token")
        self.credentials.token = token

    # ----------------------------------------------------------------------------------------------------- internal

    def _outcome(self, request: Send) -> Plan[Outcome]:
        """With another token, if the one that we had is refused and there can be another: nothing was done then."""
        outcome = yield from self._signed(request)
        if isinstance(outcome, Reply) and outcome.status == 401 and self.credentials.renewable:
            yield from self.renew()
            outcome = yield from self._signed(request)
        return outcome

    def _signed(self, request: Send) -> Plan[Outcome]:
        headers = {**request.headers, **(yield from self.headers())}
        return (yield from _tried(Send(request.method, request.url, headers, request.query, request.content)))

    def _checked(self, outcome: Outcome, repeatable: bool) -> Reply:
        if isinstance(outcome, NotReached):
            raise Unreachable(f"nothing answers at {self.url}") from outcome
        if isinstance(outcome, NoAnswer):
            if repeatable:
                raise Unavailable(f"{self.url} does not answer in time") from outcome
            raise AnswerLost(LOST.format(url=self.url)) from outcome
        if not outcome.is_success:
            raise self._problem(outcome, repeatable)
        return outcome

    def _problem(self, reply: Reply, repeatable: bool) -> ClientError:
        try:
            body = json.loads(reply.content)
        except ValueError:
            body = None
        if reply.status in (502, 504) and not repeatable and not isinstance(body, dict):
            # A proxy's words, not those of UCloud/Core: it may have passed the request on.
            return AnswerLost(LOST.format(url=self.url))
        problem = refused(reply.status, body, reply.reason)
        return Unavailable(problem.why) if reply.status in (502, 503, 504) else problem

    def _content(self, reply: Reply) -> Json:
        if not reply.content:
            return {}
        try:
            return json.loads(reply.content)
        except ValueError as error:
            raise StrangeAnswer(f"{self.url} does not answer like UCloud/Core") from error


def _tried(request: Send) -> Plan[Outcome]:
    try:
        reply: Reply = yield request
    except (NotReached, NoAnswer) as error:
        return error
    return reply


def _plain(query: Query | None) -> dict[str, str]:
    """As a query has it: nothing for None, `true` and `false`."""
    given = {name: value for name, value in (query or {}).items() if value is not None}
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in given.items()}


def first_response(answer: Any) -> dict[str, Any]:
    """Of a bulk request of one item. Raises `StrangeAnswer`."""
    responses = answer.get("responses") if isinstance(answer, dict) else None
    if not isinstance(responses, list) or not responses or not isinstance(responses[0], dict):
        raise StrangeAnswer("the server did not say what became of the request")
    return responses[0]
