"""Sessions with ranks on every host of the cluster, all through the front end of the head (D8)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import pytest

from tests.support.ray_hosts import WHOLE, RayHosts
from tests.support.stack import COMMAND, DOCKER_SHELL, DOCKER_WEB, NATIVE_SHELL
from tests.support.wait import wait_until

Start = Callable[..., str]
WAIT = "exec sleep 600"
SERVE = (
    "mkdir -p /tmp/www && echo rank $UCLOUD_RANK on its host > /tmp/www/index.html; "
    "exec busybox httpd -f -p 8080 -h /tmp/www"
)


@pytest.mark.parametrize("application", [DOCKER_SHELL, NATIVE_SHELL], ids=["containers", "processes"])
def test_a_terminal_can_be_opened_in_each_rank(cluster: RayHosts, start: Start, application: dict[str, str]) -> None:
    """IS-13: on the machine of that rank."""
    job_id = start(application, var=WAIT, replicas=3, **WHOLE)
    cluster.stack.wait_state(job_id, "RUNNING")
    for rank in range(3):
        done = subprocess.run(
            [*cluster.stack.prefix, *COMMAND, "jobs", "shell", "--rank", str(rank), job_id],
            env=cluster.stack.environment, cwd=cluster.stack.data.parent, input="echo here-is-$UCLOUD_RANK; exit\n",
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert f"here-is-{rank}\n" in done.stdout.replace("\r", "")


def test_the_page_of_each_rank_can_be_opened(cluster: RayHosts, start: Start) -> None:
    """IS-24, D8: nothing of a container is published on its host."""
    job_id = start(DOCKER_WEB, var=SERVE, replicas=3, **WHOLE)
    cluster.stack.wait_state(job_id, "RUNNING")
    items = [{"id": job_id, "rank": rank, "sessionType": "WEB"} for rank in range(3)]
    opened = cluster.stack.post("/api/jobs/interactiveSession", *items)["responses"]
    for rank, one in enumerate(opened):
        page = urlsplit(one["session"]["redirectClientTo"])
        with httpx.Client(base_url=cluster.stack.provider_url, trust_env=False, headers={"Host": page.netloc}) as http:
            entered = http.get(f"{page.path}?{page.query}")
            cookie = {"Cookie": entered.headers["set-cookie"].partition(";")[0]}
            shown = wait_until(lambda at=http, mine=cookie: _page(at, mine), "the page")
        assert shown == f"rank {rank} on its host\n"


def _page(http: httpx.Client, cookie: dict[str, str]) -> str | None:
    answer = http.get("/", headers=cookie)
    return answer.text if answer.status_code == 200 else None
