"""Where things of a stack are on this machine, for tests that compare what a job sees with what was asked for."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.support.stack import Stack

JOB_USER = 11042


def as_sent(stack: Stack, job_id: str) -> dict[str, Any]:
    """The job as UCloud/Core sends it to providers."""
    found: dict[str, Any] = stack.job(
        job_id, includeApplication="true", includeProduct="true", includeSupport="true", includeParameters="true"
    )
    return found


def home(stack: Stack, user: str = "user") -> Path:
    """The home drive that is made for a user without one; the job user may write there."""
    folder = stack.data / "drives" / user / "home"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def put(path: Path, content: str) -> Path:
    """A file of the job user's, with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    if os.geteuid() == 0:
        os.chown(path, JOB_USER, JOB_USER)
    return path


def job_folder(stack: Stack, job: dict[str, Any]) -> Path:
    """Where the output folder that the user was told of lies on this machine."""
    (told,) = {update["outputFolder"] for update in job["updates"] if update["outputFolder"]}
    _, _, inside = told.strip("/").partition("/")
    return home(stack, job["owner"]["createdBy"]) / inside


def file(path: str, **more: Any) -> dict[str, Any]:
    return {"type": "file", "path": path, "readOnly": False} | more


def processes_of(job_id: str) -> list[int]:
    """Those that have the job's id in their environment."""
    return list(environments_of(job_id))


def environments_of(job_id: str) -> dict[int, dict[str, str]]:
    """Process to its environment. Read once: one that a program starts now and then is gone a moment later."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "environ").read_text(errors="replace").split("\0")
            except OSError:
                continue
            variables = dict(word.split("=", 1) for word in words if "=" in word)
            if variables.get("UCLOUD_JOB_ID") == job_id:
                found[int(entry.name)] = variables
    return found


def processes_in(stack: Stack, job_id: str) -> list[int]:
    """Those that run in a folder of this installation: another one's job of the same id is not meant."""
    found = []
    for pid in processes_of(job_id):
        with suppress(OSError):
            if os.readlink(f"/proc/{pid}/cwd").startswith(str(stack.data)):
                found.append(pid)
    return found
