"""Web pages of real containers, opened as browsers do (IS-17 to IS-24), and a desktop's bytes (IS-25, IS-26)."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.support.stack import DOCKER_DESKTOP, DOCKER_SHELL, DOCKER_WEB, Stack
from tests.support.wait import wait_until

PAGE = (
    "mkdir -p /tmp/www && cd /tmp/www && echo this is rank $UCLOUD_RANK of job $UCLOUD_JOB_ID > index.html; "
    "dd if=/dev/zero of=large bs=1M count=200 2>/dev/null; exec busybox httpd -f -p 8080 -h /tmp/www"
)
DESKTOP = "while true; do echo 'RFB 003.008' | busybox nc -l -p 5901; done"

pytestmark = pytest.mark.usefixtures("needs_docker")


@pytest.fixture(scope="module")
def page(shells: Stack) -> Iterator[str]:
    """A job of two nodes, each with a page of its own."""
    job_id = shells.create(DOCKER_WEB, var=PAGE, replicas=2)
    shells.wait_state(job_id, "RUNNING")
    yield job_id
    shells.stop(job_id)


class Browser:
    """One that has been sent to a page. It looks for names below `.localhost` on its own machine, as browsers do."""

    def __init__(self, url: str) -> None:
        self.http = httpx.Client(trust_env=False, timeout=60)
        self.host = urlsplit(url).netloc
        self.answer = self.get(url)

    def get(self, url: str) -> httpx.Response:
        """`url`: whole, or a path of this page."""
        parts = urlsplit(url)
        there = f"http://127.0.0.1:{self.host.rpartition(':')[2]}{parts.path}" + (
            f"?{parts.query}" if parts.query else ""
        )
        return self.http.get(there, headers={"Host": self.host, **self._cookie()})

    def _cookie(self) -> dict[str, str]:
        given = getattr(self, "answer", None)
        return {} if given is None else {"Cookie": given.headers["set-cookie"].partition(";")[0]}


def sessions(stack: Stack, job_id: str, *ranks: int, kind: str = "WEB") -> list[dict[str, str]]:
    items = [{"id": job_id, "rank": rank, "sessionType": kind} for rank in ranks]
    return [one["session"] for one in stack.post("/api/jobs/interactiveSession", *items)["responses"]]


def test_each_rank_has_a_page_of_its_own_at_a_name_of_its_own(shells: Stack, page: str) -> None:
    """IS-19, IS-24, W8: all ranks in one call."""
    for rank, session in enumerate(sessions(shells, page, 0, 1)):
        assert urlsplit(session["redirectClientTo"]).hostname == f"app-{page}-{rank}.localhost"
        browser = Browser(session["redirectClientTo"])
        assert browser.answer.status_code == 302
        text = wait_until(lambda at=browser: _page(at), "the application to listen")
        assert text == f"this is rank {rank} of job {page}\n"


def _page(browser: Browser) -> str | None:
    answer = browser.get("/")
    if answer.status_code == 502:  # IS-22: RUNNING does not mean ready
        assert '<meta http-equiv="refresh"' in answer.text
        return None
    assert answer.status_code == 200, answer.text
    return answer.text


def test_a_large_file_comes_whole(shells: Stack, page: str) -> None:
    (session,) = sessions(shells, page, 0)
    browser = Browser(session["redirectClientTo"])
    wait_until(lambda: _page(browser), "the application to listen")
    wait_until(lambda: len(browser.get("/large").content) == 200 * 1024 * 1024, "the whole file")


def test_a_session_is_not_good_for_another_rank(shells: Stack, page: str) -> None:
    first, second = sessions(shells, page, 0, 1)
    stolen = second["redirectClientTo"].replace(f"app-{page}-1.", f"app-{page}-0.")
    assert Browser(stolen).answer.status_code == 403
    assert Browser(first["redirectClientTo"]).answer.status_code == 302


def test_the_page_ends_with_its_job(shells: Stack) -> None:
    """IS-5, IS-23."""
    job_id = shells.create(DOCKER_WEB, var=PAGE)
    shells.wait_state(job_id, "RUNNING")
    (session,) = sessions(shells, job_id, 0)
    browser = Browser(session["redirectClientTo"])
    wait_until(lambda: _page(browser), "the application to listen")
    shells.stop(job_id)
    assert wait_until(lambda: _refused(browser), "the page to be closed")


def _refused(browser: Browser) -> bool:
    return browser.get("/").status_code == 403


def test_a_job_without_a_page_has_no_web_session(shells: Stack) -> None:
    """IS-2."""
    job_id = shells.create(DOCKER_SHELL, var="sleep 600")
    shells.wait_state(job_id, "RUNNING")
    for kind, why in (("WEB", "no web page"), ("VNC", "no desktop")):
        item = {"id": job_id, "rank": 0, "sessionType": kind}
        answer = shells.http.post("/api/jobs/interactiveSession", json={"items": [item]})
        assert (answer.status_code, why in answer.json()["why"]) == (400, True)
    shells.stop(job_id)


def test_the_bytes_of_a_desktop_come_in_binary_frames(shells: Stack) -> None:
    """IS-25, IS-26, W18."""
    job_id = shells.create(DOCKER_DESKTOP, var=DESKTOP)
    shells.wait_state(job_id, "RUNNING")
    (session,) = sessions(shells, job_id, 0, kind="VNC")
    assert session["password"] == "secret"
    url = shells.provider_url.replace("http", "ws") + session["url"]

    def greeting() -> bytes | None:
        try:
            with connect(url, subprotocols=[Subprotocol("binary")], proxy=None) as viewer:
                assert viewer.subprotocol == "binary"
                return bytes(viewer.recv(timeout=10))
        except Exception as early:
            if getattr(getattr(early, "response", None), "status_code", None) != 503:
                raise
            return None

    assert wait_until(greeting, "the desktop to listen") == b"RFB 003.008\n"
    shells.stop(job_id)
