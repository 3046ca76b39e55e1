"""What no program can be given is refused with a text that tells the limit."""

from __future__ import annotations

import os
import subprocess

import pytest

from ucloud_ray.domain.arguments import MAX_ARGUMENT, MAX_TOTAL, require_startable
from ucloud_ray.domain.errors import InvalidInvocation
from ucloud_ray.domain.job import EnvRef


def test_what_fits_is_let_through_and_can_be_started() -> None:
    """The limits are the kernel's: the longest argument starts a real program, and a byte more does not."""
    longest = "x" * MAX_ARGUMENT
    require_startable(["true", longest, EnvRef("HOME")], {"A": "b"})
    subprocess.run(["true", longest], check=True)
    with pytest.raises(OSError, match="too long"):
        subprocess.run(["true", longest + "x"], check=False)


def test_as_much_as_is_let_through_in_all_can_be_started() -> None:
    argument = "x" * 991
    argv = ["true", *[argument] * ((MAX_TOTAL - 100) // 1000)]
    require_startable(argv, {})
    subprocess.run(argv, check=True, env={"PATH": os.environ["PATH"]})


@pytest.mark.parametrize(
    ("argv", "environment", "words"),
    [
        (["a", "x" * (MAX_ARGUMENT + 1)], {}, "An argument of the program has 131072 bytes"),
        (["a", "é" * (MAX_ARGUMENT // 2 + 1)], {}, "131072 bytes"),
        (["a"], {"LONG": "x" * MAX_ARGUMENT}, "The variable LONG has 131076 bytes"),
        (["a"] + ["x" * 100_000] * 20, {}, "together"),
        (["a"], {f"V{n}": "x" * 100_000 for n in range(20)}, "together"),
        (["x"] * 300_000, {}, "together"),
    ],
    ids=["argument", "bytes, not characters", "variable", "arguments", "variables", "many"],
)
def test_what_does_not_fit_is_refused(argv: list[str], environment: dict[str, str], words: str) -> None:
    with pytest.raises(InvalidInvocation, match=words) as refused:
        require_startable(argv, environment)
    assert "file" in refused.value.why
    assert len(refused.value.why) < 250
