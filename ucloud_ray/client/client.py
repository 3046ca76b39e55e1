"""`Client` and `AsyncClient`: a connection to the end-user API of UCloud/Core or of our orchestrator.

Both have the same groups of calls; what they do is written once (`calls`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self

import httpx

from ucloud_ray.client import environment, network
from ucloud_ray.client.awaiting import Awaiting
from ucloud_ray.client.blocking import Blocking, Plain
from ucloud_ray.client.calls import Group, R, as_it_is, call
from ucloud_ray.client.catalogue import Apps, Products, Wallets
from ucloud_ray.client.credentials import Credentials
from ucloud_ray.client.effects import Json, Plan
from ucloud_ray.client.files import Drives, Files
from ucloud_ray.client.jobs import Jobs
from ucloud_ray.client.projects import Projects
from ucloud_ray.client.retry import Retry
from ucloud_ray.client.session import Query, Session
from ucloud_ray.client.users import Users


class Calls(Group[R], Generic[R]):
    """The groups, for whichever runner."""

    @cached_property
    def jobs(self) -> Jobs[R]:
        return Jobs(self._runner)

    @cached_property
    def apps(self) -> Apps[R]:
        return Apps(self._runner)

    @cached_property
    def products(self) -> Products[R]:
        return Products(self._runner)

    @cached_property
    def wallets(self) -> Wallets[R]:
        return Wallets(self._runner)

    @cached_property
    def projects(self) -> Projects[R]:
        return Projects(self._runner)

    @cached_property
    def users(self) -> Users[R]:
        return Users(self._runner)

    @cached_property
    def drives(self) -> Drives[R]:
        return Drives(self._runner)

    @cached_property
    def files(self) -> Files[R]:
        return Files(self._runner)

    @property
    def url(self) -> str:
        return self._session.url

    @call(as_it_is)
    def request(
        self, method: str, path: str, query: Query | None = None, body: Json = None, *, repeatable: bool | None = None
    ) -> Plan[Any]:
        """Any other call of the API: `client.request("POST", "/api/jobs/init", body={})`. The answer's JSON.

        `repeatable`: whether asking twice does no harm; if not said, whether it is a GET.
        """
        return (yield from self._session.ask(method, path, query, body, repeatable=repeatable))


class Client(Calls[Blocking]):
    """Calls that wait for their answer. A context manager; `close` gives connections back. May be shared by threads."""

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        refresh_token: str | None = None,
        make_token: Callable[[], str] | None = None,
        project: str | None = None,
        timeout: float = 30.0,
        retry: Retry | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`url`: like `https://cloud.sdu.dk`. `token`: an access token, renewed before it expires if there is a
        `refresh_token` or a function that makes one. `project`: id of the active workspace; None: one's own. `timeout`:
        seconds for an answer. Raises `Mistake`.
        """
        session = _session(url, Credentials(token, refresh_token, make_token), project, retry)
        self._http = httpx.Client(timeout=timeout, transport=transport, limits=network.LIMITS)
        super().__init__(Blocking(session, self._http))

    @classmethod
    def from_environment(
        cls,
        data: str | Path | None = None,
        *,
        timeout: float = 30.0,
        retry: Retry | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> Self:
        """Connect as the command line does: to `$UCLOUD_RAY_URL` with `$UCLOUD_RAY_TOKEN` or
        `$UCLOUD_RAY_REFRESH_TOKEN`, else to the installation in `data`, `$UCLOUD_RAY_DATA` or `./ucloud-ray-data`; in
        the workspace `$UCLOUD_RAY_PROJECT`. Raises `ClientError`.
        """
        return cls(**environment.found(data), timeout=timeout, retry=retry, transport=transport)

    @cached_property
    def raw(self) -> Calls[Plain]:
        """The same calls, answering with the JSON that the server sent, every field of it."""
        return Calls(Plain(self._session, self._http))

    def close(self) -> None:
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


class AsyncClient(Calls[Awaiting]):
    """Calls that are awaited, for asyncio. An asynchronous context manager."""

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        refresh_token: str | None = None,
        make_token: Callable[[], str] | None = None,
        project: str | None = None,
        timeout: float = 30.0,
        retry: Retry | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """As for `Client`."""
        session = _session(url, Credentials(token, refresh_token, make_token), project, retry)
        self._http = httpx.AsyncClient(timeout=timeout, transport=transport, limits=network.LIMITS)
        super().__init__(Awaiting(session, self._http))

    @classmethod
    def from_environment(
        cls,
        data: str | Path | None = None,
        *,
        timeout: float = 30.0,
        retry: Retry | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> Self:
        """As for `Client`."""
        return cls(**environment.found(data), timeout=timeout, retry=retry, transport=transport)

    async def close(self) -> None:
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self.close()


def _session(url: str, credentials: Credentials, project: str | None, retry: Retry | None) -> Session:
    return Session(url.rstrip("/"), credentials, project, retry or Retry())
