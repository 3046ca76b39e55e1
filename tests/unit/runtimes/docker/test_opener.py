"""A container's program is started by a shell of ours, and must not notice (INV-23, LC-12, ENV-32).

The shell is the real one, run here and not in a container.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from runtimes.docker import opener
from runtimes.output import fifos

BUSYBOX = opener.find_busybox()
pytestmark = pytest.mark.skipif(BUSYBOX is None, reason=opener.MISSING)


@dataclass
class Outcome:
    code: int
    out: bytes


Start = Callable[..., Outcome]


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Start:
    """Start a program as a container would, with these variables."""
    inside = tmp_path / "inside"
    inside.mkdir()
    monkeypatch.setattr(opener, "TARGET", str(inside))
    fifos.make(str(inside))
    shutil.copy(str(BUSYBOX), inside / opener.PROGRAM)
    folder = os.open(inside, os.O_RDONLY)

    def run(*program: str, **variables: str) -> Outcome:
        (inside / opener.SCRIPT).write_text(opener.script(variables))
        readers = fifos.open_readers(folder)
        command = opener.command(program)
        result = subprocess.run([*command["Entrypoint"], *command["Cmd"]], env=variables, cwd=tmp_path, check=False)
        out = os.read(readers[0], 65536) if fifos.waiting_bytes(readers[0]) else b""
        for reader in readers:
            os.close(reader)
        return Outcome(result.returncode, out)

    return run


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of programs, one of which has the name of one that busybox has too."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name, mode in (("mine", 0o755), ("ls", 0o755), ("-odd", 0o755), ("locked", 0o644), ("a=b", 0o755)):
        (folder / name).write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@"\n')
        (folder / name).chmod(mode)
    (folder / "folder").mkdir()
    return folder


@pytest.mark.parametrize("name", ["mine", "ls", "-odd", "a=b"])
def test_a_name_is_looked_for_where_path_says(start: Start, programs: Path, name: str) -> None:
    """Busybox has an `ls` of its own, which is not meant."""
    started = start(name, "a b", "c\nd", "", PATH=f"/nowhere::{programs}:/bin:/usr/bin")
    assert started == Outcome(0, f"{name}\na b\nc\nd\n\n".encode())


@pytest.mark.parametrize("path", ["programs/mine", "./programs/a=b", "{folder}/-odd"])
def test_a_path_is_taken_as_it_is(start: Start, programs: Path, path: str) -> None:
    assert start(path.format(folder=programs), PATH="/bin:/usr/bin").code == 0


@pytest.mark.parametrize(
    "program", ["absent", "locked", "folder", "programs/absent", "programs/locked", "./programs", ""]
)
def test_what_cannot_be_started_ends_as_it_would_have(start: Start, programs: Path, program: str) -> None:
    """LC-12: 126 or 127. Of a name, the folder that has it and may not start it is no worse than one without it."""
    as_root_would = {"absent": 127, "locked": 126, "folder": 126, "./programs": 126, "": 127}
    assert start(program, PATH=f"{programs}:/bin").code == as_root_would[program.removeprefix("programs/")]


def test_a_script_without_an_interpreter_is_run_by_the_shell_of_the_image(start: Start, programs: Path) -> None:
    (programs / "bare").write_text("readlink /proc/$$/exe")
    (programs / "bare").chmod(0o755)
    started = start("bare", PATH=f"{programs}:/bin:/usr/bin")
    assert started == Outcome(0, os.path.realpath("/bin/sh").encode() + b"\n")


ODD = {
    "a.b": "1",
    "with space": "'quoted' \"twice\"",
    "line": "one\ntwo",
    "EMPTY": "",
    "1st": "x",
    "dash-ed": "$HOME `id`",
    "SHLVL": "7",
    "PWD": "/nowhere",
    "OLDPWD": "/before",
    "IFS": "xyz",
    "OPTIND": "abc",
    "PPID": "1",
}


@pytest.mark.parametrize("extra", [{}, ODD, {"_": "x", "PS1": "$", "ENV": "/absent", "LC_ALL": "da_DK", "é": "ü"}])
def test_the_program_finds_its_variables_and_no_others(start: Start, extra: dict[str, str]) -> None:
    """ENV-32: not those that the shell makes, and also those that it cannot have."""
    variables = {"PATH": "/bin:/usr/bin", **extra}
    started = start("cat", "/proc/self/environ", **variables)
    assert dict(entry.split("=", 1) for entry in started.out.decode().split("\0")[:-1]) == variables


def test_a_busybox_that_needs_a_loader_is_not_taken(tmp_path: Path) -> None:
    """It would need one in the image too."""
    assert opener.find_busybox([sys.executable, "/etc/passwd", str(tmp_path / "absent"), str(BUSYBOX)]) == BUSYBOX
