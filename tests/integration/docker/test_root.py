"""Root of a container is not root of the machine (ENV-34): confined by a profile of ours, or mapped to the job user."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runtimes.docker.driver import DockerDriver
from runtimes.errors import InvalidTask
from runtimes.settings import DockerSettings
from runtimes.types import Mount, TaskSpec
from tests.integration.docker.conftest import USER, MakeTask, Run
from tests.support import dockerd, images

pytestmark = pytest.mark.skipif("os.geteuid() != 0", reason="only root gives job folders to another user")

ATTEMPTS = Path(__file__).with_name("attempts.py")
FOREIGN = os.getpid()
"""A process of the machine."""


@pytest.fixture
def attempt(make_task: MakeTask) -> TaskSpec:
    """Root that tries `attempts.py` with this machine's Python, which it sees read-only at `/host`."""
    python = os.path.realpath(sys.executable)
    script = f"exec 9</work; cat /scripts/attempts.py | exec chroot /host {python} -I -S - {FOREIGN}"
    mounts = (Mount("/", "/host", read_only=True), Mount(str(ATTEMPTS.parent), "/scripts", read_only=True))
    return make_task(script, mounts=mounts, user=None, run_as_root=True)


def rights_given_away(folder: Path) -> list[str]:
    """Files that would make whoever starts or opens them on this machine somebody else."""
    found = []
    for path in folder.rglob("*"):
        status = path.lstat()
        special = stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)
        marked = stat.S_ISREG(status.st_mode) and status.st_mode & (stat.S_ISUID | stat.S_ISGID)
        capable = stat.S_ISREG(status.st_mode) and "security.capability" in os.listxattr(path)
        if special or ((marked or capable) and status.st_uid == 0):
            found.append(f"{path.name} {oct(status.st_mode)}")
    return found


@pytest.mark.skipif("os.uname().machine != 'x86_64'", reason="system calls are tried by their numbers")
async def test_root_can_leave_nothing_that_gives_rights_on_the_machine(run: Run, attempt: TaskSpec) -> None:
    """Every system call that could set such a mode or make a device, with a drive under it."""
    assert (await run(attempt)).code == 0, attempt.logs.stderr.read_text()
    outcomes = json.loads(attempt.logs.stdout.read_text())
    assert rights_given_away(attempt.job_folder) == []
    refused = {name: outcome for name, outcome in outcomes.items() if outcome != "done"}
    assert set(outcomes) - set(refused) == {"plain file", "plain mode", "pipe"}
    assert set(refused.values()) <= {errno.errorcode[number] for number in (errno.EPERM, errno.ENOSYS, errno.ESRCH)}


async def test_root_can_do_what_administrators_do_inside(run: Run, make_task: MakeTask) -> None:
    script = """
        adduser -D -H -u 1500 someone 2>/dev/null || echo 'someone:x:1500:1500::/:/bin/sh' >> /etc/passwd
        touch /tmp/file && chown 1500:1500 /tmp/file && chmod 640 /tmp/file && mkfifo /tmp/pipe && ls -ln /tmp/file
        kill -0 1 && echo signals
    """
    task = make_task(script, user=None, run_as_root=True)
    assert (await run(task)).code == 0, task.logs.stderr.read_text()
    line, signals = task.logs.stdout.read_text().splitlines()
    assert line.split()[:4] == ["-rw-r-----", "1", "1500", "1500"]
    assert signals == "signals"


@pytest.mark.parametrize("policy", ["never", "remapped"])
async def test_the_operator_decides_whether_anybody_is_root(
    settings: DockerSettings, make_task: MakeTask, policy: str
) -> None:
    driver = DockerDriver(replace(settings, container_root=policy))
    for step in (driver.prepare, driver.start):
        with pytest.raises(InvalidTask, match="wants to run as root"):
            await step(make_task("true", user=None, run_as_root=True))
    await driver.prepare(make_task("true"))
    await driver.close()


# ------------------------------------------------------------------------------------- a daemon that maps users


@pytest.fixture(scope="module")
def remapping_daemon() -> Iterator[dockerd.PrivateDaemon]:
    if reason := dockerd.missing_remapped():
        pytest.skip(reason)
    folder = Path(tempfile.mkdtemp(prefix="dockerd-"))
    folder.chmod(0o711)  # root of a container must reach its own files
    daemon = dockerd.PrivateDaemon(folder, options=(f"--userns-remap={dockerd.REMAPPED}",))
    try:
        daemon.start()
        yield daemon
    finally:
        daemon.remove()


@pytest.fixture
async def remapped(remapping_daemon: dockerd.PrivateDaemon, tmp_path: Path) -> AsyncIterator[DockerDriver]:
    settings = DockerSettings(tmp_path / "state", base_url=remapping_daemon.url, job_user=USER)
    driver = DockerDriver(replace(settings, container_root="remapped"))
    yield driver
    await driver.close()


async def _run(driver: DockerDriver, task: TaskSpec) -> int | None:
    await driver.prepare(task)
    result = await driver.wait(await driver.start(task))
    await driver.destroy(task.id)
    return result.code


async def test_root_that_is_mapped_writes_as_the_job_user(
    remapped: DockerDriver, remapping_daemon: dockerd.PrivateDaemon, make_task: MakeTask, tmp_path: Path
) -> None:
    """What it leaves belongs to the job user, so it may set any mode; it reads our files below 0700 folders."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/name").write_text("inside\n")
    mount = Mount(str(tmp_path / "data"), "/work/data", True, root=str(tmp_path), shown_as="/7/data")
    image = images.tiny_image(dockerd.client(remapping_daemon.url))
    script = "cat /etc/ucloud/rank.txt data/name; echo x > file; chmod u+s file; touch data/x; id -u"
    task = make_task(
        script, image=image, mounts=(mount,), files={"rank.txt": b"0\n"}, user=None, run_as_root=True, job_root=tmp_path
    )
    assert await _run(remapped, task) == 0
    assert task.logs.stdout.read_text() == "0\ninside\n0\n"
    assert "Read-only file system" in task.logs.stderr.read_text()
    status = (task.job_folder / "file").stat()
    assert (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)) == (*USER, 0o4644)
    assert rights_given_away(task.job_folder) == []


async def test_other_users_write_to_the_job_folder_on_such_a_machine_too(
    remapped: DockerDriver, remapping_daemon: dockerd.PrivateDaemon, make_task: MakeTask
) -> None:
    image = images.tiny_image(dockerd.client(remapping_daemon.url), "mapped-user", ["USER 1000:1000"])
    task = make_task("id -u; echo x > file", image=image, user=None)
    assert await _run(remapped, task) == 0
    assert task.logs.stdout.read_text() == "1000\n"
    status = (task.job_folder / "file").stat()
    assert (status.st_uid, status.st_gid) == (100_999, USER[1])
