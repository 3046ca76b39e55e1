"""Fetching an image: once, again while it may help, and told in words for users (ENV-54, ENV-55)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from runtimes.docker import images
from runtimes.docker.client import PullFailed
from runtimes.errors import ImageUnavailable, InvalidTask


class Registry:
    """A daemon without images, and a registry that answers each pull with the next of `answers`."""

    def __init__(self, *answers: str | None) -> None:
        self.answers = list(answers)
        self.present = False
        self.pulls = 0
        self.slept: list[float] = []
        self.asked = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()

    async def inspect(self, reference: str) -> Mapping[str, Any]:
        if not self.present:
            raise ImageUnavailable("The image is not on this machine.")
        return {"Id": reference}

    async def pull(self, reference: str) -> None:
        self.pulls += 1
        self.asked.set()
        await self.open.wait()
        if (words := self.answers.pop(0)) is not None:
            raise PullFailed(words)
        self.present = True

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def images(self, retry_seconds: float = 900) -> images.Images:
        return images.Images(self.inspect, self.pull, retry_seconds, self.sleep)


async def test_an_image_that_is_there_is_not_pulled() -> None:
    registry = Registry()
    registry.present = True
    assert await registry.images().ensure("a:1") == {"Id": "a:1"}
    assert registry.pulls == 0


async def test_tasks_that_ask_at_once_share_one_pull() -> None:
    registry = Registry(None)
    registry.open.clear()
    wanted = registry.images()
    asking = [asyncio.create_task(wanted.ensure("a:1")) for _ in range(5)]
    await registry.asked.wait()
    registry.open.set()
    assert await asyncio.gather(*asking) == [{"Id": "a:1"}] * 5
    assert registry.pulls == 1


async def test_one_who_leaves_does_not_take_the_pull_from_the_others() -> None:
    registry = Registry(None)
    registry.open.clear()
    wanted = registry.images()
    leaving, staying = (asyncio.create_task(wanted.ensure("a:1")) for _ in range(2))
    await registry.asked.wait()
    leaving.cancel()
    await asyncio.sleep(0)
    registry.open.set()
    assert await staying == {"Id": "a:1"}
    assert registry.pulls == 1


async def test_a_registry_that_does_not_answer_is_asked_again() -> None:
    registry = Registry("dial tcp: i/o timeout", "toomanyrequests: slow down", None)
    assert await registry.images().ensure("a:1") == {"Id": "a:1"}
    assert len(registry.slept) == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("manifest for x/a:1 not found: manifest unknown", "the registry has no such image"),
        ("pull access denied for a, repository does not exist", "it does not exist, or the registry wants a login"),
        ("invalid reference format: repository name must be lowercase", "that is not a name of an image"),
        ("no matching manifest for linux/amd64 in the manifest list entries", "not made for this type of machine"),
    ],
)
async def test_what_will_never_work_is_told_at_once(words: str, told: str) -> None:
    registry = Registry(words)
    with pytest.raises(ImageUnavailable, match=rf"^The image a:1 could not be fetched: .*{told}") as caught:
        await registry.images().ensure("a:1")
    assert not caught.value.retryable
    assert (registry.pulls, registry.slept) == (1, [])


async def test_after_the_time_for_retries_the_error_says_that_later_may_help() -> None:
    registry = Registry("lookup registry.internal on 10.0.0.1:53: no such host")
    with pytest.raises(ImageUnavailable) as caught:
        await registry.images(retry_seconds=0).ensure("a:1")
    assert caught.value.retryable
    assert caught.value.message == "The image a:1 could not be fetched: the registry does not answer."
    assert type(caught.value) is ImageUnavailable


@pytest.mark.parametrize("user", ["", "root", "0", "0:0", "root:staff", "00", "app", None])
def test_an_image_that_may_be_root_is_refused(user: str | None) -> None:
    """ENV-35. A name proves nothing: the image says which number it stands for."""
    with pytest.raises(InvalidTask, match="a:1"):
        images.refuse_root("a:1", {"Config": {"User": user}})


@pytest.mark.parametrize("user", ["1000", "1000:0", "11042:11042"])
def test_an_image_with_a_number_as_user_is_accepted(user: str) -> None:
    images.refuse_root("a:1", {"Config": {"User": user}})
