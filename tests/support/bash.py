"""Real bash, for tests of what a shell makes of our text."""

from __future__ import annotations

import subprocess

_MYCMD = 'mycmd() { printf \'%s\\0\' "$#" mycmd "$@"; }\n'
"""A function and not a program, so that hundreds of examples take a second."""
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


def words_of(script: str) -> list[str]:
    """The words of the only call of `mycmd` in the script, byte for byte. Fails for any other output."""
    done = subprocess.run(
        ["bash", "-c", _MYCMD + script], env=_ENVIRONMENT, stdin=subprocess.DEVNULL, capture_output=True, check=True
    )
    count, *words = done.stdout.decode().removesuffix("\0").split("\0")
    assert (len(words), done.stderr) == (int(count) + 1, b"")
    return words


def words_received(argv: list[str], environment: dict[str, str], variable: str) -> tuple[list[str], str]:
    """What a program that is started with these gets: its arguments, and the variable."""
    told = ["bash", "-c", f'printf "%s\\0" "$#" "$@" "${variable}"', "x", *argv]
    done = subprocess.run(told, env=_ENVIRONMENT | environment, capture_output=True, check=True)
    count, *words = done.stdout.decode().removesuffix("\0").split("\0")
    assert len(words) == int(count) + 1
    return words[:-1], words[-1]
