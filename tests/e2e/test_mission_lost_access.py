"""The mission document's example "Losing access to resources": its own commands, a real container, a real share."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import httpx
import pytest

from tests.e2e import mission
from tests.e2e.conftest import AsWritten
from tests.e2e.test_mission_time import OF_A_REAL_END
from tests.support import dockerd
from tests.support.acme import OTHER_USER, SMALL, Acme
from tests.support.stack import NATIVE_SHELL, states, texts

DRIVE = "12512"
USER = {"type": "user", "username": "user"}
IN_DOCUMENT = [
    "Your job is now waiting in the queue!",
    "Your job is now running!",
    "Your job has been terminated (Lost permissions)",
]


def change(acme: Acme, *permissions: str) -> None:
    """What the owner of the drive lets the user do from now on; nothing: the share is revoked."""
    added = [{"entity": USER, "permissions": list(permissions)}] if permissions else []
    item = {"id": DRIVE, "added": added, "deleted": [] if permissions else [USER]}
    headers = {"Authorization": f"Bearer {acme.stack.token(OTHER_USER)}"}
    url = f"{acme.stack.url}/api/files/collections/updateAcl"
    answer = httpx.post(url, json={"items": [item]}, headers=headers, timeout=30.0)
    assert answer.status_code == 200, answer.text


class Followed:
    def __init__(self, acme: Acme) -> None:
        self.acme = acme
        self.steps = mission.steps(mission.LOSE_ACCESS)
        self.refused = self._run(self.steps[0].command)
        change(acme, "READ", "EDIT")
        self.created = self._run(self.steps[0].command)
        self.job_id = self.created["responses"][0]["id"]
        acme.stack.wait_state(self.job_id, "RUNNING")
        with closing(dockerd.client(acme.daemon.url)) as api:
            made = api.exec_create(f"j-{self.job_id}-job-0", ["cat", "/work/shared/data"])
            self.seen = api.exec_start(made["Id"]).decode()
        change(acme)
        acme.stack.wait_state(self.job_id)
        self.over = self._run(self.steps[1].command.replace("62348", self.job_id))

    def _run(self, command: str) -> Any:
        return mission.curl(command, self.acme.stack.url, self.acme.stack.token())


@pytest.fixture(scope="module")
def followed(acme: Acme) -> Followed:
    return Followed(acme)


def test_nothing_is_started_before_the_files_are_shared(followed: Followed) -> None:
    """End-user-api 4.2."""
    assert "/12512/shared does not exist, or you may not use it" in followed.refused["why"]


def test_the_job_sees_the_shared_files(followed: Followed, as_written: AsWritten) -> None:
    as_written(mission.LOSE_ACCESS, 0, followed.created, mission.AN_ID)
    assert followed.seen == "theirs\n"


def test_it_is_killed_soon_after_the_share_was_revoked(followed: Followed) -> None:
    """ACC-19, LC-12: and says so."""
    job = followed.acme.stack.job(followed.job_id)
    assert states(job) == ["IN_QUEUE", "RUNNING", "SUCCESS"]
    told = texts(job)
    assert [text for text in told if text in IN_DOCUMENT] == IN_DOCUMENT
    assert told[-2:] == ["You no longer have permissions to use this drive: Data of a colleague", IN_DOCUMENT[-1]]
    with closing(dockerd.client(followed.acme.daemon.url)) as api:
        assert api.containers(all=True, filters={"label": f"ucloud-ray/job={followed.job_id}"}) == []


def test_the_job_is_shown_as_in_the_document(followed: Followed, as_written: AsWritten) -> None:
    sample = followed.steps[1].sample
    as_written(mission.LOSE_ACCESS, 1, followed.over, OF_A_REAL_END)
    assert [update["status"] for update in sample["updates"]] == IN_DOCUMENT
    assert followed.over["status"]["allowRestart"] is sample["status"]["allowRestart"] is False


def test_losing_the_right_to_write_ends_processes_that_write_and_no_others(acme: Acme, followed: Followed) -> None:
    """ACC-20: a process, whose files are not even mounted."""
    change(acme, "READ", "EDIT")
    acme.stack.add_shells()
    file = {"type": "file", "path": f"/{DRIVE}/shared"}
    plain = {**SMALL, "parameters": {"var": {"type": "text", "value": "sleep 600"}}}
    writes, reads = (
        acme.stack.create(NATIVE_SHELL, **{**plain, "resources": [{**file, "readOnly": read_only}]})
        for read_only in (False, True)
    )
    for job_id in (writes, reads):
        acme.stack.wait_state(job_id, "RUNNING")
    change(acme, "READ")
    job = acme.stack.wait_state(writes)
    assert texts(job)[-1] == IN_DOCUMENT[-1]
    assert acme.stack.job(reads)["status"]["state"] == "RUNNING"
    acme.stack.stop(reads)
