"""The hosts file of a running container changes under its readers (ENV-48)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from threading import Event, Thread

import pytest

from runtimes.docker import hosts_file
from runtimes.errors import InvalidTask

ME = ("10.83.1.2", "me")
FEW = {"a": "10.83.1.3"}
MANY = {**FEW, **{f"name-{number}": f"10.83.1.{number}" for number in range(200)}}
"""More than a page."""


def known(content: bytes) -> dict[str, str]:
    """As a program reads it: the first line with a name decides."""
    found: dict[str, str] = {}
    for line in content.decode().splitlines():
        if line.partition("#")[0].strip():
            address, name = line.split()
            found.setdefault(name, address)
    return found


def everything(others: Mapping[str, str]) -> dict[str, str]:
    return {"localhost": "127.0.0.1", ME[1]: ME[0], **others}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "hosts"
    hosts_file.write(path, *ME, FEW)
    return path


def test_a_new_file_has_a_line_for_each_name_and_our_own_first(file: Path) -> None:
    assert file.read_text() == "127.0.0.1\tlocalhost\n10.83.1.2\tme\n10.83.1.3\ta\n"


@pytest.mark.parametrize("others", [{}, FEW, MANY, {"a": "10.83.1.4"}, {"b": "10.83.1.3"}, {"a": "20.83.1.3"}])
def test_after_a_change_exactly_the_new_names_are_known_in_the_same_file(file: Path, others: dict[str, str]) -> None:
    before = os.stat(file).st_ino
    for hosts in (others, MANY, others):
        hosts_file.change(file, *ME, hosts)
        assert known(file.read_bytes()) == everything(hosts)
    assert os.stat(file).st_ino == before


def test_names_that_come_and_go_do_not_make_the_file_grow(file: Path) -> None:
    hosts_file.change(file, *ME, MANY)
    size = file.stat().st_size
    for hosts in (FEW, {}, MANY, FEW, MANY):
        hosts_file.change(file, *ME, hosts)
    assert file.stat().st_size == size


def test_whoever_reads_meanwhile_sees_whole_lines_and_every_name_that_stays(file: Path) -> None:
    done, seen = Event(), set()

    def read() -> None:
        while not done.is_set():
            seen.add(file.read_bytes())

    reader = Thread(target=read)
    reader.start()
    for _ in range(10):
        hosts_file.change(file, *ME, MANY)
        hosts_file.change(file, *ME, FEW)
    done.set()
    reader.join()
    for content in seen:
        assert known(content).items() <= everything(MANY).items()
        assert known(content).items() >= everything(FEW).items()


def test_a_name_that_moves_is_known_at_the_one_place_or_the_other(file: Path) -> None:
    """The old line goes only after the new one is there."""
    hosts_file.change(file, *ME, {"a": "10.83.1.9"})
    assert file.read_text().splitlines()[2:] == ["#0.83.1.3\ta", "10.83.1.9\ta"]


@pytest.mark.parametrize("name", ["", "a b", "a\n10.0.0.1 b", "-a", "ä", "x" * 300])
def test_what_is_no_name_does_not_get_in(file: Path, name: str) -> None:
    with pytest.raises(InvalidTask, match="cannot be the name of a host"):
        hosts_file.change(file, *ME, {name: "10.83.1.3"})
    assert known(file.read_bytes()) == everything(FEW)


def test_what_is_no_address_does_not_get_in(file: Path) -> None:
    with pytest.raises(InvalidTask, match="is no IPv4 address"):
        hosts_file.change(file, *ME, {"peer": "10.83.1.3 other"})
