"""`down --stop-jobs` ends many jobs in steps, and asks again where no answer came."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ucloud_ray.cli import stop_jobs
from ucloud_ray.client import Unavailable


class Core:
    """As much of a client as is used."""

    def __init__(self, count: int) -> None:
        self.live = [str(number) for number in range(count)]
        self.requests: list[int] = []
        self.silent = 0
        """How many requests from now on get no answer, done or not."""
        self.raw = self.jobs = self

    def browse(self, state: str) -> list[dict[str, Any]]:
        """None of those that are over is asked for: there may be very many."""
        assert state not in ("SUCCESS", "FAILURE", "EXPIRED")
        return [{"id": job_id} for job_id in self.live] if state == "RUNNING" else []

    def stop(self, job_ids: list[str]) -> None:
        self.requests.append(len(job_ids))
        if self.silent:
            self.silent -= 1
            raise Unavailable("The provider does not answer in time")
        self.live = [job_id for job_id in self.live if job_id not in job_ids]


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> Core:
    core = Core(250)

    @contextmanager
    def connect(*_: Any, admin: bool) -> Iterator[Core]:
        assert admin
        yield core

    monkeypatch.setattr(stop_jobs, "connect", connect)
    monkeypatch.setattr(stop_jobs, "LOOK_SECONDS", 0.0)
    return core


def test_many_jobs_are_stopped_in_steps_and_an_answer_that_is_late_is_outlasted(core: Core, tmp_path: Path) -> None:
    core.silent = 2
    stop_jobs.stop_all_jobs(tmp_path)
    assert core.live == []
    assert core.requests == [100, 100, 100, 100, 50]


def test_a_provider_that_never_answers_is_told_of(core: Core, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop_jobs, "WAIT_SECONDS", 0.0)
    core.silent = 10**6
    with pytest.raises(Unavailable, match="does not answer"):
        stop_jobs.stop_all_jobs(tmp_path)
