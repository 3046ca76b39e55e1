"""The mission document's examples with sessions: a terminal, a desktop and a web page, opened as it says and then used.

Its commands name the ids of the document's jobs; ours are other numbers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.e2e import mission
from tests.e2e.conftest import AsWritten
from tests.support.acme import SMALL, Acme
from tests.support.wait import wait_until

WEB_APPLICATION = {"name": "acme-web-application", "version": "1.0.0"}
OF_ANY_SESSION = {
    "responses[0].providerDomain": "the address of this provider, with its scheme (W9)",
    "responses[0].session.jobId": "ids are given one after another",
}
PRODUCTS = "productsByProvider.example"
OF_OUR_PRODUCTS = {
    f"{PRODUCTS}[1]": "this installation sells a second machine type",
    f"{PRODUCTS}[0].product.name": "its machine types have other names",
    f"{PRODUCTS}[0].product.category.name": "the same",
    f"{PRODUCTS}[0].product.description": "the same",
    f"{PRODUCTS}[0].product.cpu": "and are larger",
    f"{PRODUCTS}[0].product.memoryInGigs": "the same",
    f"{PRODUCTS}[0].support.product.id": "they have other names",
    f"{PRODUCTS}[0].support.product.category": "the same",
    f"{PRODUCTS}[0].support.queueStatus": "a page without it says that all machines are busy (W7)",
}
MORE = "the document's provider says nothing of it; ours says what is true (W1)"


@dataclass
class Opened:
    job_id: str
    answer: Any
    """Of the command that opens the session."""

    @property
    def session(self) -> dict[str, Any]:
        found: dict[str, Any] = self.answer["responses"][0]["session"]
        return found


def run(acme: Acme, example: str, number: int, documented: str = "", ours: str = "") -> Any:
    command = mission.steps(example)[number].command
    written = command.replace(documented, ours) if documented else command
    return mission.curl(written, acme.stack.url, acme.stack.token())


def submit_and_open(acme: Acme, as_written: AsWritten, example: str, documented: str, but: dict[str, str]) -> Opened:
    created = run(acme, example, 0)
    as_written(example, 0, created, mission.AN_ID)
    job_id = created["responses"][0]["id"]
    acme.stack.wait_state(job_id, "RUNNING")
    answer = run(acme, example, 1, documented, job_id)
    as_written(example, 1, answer, OF_ANY_SESSION | but)
    return Opened(job_id, answer)


def test_a_web_application_is_opened_as_the_document_says(acme: Acme, as_written: AsWritten) -> None:
    url = "its own: absolute and with a scheme, or a browser would not follow it (W9)"
    opened = submit_and_open(acme, as_written, mission.WEB, "62342", {"responses[0].session.redirectClientTo": url})
    address = urlsplit(opened.session["redirectClientTo"])
    here = f"http://127.0.0.1:{address.port}"
    with httpx.Client(trust_env=False, headers={"Host": address.netloc}) as browser:
        entered = browser.get(f"{here}{address.path}?{address.query}")
        cookie = {"Cookie": entered.headers["set-cookie"].partition(";")[0]}
        page = wait_until(lambda: _page(browser, here, cookie), "the application to listen")
    assert page == f"Acme for {opened.job_id}\n"
    acme.stack.stop(opened.job_id)


def _page(browser: httpx.Client, here: str, cookie: dict[str, str]) -> str | None:
    answer = browser.get(here, headers=cookie)
    return answer.text if answer.status_code == 200 else None


def test_a_remote_desktop_is_opened_as_the_document_says(acme: Acme, as_written: AsWritten) -> None:
    """The password is the document's: it is the application's."""
    url = "its own; relative to the provider's address"
    opened = submit_and_open(acme, as_written, mission.DESKTOP, "51231", {"responses[0].session.url": url})
    socket = acme.stack.provider_url.replace("http", "ws") + opened.session["url"]
    assert wait_until(lambda: _greeting(socket), "the desktop to listen") == b"RFB 003.008\n"
    acme.stack.stop(opened.job_id)


def _greeting(url: str) -> bytes | None:
    try:
        with connect(url, subprotocols=[Subprotocol("binary")], proxy=None) as viewer:
            said = viewer.recv(timeout=10)
            assert isinstance(said, bytes)
            return said
    except Exception as early:
        if getattr(getattr(early, "response", None), "status_code", None) != 503:
            raise
        return None


def test_a_terminal_is_opened_as_the_document_says(acme: Acme, as_written: AsWritten) -> None:
    """Of the second node, as in the document."""
    products = run(acme, mission.TERMINAL, 0)
    as_written(mission.TERMINAL, 0, products, OF_OUR_PRODUCTS | _more_support())
    job_id = acme.stack.create(WEB_APPLICATION, replicas=2, **SMALL)
    acme.stack.wait_state(job_id, "RUNNING")
    answer = run(acme, mission.TERMINAL, 1, "123", job_id)
    but = OF_ANY_SESSION | {"responses[0].session.sessionIdentifier": "a credential of its own"}
    as_written(mission.TERMINAL, 1, answer, but)
    opened = Opened(job_id, answer)
    assert _typed(acme, opened, "echo rank-$UCLOUD_RANK; exit\r").count("rank-1") == 1
    acme.stack.stop(job_id)


def _more_support() -> dict[str, str]:
    flags = ("web", "vnc", "logs", "terminal", "peers", "timeExtension", "utilization", "bindLinkToPort")
    named = {
        "docker": set(flags) - {"terminal"},
        "virtualMachine": {*flags, "enabled", "suspension"},
        "native": {*flags, "enabled"},
    }
    return {f"{PRODUCTS}[0].support.{backend}.{flag}": MORE for backend, given in named.items() for flag in given}


def _typed(acme: Acme, opened: Opened, text: str) -> str:
    """What a terminal shows that this is typed into, to its end."""
    identifier = opened.session["sessionIdentifier"]
    url = f"{acme.stack.provider_url.replace('http', 'ws')}/ucloud/example/websocket?session={identifier}"
    call = "jobs.compute.example.shell.open"
    shown = ""
    with connect(url, proxy=None) as socket:
        for payload in (
            {"type": "initialize", "sessionIdentifier": identifier, "cols": 80, "rows": 24},
            {"type": "input", "data": text},
        ):
            socket.send(json.dumps({"call": call, "streamId": "0", "payload": payload}))
        for frame in socket:
            shown += (json.loads(frame).get("payload") or {}).get("data") or ""
    return shown


@pytest.fixture(autouse=True)
def _only_with_docker(needs_docker: None) -> None:
    pass
