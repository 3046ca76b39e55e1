"""What a program finds inside its container (spec sections 3.2, 3.3, 3.6 to 3.8)."""

from __future__ import annotations

import os
from pathlib import Path

import docker
import pytest

from runtimes.docker.driver import DockerDriver
from runtimes.errors import ImageUnavailable, InvalidTask, StartFailed
from runtimes.settings import DockerSettings
from runtimes.types import ExitResult, Mount
from tests.integration.docker.conftest import MakeTask, Run
from tests.support import images


async def test_the_environment_is_what_was_given_and_what_docker_always_sets(run: Run, make_task: MakeTask) -> None:
    """ENV-32."""
    task = make_task("", argv=("env",), environment={"A": "b c", "HTTP_PROXY": ""})
    await run(task)
    assert sorted(task.logs.stdout.read_text().splitlines()) == [
        "A=b c",
        "HOME=/",
        f"HOSTNAME={task.hostname}",
        "HTTP_PROXY=",
        "NVIDIA_VISIBLE_DEVICES=void",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    ]


async def test_the_files_of_the_job_can_be_read_and_not_changed(run: Run, make_task: MakeTask) -> None:
    """ENV-8."""
    script = (
        "cat /etc/ucloud/rank.txt; echo 1 > /etc/ucloud/rank.txt; rm /etc/ucloud/rank.txt; cat /etc/ucloud/rank.txt"
    )
    task = make_task(script, files={"rank.txt": b"0\n"}, user=None, run_as_root=True)
    assert (await run(task)).code == 0
    assert task.logs.stdout.read_text() == "0\n0\n"
    assert task.logs.stderr.read_text().count("Read-only file system") == 2


async def test_what_is_written_to_work_is_in_the_job_folder_and_the_users(run: Run, make_task: MakeTask) -> None:
    """ENV-1, ENV-7, ENV-34."""
    task = make_task("pwd; echo result > result.txt")
    await run(task)
    result = task.job_folder / "result.txt"
    assert result.read_text() == "result\n"
    assert (result.stat().st_uid, result.stat().st_gid) == task.user
    assert task.logs.stdout.read_text() == "/work\n"


async def test_a_read_only_mount_is_read_only(run: Run, make_task: MakeTask, tmp_path: Path) -> None:
    """ENV-16: by the mount, not by file modes."""
    (tmp_path / "data").mkdir(mode=0o777)
    (tmp_path / "data").chmod(0o777)
    (tmp_path / "data" / "file").write_text("content\n")
    mount = Mount(str(tmp_path / "data"), "/work/data", read_only=True)
    task = make_task("cat data/file; echo x > data/new", mounts=(mount,))
    assert (await run(task)).code == 1
    assert task.logs.stdout.read_text() == "content\n"
    assert "Read-only file system" in task.logs.stderr.read_text()
    assert os.listdir(tmp_path / "data") == ["file"]


async def test_a_mount_without_source_is_refused_and_not_made(
    driver: DockerDriver, make_task: MakeTask, tmp_path: Path
) -> None:
    """ENV-15; seen again at the start, for what vanishes after it was checked."""
    task = make_task("true", mounts=(Mount(str(tmp_path / "missing"), "/work/data"),))
    for step in (driver.prepare, driver.start):
        with pytest.raises(InvalidTask, match=r"^What /work/data shall show does not exist"):
            await step(task)
    assert not (tmp_path / "missing").exists()


async def test_the_default_network_has_no_interface(run: Run, make_task: MakeTask) -> None:
    """D12, ENV-44."""
    task = make_task("ls /sys/class/net; wget -q http://127.0.0.1:8265/ || echo unreachable")
    await run(task)
    assert task.logs.stdout.read_text() == "lo\nunreachable\n"


async def test_nothing_gains_privileges(run: Run, make_task: MakeTask) -> None:
    """ENV-34."""
    task = make_task("id -u; id -g; id -G; grep -E '^(CapPrm|CapEff|CapBnd|NoNewPrivs)' /proc/self/status")
    await run(task)
    none = "0" * 16
    assert task.logs.stdout.read_text().split() == [
        *("11042", "11042", "11042"),
        *("CapPrm:", none, "CapEff:", none, "CapBnd:", none, "NoNewPrivs:", "1"),
    ]


async def test_the_daemons_socket_is_not_inside(run: Run, make_task: MakeTask) -> None:
    """ENV-33."""
    task = make_task("ls /var/run/docker.sock /run/docker.sock", user=None, run_as_root=True)
    assert (await run(task)).code != 0
    assert task.logs.stdout.read_text() == ""


async def test_the_images_entry_point_is_replaced_or_kept(run: Run, make_task: MakeTask, api: docker.APIClient) -> None:
    """INV-23, INV-27, INV-44."""
    changes = ['ENTRYPOINT ["echo", "entry"]', 'CMD ["command"]', "WORKDIR /tmp"]
    image = images.tiny_image(api, "entry", changes)
    replaced = make_task("", image=image, argv=("pwd",), change_working_directory=False)
    kept = make_task("", image=image, argv=())
    await run(replaced)
    await run(kept)
    assert replaced.logs.stdout.read_text() == "/tmp\n"
    assert kept.logs.stdout.read_text() == "entry command\n"


async def test_an_image_without_a_program_needs_a_command(driver: DockerDriver, make_task: MakeTask) -> None:
    with pytest.raises(InvalidTask, match="No command"):
        await driver.start(make_task("", argv=()))


async def test_an_image_that_runs_as_root_needs_permission(
    driver: DockerDriver, run: Run, make_task: MakeTask, api: docker.APIClient
) -> None:
    """ENV-35; seen again at the start, because nobody need have called `prepare`."""
    for step in (driver.prepare, driver.start):
        with pytest.raises(InvalidTask, match="runs as root"):
            await step(make_task("id -u", user=None))
    allowed = make_task("id -u", user=None, run_as_root=True)
    other = make_task("id -u", user=None, image=images.tiny_image(api, "user", ["USER 1000:1000"]))
    await run(allowed)
    await run(other)
    assert allowed.logs.stdout.read_text() == "0\n"
    assert other.logs.stdout.read_text() == "1000\n"


@pytest.mark.parametrize(("program", "code"), [("/no/such/program", 127), ("/etc", 126)])
async def test_a_program_that_cannot_be_executed_is_an_end_with_a_reason(
    run: Run, make_task: MakeTask, program: str, code: int
) -> None:
    """LC-12."""
    task = make_task("", argv=(program,))
    result: ExitResult = await run(task)
    assert (result.code, result.signal) == (code, None)
    assert f"can't execute '{program}'" in task.logs.stderr.read_text()


async def test_an_image_that_nobody_has_is_told_and_leaves_nothing(driver: DockerDriver, make_task: MakeTask) -> None:
    """The registry is a port on which nobody listens."""
    task = make_task("true", image="127.0.0.1:9/no/such:1")
    with pytest.raises(ImageUnavailable, match=r"^The image 127\.0\.0\.1:9/no/such:1 could not be fetched: ") as caught:
        await driver.prepare(task)
    assert not caught.value.retryable  # it was tried long enough (ENV-55)
    with pytest.raises(StartFailed, match="is not on this machine"):
        await driver.start(task)


async def test_a_name_that_is_no_image_is_told_at_once(driver: DockerDriver, make_task: MakeTask) -> None:
    with pytest.raises(ImageUnavailable, match="not a name of an image") as caught:
        await driver.prepare(make_task("true", image="No/Such Image"))
    assert not caught.value.retryable


async def test_a_container_that_docker_cannot_start_is_taken_away(driver: DockerDriver, make_task: MakeTask) -> None:
    """A failed start leaves nothing behind; the fixtures look."""
    with pytest.raises(StartFailed):
        await driver.start(make_task("true", hostname="h" * 80))


async def test_a_gpu_that_docker_cannot_give_is_told(
    driver: DockerDriver, make_task: MakeTask, api: docker.APIClient
) -> None:
    """ENV-38."""
    if "nvidia" in api.info()["Runtimes"]:
        pytest.skip("this daemon can give GPUs")
    with pytest.raises(StartFailed, match="container toolkit"):
        await driver.start(make_task("true", gpu_count=1, gpu_ids=("0",)))


async def test_a_state_folder_that_cannot_be_made_is_a_failed_start(
    daemon_url: str, make_task: MakeTask, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    driver = DockerDriver(DockerSettings(tmp_path / "file" / "state", base_url=daemon_url))
    with pytest.raises(StartFailed, match="could not be written"):
        await driver.start(make_task("true"))
    await driver.close()
