"""What a container sees of drives: held before the start, with the right flags, and never anything outside (ENV-15 to
ENV-19, D12)."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from runtimes.docker import files
from runtimes.docker.driver import DockerDriver
from runtimes.errors import DriverError, InvalidTask
from runtimes.mounts import pins, sources
from runtimes.settings import DockerSettings
from runtimes.types import Mount, TaskSpec
from tests.integration.docker.conftest import MakeTask, Run, mounts_below
from tests.support.swapping import swapping

STARTS = 12

pytestmark = pytest.mark.skipif(not pins.supported(), reason="only root may mount, on Linux 5.6 or newer")


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    for folder, name in (("drive", "inside"), ("secret", "outside")):
        (tmp_path / folder / "data").mkdir(parents=True)
        (tmp_path / folder / "data/name").write_text(f"{name}\n")
    return tmp_path / "drive"


def mount(drive: Path, relative: str, target: str = "/work/data", read_only: bool = False) -> Mount:
    return Mount(str(drive / relative), target, read_only, root=str(drive), shown_as=f"/7/{relative}")


async def test_mounts_have_the_flags_that_keep_a_drive_harmless(run: Run, make_task: MakeTask, drive: Path) -> None:
    """ENV-16, ENV-19, also for root, who may not change them back."""
    mounts = (mount(drive, "data", "/work/rw"), mount(drive, "data/name", "/data/ro", read_only=True))
    script = """
        while read -r id parent device root point options rest; do
            case $point in /work*|/data*|/etc/ucloud) echo "$point ${options%,relatime} ${rest%% *}";; esac
        done < /proc/self/mountinfo
        mount -o remount,rw,suid /data/ro; echo x > /data/ro; umount /data/ro; cat /data/ro; echo y > rw/new
    """
    task = make_task(script, mounts=mounts, user=None, run_as_root=True)
    assert (await run(task)).code == 0
    assert sorted(task.logs.stdout.read_text().splitlines()) == [
        "/data/ro ro,nosuid,nodev -",
        "/etc/ucloud ro -",
        "/work rw,nosuid,nodev -",
        "/work/rw rw,nosuid,nodev -",
        "inside",
    ]
    assert (drive / "data/name").read_text() == "inside\n"
    assert (drive / "data/new").read_text() == "y\n"


async def test_a_link_inside_the_drive_is_followed(run: Run, make_task: MakeTask, drive: Path) -> None:
    (drive / "link").symlink_to("data")
    task = make_task("cat data/name", mounts=(mount(drive, "link"),))
    await run(task)
    assert task.logs.stdout.read_text() == "inside\n"


@pytest.mark.parametrize("to", ["../secret/data", "/etc"])
async def test_a_link_that_leaves_the_drive_is_refused_by_its_ucloud_path(
    driver: DockerDriver, make_task: MakeTask, drive: Path, to: str
) -> None:
    (drive / "link").symlink_to(to)
    task = make_task("true", mounts=(mount(drive, "link"),))
    for step in (driver.prepare, driver.start):
        with pytest.raises(InvalidTask) as caught:
            await step(task)
        assert caught.value.message == "The file /7/link is a link that leaves its drive."


async def test_what_is_missing_is_told_by_its_ucloud_path_and_not_made(
    driver: DockerDriver, make_task: MakeTask, drive: Path
) -> None:
    """ENV-15."""
    task = make_task("true", mounts=(mount(drive, "missing"),))
    with pytest.raises(InvalidTask) as caught:
        await driver.start(task)
    assert caught.value.message == "The file /7/missing does not exist."
    assert sorted(os.listdir(drive)) == ["data"]


async def test_a_folder_that_is_swapped_while_tasks_start_never_shows_the_outside(
    driver: DockerDriver, make_task: MakeTask, drive: Path
) -> None:
    """ENV-18: with real containers, while another thread swaps the folder for a link as fast as it can."""
    tasks = [make_task("cat data/name", mounts=(mount(drive, "data"),)) for _ in range(STARTS)]
    with swapping(drive / "data", drive.parent / "secret/data"):
        ends = [await _end(driver, task) for task in tasks]
    seen = {task.logs.stdout.read_text() for task, ended in zip(tasks, ends, strict=True) if ended == "ran"}
    assert seen <= {"inside\n"}
    assert set(ends) <= {"ran", "The file /7/data is a link that leaves its drive."}
    # Whatever the race did, a quiet drive works.
    assert await _end(driver, make_task("cat data/name", mounts=(mount(drive, "data"),))) == "ran"


async def _end(driver: DockerDriver, task: TaskSpec) -> str:
    try:
        await driver.wait(await driver.start(task))
    except DriverError as refused:
        return refused.message
    return "ran"


async def test_a_job_folder_that_became_a_link_is_refused(
    driver: DockerDriver, make_task: MakeTask, tmp_path: Path
) -> None:
    task = make_task("true", job_root=tmp_path / "jobs")
    task.job_folder.rmdir()
    (tmp_path / "elsewhere").mkdir()
    task.job_folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InvalidTask, match="leaves its drive"):
        await driver.start(task)
    assert list((tmp_path / "elsewhere").iterdir()) == []


async def test_nothing_of_a_drive_is_held_once_its_container_runs(
    driver: DockerDriver, settings: DockerSettings, make_task: MakeTask, drive: Path
) -> None:
    """Else `rm -r` of our state folder would reach it."""
    await driver.start(make_task("exec sleep 1000", mounts=(mount(drive, "data"),)))
    assert mounts_below(settings.state_dir) == []
    assert list(settings.state_dir.glob("*/pins")) == []


async def test_what_a_starter_held_that_died_goes_with_the_task_and_the_drive_stays(
    driver: DockerDriver, settings: DockerSettings, make_task: MakeTask, drive: Path
) -> None:
    task = make_task("cat data/name; exec sleep 1000", mounts=(mount(drive, "data"),))
    for step in ("start", "destroy"):
        folder = files.task_folder(settings.state_dir, task.id.name)
        files.make_folders(settings.state_dir, task.id.name)
        pins.hold(folder, list(sources.of_task(task)))
        await getattr(driver, step)(task if step == "start" else task.id)
        assert mounts_below(settings.state_dir) == []
    assert not folder.exists()
    assert (drive / "data/name").read_text() == "inside\n"


async def test_who_finds_a_task_lets_go_of_what_its_dead_starter_held(
    driver: DockerDriver, settings: DockerSettings, make_task: MakeTask, drive: Path
) -> None:
    task = make_task("exec sleep 1000", mounts=(mount(drive, "data"),))
    await driver.start(task)
    pins.hold(files.task_folder(settings.state_dir, task.id.name), list(sources.of_task(task)))
    await driver.recover(task.id)
    assert mounts_below(settings.state_dir) == []


async def test_many_starters_of_one_task_do_not_take_its_mounts_from_each_other(
    settings: DockerSettings, driver: DockerDriver, make_task: MakeTask, drive: Path
) -> None:
    task = make_task("cat data/name", mounts=(mount(drive, "data"),))
    others = [DockerDriver(settings) for _ in range(3)]
    handles = await asyncio.gather(*(one.start(task) for one in (driver, *others)))
    assert len({handle.data["container"] for handle in handles}) == 1
    await driver.wait(handles[0])
    assert task.logs.stdout.read_text() == "inside\n"
    for other in others:
        await other.close()


async def test_without_the_right_to_mount_paths_are_checked_and_told_to_docker(
    driver: DockerDriver, run: Run, make_task: MakeTask, drive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """docs/weaknesses.md: a link that is swapped after the check is not noticed."""
    monkeypatch.setattr(pins, "supported", lambda: False)
    (drive / "link").symlink_to("data")
    (drive / "out").symlink_to("/etc")
    task = make_task("cat data/name; echo x > data/new", mounts=(mount(drive, "link", read_only=True),))
    assert (await run(task)).code == 1
    assert task.logs.stdout.read_text() == "inside\n"
    with pytest.raises(InvalidTask, match="leaves its drive"):
        await driver.start(make_task("true", mounts=(mount(drive, "out"),)))
