"""Reading a growing file by offset (D9, LOG-5, LOG-16, LOG-18)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from runtimes import logfiles
from ucloud_ray.control.log_tail import BLOCK, LogTail


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stdout-0.log"


@pytest.fixture
def tail(path: Path) -> Iterator[LogTail]:
    tail = LogTail(path, 1000)
    yield tail
    tail.close()


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def read_all(tail: LogTail) -> bytes:
    return b"".join(iter(tail.read, b""))


def test_a_file_that_is_not_there_yet_is_read_when_it_comes(path: Path, tail: LogTail) -> None:
    assert tail.read() == b""
    append(path, b"hello")
    assert tail.read() == b"hello"
    assert tail.read() == b""
    append(path, b" again")
    assert tail.read() == b" again"


@pytest.mark.parametrize(
    ("limit", "replayed"),
    [(12, b"one\ntwo\ntre\n"), (11, b"two\ntre\n"), (8, b"two\ntre\n"), (7, b"tre\n"), (4, b"tre\n"), (3, b"")],
)
def test_the_past_is_cut_at_the_start_of_a_line(path: Path, limit: int, replayed: bytes) -> None:
    append(path, b"one\ntwo\ntre\n")
    tail = LogTail(path, limit)
    assert read_all(tail) == replayed
    tail.close()


def test_a_line_longer_than_the_limit_is_cut_anywhere(path: Path) -> None:
    append(path, b"x" * 100)
    tail = LogTail(path, 10)
    assert read_all(tail) == b"x" * 10
    tail.close()


def test_a_read_is_bounded_however_much_is_there(path: Path) -> None:
    append(path, b"x" * (BLOCK + 1))
    tail = LogTail(path, 10 * BLOCK)
    assert [len(tail.read()), len(tail.read()), len(tail.read())] == [BLOCK, 1, 0]
    tail.close()


def test_a_truncated_file_is_read_from_the_start(path: Path, tail: LogTail) -> None:
    append(path, b"before\n")
    read_all(tail)
    path.write_bytes(b"new\n")
    assert read_all(tail) == b"new\n"


def test_a_truncated_file_that_is_longer_again_already_is_read_from_the_start(path: Path, tail: LogTail) -> None:
    """LOG-16: its size alone does not tell."""
    append(path, b"before\n")
    read_all(tail)
    path.write_bytes(b"new, and longer than what was before\n")
    assert read_all(tail) == b"new, and longer than what was before\n"


def test_what_was_given_back_is_passed_over(path: Path) -> None:
    """LOG-16: a hole is not taken for zeros that the program wrote, which stay."""
    lines = b"".join(b"%07d\n" % number for number in range(4096))
    append(path, lines + b"\0" * 10)
    give_back(path, 8192)
    for begin in (0, 100, 8000):
        tail = LogTail(path, 10, begin=begin)
        assert read_all(tail) == lines[8192:] + b"\0" * 10
        assert tail.offset == len(lines) + 10
        tail.close()


def test_the_past_begins_at_the_first_whole_line_of_what_is_left(path: Path) -> None:
    """LOG-5, LOG-16."""
    lines = b"".join(b"%06d\n" % number for number in range(4096))
    append(path, lines)
    give_back(path, 8192)
    tail = LogTail(path, 10**6)
    assert read_all(tail) == lines[8197:]
    tail.close()


def test_a_reader_that_is_overtaken_by_the_janitor_goes_on_behind_the_hole(path: Path) -> None:
    """LOG-16, LOG-10: and nothing that it has read comes twice."""
    lines = b"".join(b"%07d\n" % number for number in range(BLOCK // 4))
    append(path, lines)
    tail = LogTail(path, len(lines))
    assert tail.read() == lines[:BLOCK]
    give_back(path, BLOCK - 4096)
    assert tail.read() == lines[BLOCK : 2 * BLOCK]
    give_back(path, len(lines))
    assert read_all(tail) == b""
    append(path, b"last\n")
    assert read_all(tail) == b"last\n"
    tail.close()


def give_back(path: Path, size: int) -> None:
    with path.open("r+b") as file:
        if not logfiles.give_back(file.fileno(), size):
            pytest.skip("this file system has no holes")


def test_a_deleted_file_is_read_to_its_end(path: Path, tail: LogTail) -> None:
    append(path, b"before\n")
    assert tail.read() == b"before\n"
    with path.open("ab") as file:
        path.unlink()
        file.write(b"after\n")
        file.flush()
        assert tail.read() == b"after\n"


def test_reading_goes_on_where_an_earlier_connection_ended(path: Path) -> None:
    append(path, b"one\ntwo\n")
    tail = LogTail(path, 2, begin=2)
    assert read_all(tail) == b"e\ntwo\n"
    assert tail.offset == 8
    tail.close()


def test_a_link_is_not_followed(path: Path, tail: LogTail, tmp_path: Path) -> None:
    """LOG-18."""
    (tmp_path / "secret").write_text("secret")
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="symbolic links"):
        tail.read()


def test_a_closed_tail_holds_no_file(path: Path) -> None:
    append(path, b"x")
    tail = LogTail(path, 10)
    tail.read()
    tail.close()
    tail.close()
    assert tail._fd is None
