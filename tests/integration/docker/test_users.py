"""Who a program is inside its container, and what it may do to its job folder (ENV-34, ENV-35)."""

from __future__ import annotations

import docker
import pytest

from runtimes.docker.driver import DockerDriver
from runtimes.errors import InvalidTask
from tests.integration.docker.conftest import MakeTask, Run
from tests.support import images

pytestmark = pytest.mark.skipif("os.geteuid() != 0", reason="only root gives job folders to another user")

ACCOUNTS = {
    "etc/passwd": "root:x:0:0::/:/bin/sh\nnobody-special:x:1234:1235::/:/bin/sh\ntoor:x:0:0::/:/bin/sh\n",
    "etc/group": "root:x:0:\nplain:x:1235:\nvideo:x:44:other,nobody-special\n",
}


@pytest.mark.parametrize(
    ("user", "tag", "identity"),
    [
        ("1000", "by-number", ["1000", "0", "0 11042"]),
        ("1000:1001", "by-numbers", ["1000", "1001", "1001 11042"]),
        ("nobody-special", "by-name", ["1234", "1235", "1235 44 11042"]),
        ("1234", "by-known-number", ["1234", "1235", "1235 44 11042"]),
        ("nobody-special:video", "by-names", ["1234", "44", "44 11042"]),
        ("11042:11042", "as-job-user", ["11042", "11042", "11042"]),
    ],
)
async def test_a_container_runs_as_its_images_user_and_may_write_to_its_job_folder(
    run: Run, make_task: MakeTask, api: docker.APIClient, user: str, tag: str, identity: list[str]
) -> None:
    """The group of the job folder is added, and what is written stays in it."""
    image = images.tiny_image(api, f"user-{tag}", [f"USER {user}"], ACCOUNTS)
    task = make_task("id -u; id -g; id -G; echo result > result.txt", image=image, user=None)
    assert (await run(task)).code == 0
    assert task.logs.stdout.read_text().splitlines() == identity
    result = (task.job_folder / "result.txt").stat()
    assert (result.st_uid, result.st_gid) == (int(identity[0]), 11042)
    log = (task.job_folder / "stdout-0.log").stat()
    assert (log.st_uid, log.st_gid, log.st_mode & 0o777) == (11042, 11042, 0o644)


@pytest.mark.parametrize(
    ("user", "tag", "reason"),
    [
        ("toor", "hidden-root", "runs as root"),
        ("0:1000", "root-in-a-group", "runs as root"),
        ("+0", "root-with-a-sign", "whom it does not know"),
        ("stranger", "unknown", "whom it does not know"),
        ("1000:strangers", "unknown-group", "which it does not know"),
    ],
)
async def test_an_image_whose_user_is_root_by_any_name_or_unknown_is_refused(
    driver: DockerDriver, make_task: MakeTask, api: docker.APIClient, user: str, tag: str, reason: str
) -> None:
    """ENV-35."""
    image = images.tiny_image(api, f"user-{tag}", [f"USER {user}"], ACCOUNTS)
    for step in (driver.prepare, driver.start):
        with pytest.raises(InvalidTask, match=reason):
            await step(make_task("id", image=image, user=None))


async def test_an_application_that_asks_for_root_is_root_whatever_the_image_says(
    run: Run, make_task: MakeTask, api: docker.APIClient
) -> None:
    image = images.tiny_image(api, "user-by-number", ["USER 1000"], ACCOUNTS)
    task = make_task("id -u; id -g", image=image, user=None, run_as_root=True)
    await run(task)
    assert task.logs.stdout.read_text() == "0\n0\n"


async def test_looking_for_a_name_leaves_no_container(
    driver: DockerDriver, make_task: MakeTask, api: docker.APIClient
) -> None:
    image = images.tiny_image(api, "user-by-name", ["USER nobody-special"], ACCOUNTS)
    await driver.prepare(make_task("id", image=image, user=None))
    assert api.containers(all=True, filters={"label": "ucloud-ray/look"}) == []
