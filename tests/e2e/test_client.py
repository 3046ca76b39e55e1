"""The client library as real processes: submit, follow, wait, download, waited for and awaited (docs/client.md)."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.stack import Stack
from tests.support.wait import wait_until
from ucloud_ray.client import AsyncClient, Client, Mistake, NotFound, OutputSeen, Seen, StateSeen, StillRunning

APP = "native-shell"


def texts(seen: Iterable[Seen], stream: str = "stdout") -> str:
    return "".join(one.text for one in seen if isinstance(one, OutputSeen) and one.stream == stream)


def states(seen: Iterable[Seen]) -> list[str]:
    return list(dict.fromkeys(one.state for one in seen if isinstance(one, StateSeen)))


def test_a_notebook_from_upload_to_download(shells: Stack, needs_docker: None, tmp_path: Path) -> None:
    source = tmp_path / "data.txt"
    source.write_bytes(os.urandom(3_000_000))
    with Client.from_environment(shells.data) as client:
        client.files.mkdir("home-user/client")
        path = client.files.upload(source, "home-user/client/", replace=True)
        assert path == "/home-user/client/data.txt"
        script = "echo out; echo bad >&2; cp client/data.txt result.bin"
        script_of = {"var": script}
        job = client.jobs.submit("docker-shell", None, script_of, mounts=["home-user/client:ro"], name="Notebook")
        seen = list(job.follow())
        assert (texts(seen), texts(seen, "stderr")) == ("out\n", "bad\n")
        assert states(seen)[0] == "IN_QUEUE"
        assert states(seen)[-2:] == ["RUNNING", "SUCCESS"]
        assert job.wait(timeout=1).state == "SUCCESS"
        assert (job.logs(), job.logs(stream="stderr")) == ("out\n", "bad\n")
        assert job.retrieve().specification.name == "Notebook"
        assert {"result.bin", "stdout-0.log"} <= {file.name for file in job.files()}
        there: list[int] = []
        fetched = job.download("result.bin", tmp_path / "result.bin", progress=there.append)
        assert fetched.read_bytes() == source.read_bytes()
        assert there[-1] == 3_000_000
        assert job.id in [one.id for one in client.jobs.browse(application="docker-shell", at_most=20)]


def test_the_same_awaited_beside_each_other(shells: Stack, tmp_path: Path) -> None:
    async def one(client: AsyncClient, number: int) -> list[Seen]:
        job = await client.jobs.submit(APP, parameters={"var": f"echo {number} | tee result.txt"})
        seen = [what async for what in job.follow()]
        assert (await job.wait()).state == "SUCCESS"
        fetched = await job.download("result.txt", tmp_path / str(number))
        assert fetched.read_text() == f"{number}\n"
        return seen

    async def all_of_them() -> list[list[Seen]]:
        async with AsyncClient.from_environment(shells.data) as client:
            return await asyncio.gather(*(one(client, number) for number in range(3)))

    assert [texts(seen) for seen in asyncio.run(all_of_them())] == ["0\n", "1\n", "2\n"]


def test_a_follow_outlives_a_killed_orchestrator_without_losing_or_doubling_output(shells: Stack) -> None:
    """LOG-5."""
    with Client.from_environment(shells.data) as client:
        job = client.jobs.submit(APP, parameters={"var": 'for i in $(seq 1 40); do echo "line $i"; sleep 0.1; done'})
        seen: list[Seen] = []
        for what in job.follow():
            seen.append(what)
            if isinstance(what, OutputSeen) and len(seen) < 10 and "line 1\n" in what.text:
                pid = shells.pid("orchestrator")
                shells.kill("orchestrator", signal.SIGKILL)
                shells.wait_restarted("orchestrator", pid)
        assert texts(seen) == "".join(f"line {number}\n" for number in range(1, 41))
        assert states(seen)[-1] == "SUCCESS"


def test_a_job_is_extended_and_stopped(shells: Stack) -> None:
    with Client.from_environment(shells.data) as client:
        job = client.jobs.submit(APP, parameters={"var": "exec sleep 600"}, time=timedelta(minutes=10))
        with pytest.raises(StillRunning):
            job.wait(timeout=0.1)
        shells.wait_state(job.id, "RUNNING")
        before = job.retrieve().status.expires_at or 0
        job.extend(timedelta(hours=1))
        wait_until(lambda: job.retrieve().status.expires_at == before + 3_600_000, "the hour more")
        job.stop()
        assert job.wait(timeout=30).state == "SUCCESS"


def test_what_is_wrong_is_told_before_a_job_is_made_and_what_is_not_there_is_not_found(shells: Stack) -> None:
    with Client.from_environment(shells.data) as client:
        before = next(client.jobs.browse(at_most=1), None)
        with pytest.raises(Mistake, match="did you mean 'native-shell'"):
            client.jobs.submit("native-shel", parameters={"var": "x"})
        with pytest.raises(NotFound, match="999999999"):
            client.jobs.handle("999999999").logs()
        assert next(client.jobs.browse(at_most=1), None) == before
        assert "example-small" in [one.product.name for one in client.products.browse()]
        assert client.apps.retrieve(APP).invocation.parameters[0].name == "var"
