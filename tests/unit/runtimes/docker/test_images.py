"""Fetching an image: once, again while it may help, and told in words for users (ENV-54, ENV-55)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from runtimes.docker import images
from runtimes.docker.client import PullFailed
from runtimes.docker.fetch import Way
from runtimes.docker.layers import Layers
from runtimes.errors import ImageUnavailable, InvalidTask, RuntimeUnavailable
from runtimes.types import Progress
from tests.support.wait import async_wait_until

DOWN = "Get http://10.1.2.3:5000/v2/: dial tcp 10.1.2.3:5000: connect: connection refused"
GONE = "manifest for x/a:1 not found: manifest unknown"


class Registry:
    """A daemon without images, and a registry that answers each pull with the next of `answers`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answers: list[str | None] = [None]
        self.login = False
        self.forgets = False
        """The daemon says that it has the image and does not have it."""
        self.retry_seconds = 900.0
        self.present = False
        self.pulls = 0
        self.stopped = 0
        self.slept: list[float] = []
        self.told: list[Progress | None] = []
        """By the first process, at the beginning of each pause."""
        self.layers: Layers | None = None
        """Of the pull that is under way."""
        self.open = asyncio.Event()
        self.open.set()
        self.processes: list[images.Images] = []

    def process(self) -> images.Images:
        """What one process of the machine knows of its images."""
        way = Way(self.pull, self.is_there, lambda _: self.login, self.retry_seconds, self.sleep, look_seconds=0)
        self.processes.append(images.Images(self.inspect, way, self.folder, "daemon"))
        return self.processes[-1]

    async def inspect(self, reference: str) -> Mapping[str, Any]:
        if not self.present:
            raise ImageUnavailable("The image is not on this machine.")
        return {"Id": reference}

    async def is_there(self, reference: str) -> bool:
        return self.present

    async def pull(self, reference: str, layers: Layers) -> None:
        self.pulls, self.layers = self.pulls + 1, layers
        try:
            await self.open.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        if (words := self.answers.pop(0)) is not None:
            raise PullFailed(words)
        self.present = not self.forgets

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.told.append(self.processes[0].progress("a:1"))

    async def until(self, condition: Callable[[], Any], what: str) -> None:
        async def observe() -> Any:
            return condition()

        await async_wait_until(observe, what, timeout=5)


@pytest.fixture
async def registry(tmp_path: Path) -> AsyncIterator[Registry]:
    registry = Registry(tmp_path / "state")
    yield registry
    for process in registry.processes:
        await process.close()
    assert not registry.folder.exists() or list(registry.folder.iterdir()) == []


async def ask(process: images.Images, count: int = 1) -> list[asyncio.Task[Mapping[str, Any]]]:
    return [asyncio.create_task(process.ensure("a:1")) for _ in range(count)]


async def quiet() -> None:
    """Let everything look around many times."""
    for _ in range(100):
        await asyncio.sleep(0)


async def test_an_image_that_is_there_is_not_pulled(registry: Registry) -> None:
    registry.present = True
    assert await registry.process().ensure("a:1") == {"Id": "a:1"}
    assert registry.pulls == 0


async def test_tasks_that_ask_at_once_share_one_pull_in_all_processes(registry: Registry) -> None:
    registry.open.clear()
    asking = [task for process in (registry.process(), registry.process()) for task in await ask(process, 3)]
    await registry.until(lambda: registry.pulls, "a pull")
    registry.open.set()
    assert await asyncio.gather(*asking) == [{"Id": "a:1"}] * 6
    assert registry.pulls == 1


async def test_one_who_leaves_does_not_take_the_pull_from_the_others(registry: Registry) -> None:
    registry.open.clear()
    leaving, staying = await ask(registry.process(), 2)
    await registry.until(lambda: registry.pulls, "a pull")
    leaving.cancel()
    await quiet()
    registry.open.set()
    assert await staying == {"Id": "a:1"}
    assert (registry.pulls, registry.stopped) == (1, 0)


async def test_a_pull_that_only_another_process_still_waits_for_goes_on(registry: Registry) -> None:
    registry.open.clear()
    (leaving,) = await ask(registry.process())
    await registry.until(lambda: registry.pulls, "a pull")
    (staying,) = await ask(registry.process())
    await quiet()
    leaving.cancel()
    await quiet()
    assert registry.stopped == 0
    registry.open.set()
    assert await staying == {"Id": "a:1"}
    assert registry.pulls == 1


async def test_a_pull_that_nobody_waits_for_is_stopped_and_the_next_one_begins_anew(registry: Registry) -> None:
    registry.open.clear()
    process = registry.process()
    (leaving,) = await ask(process)
    await registry.until(lambda: registry.pulls, "a pull")
    leaving.cancel()
    await registry.until(lambda: registry.stopped, "the pull to be stopped")
    registry.open.set()
    assert await process.ensure("a:1") == {"Id": "a:1"}
    assert registry.pulls == 2


async def test_a_registry_that_does_not_answer_is_asked_again(registry: Registry) -> None:
    """ENV-55."""
    registry.answers = [
        DOWN,
        "toomanyrequests: slow down",
        "received unexpected HTTP status: 503 Service Unavailable",
        None,
    ]
    assert await registry.process().ensure("a:1") == {"Id": "a:1"}
    assert len(registry.slept) == 3


async def test_a_permanent_error_is_told_to_all_who_wait_and_asked_for_again_by_the_next(registry: Registry) -> None:
    registry.answers = [GONE, None]
    registry.open.clear()
    first, second = registry.process(), registry.process()
    asking = [*await ask(first, 2), *await ask(second, 2)]
    await registry.until(lambda: registry.pulls, "a pull")
    registry.open.set()
    told = await asyncio.gather(*asking, return_exceptions=True)
    assert {str(error) for error in told} == {"The image a:1 could not be fetched: the registry has no such image."}
    assert all(isinstance(error, ImageUnavailable) and not error.retryable for error in told)
    assert (registry.pulls, registry.slept) == (1, [])
    assert await second.ensure("a:1") == {"Id": "a:1"}


async def test_after_the_time_for_retries_it_is_over(registry: Registry) -> None:
    """ENV-55: then `FAILURE`; what the user reads does not tell our network."""
    registry.answers, registry.retry_seconds = [DOWN], 0
    with pytest.raises(ImageUnavailable) as caught:
        await registry.process().ensure("a:1")
    assert not caught.value.retryable
    assert caught.value.message == "The image a:1 could not be fetched: the registry does not answer."
    assert type(caught.value) is ImageUnavailable


async def test_the_daemons_own_retries_count_towards_the_time(registry: Registry) -> None:
    registry.open.clear()
    registry.retry_seconds = 0
    (asking,) = await ask(registry.process())
    await registry.until(lambda: registry.layers, "a pull")
    assert registry.layers is not None
    registry.layers.hear({"id": "l", "status": "Pulling fs layer"})
    registry.layers.hear({"id": "l", "status": "Retrying in 5 seconds"})
    with pytest.raises(ImageUnavailable, match="the registry does not answer"):
        await asking
    assert registry.stopped == 1


async def test_a_full_disk_is_no_reason_to_ask_again_here(registry: Registry) -> None:
    """Another machine may have room (SCH-11)."""
    registry.answers = ["failed to register layer: write /x: no space left on device"]
    with pytest.raises(ImageUnavailable, match="the disk of the machine is full") as caught:
        await registry.process().ensure("a:1")
    assert caught.value.retryable
    assert (registry.pulls, registry.slept) == (1, [])


async def test_a_daemon_that_went_away_in_the_middle_proves_nothing(registry: Registry) -> None:
    """D4."""
    registry.forgets = True
    with pytest.raises(RuntimeUnavailable):
        await registry.process().ensure("a:1")


async def test_progress_is_told_to_all_processes(registry: Registry) -> None:
    registry.open.clear()
    pulling, waiting = registry.process(), registry.process()
    asking = await ask(pulling)
    await registry.until(lambda: registry.layers, "a pull")
    asking += await ask(waiting)
    assert registry.layers is not None
    registry.layers.hear({"id": "l", "status": "Pulling fs layer"})
    registry.layers.hear({"id": "l", "status": "Downloading", "progressDetail": {"current": 450, "total": 1000}})
    expected = Progress("Fetching the image a:1", "45 % of 1.0 kB")
    assert pulling.progress("a:1") == expected
    await registry.until(lambda: waiting.progress("a:1") == expected, "the other process to know")
    registry.open.set()
    await asyncio.gather(*asking)
    assert pulling.progress("a:1") is None


async def test_trouble_is_told_while_it_lasts(registry: Registry) -> None:
    registry.answers = [DOWN, None]
    await registry.process().ensure("a:1")
    assert registry.told == [Progress("Fetching the image a:1", "the registry does not answer; it is tried again")]


@pytest.mark.parametrize(
    ("machine", "architecture", "emulated", "refused"),
    [
        ("x86_64", "arm64", False, True),
        ("x86_64", "arm64", True, False),
        ("x86_64", "amd64", False, False),
        ("x86_64", "386", False, False),
        ("aarch64", "amd64", False, True),
        ("x86_64", "", False, False),
        ("riscv64", "amd64", False, False),
    ],
)
def test_an_image_for_another_processor_is_refused(
    machine: str, architecture: str, emulated: bool, refused: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "_BINFMT", tmp_path)
    if emulated:
        (tmp_path / "qemu-aarch64").touch()
    if refused:
        with pytest.raises(InvalidTask, match=f"The image a:1 is made for {architecture} machines"):
            images.refuse_foreign("a:1", {"Architecture": architecture}, machine)
    else:
        images.refuse_foreign("a:1", {"Architecture": architecture}, machine)
