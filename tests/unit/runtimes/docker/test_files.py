"""The content of `/etc/ucloud` (ENV-8)."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from runtimes.docker import files
from runtimes.errors import InvalidTask


def test_files_are_readable_by_all_and_writable_by_none(tmp_path: Path) -> None:
    files.make_folders(tmp_path, "j-1-job-0")
    files.write(tmp_path, "j-1-job-0", {"rank.txt": b"0\n", "ssh/authorized_keys.ucloud": b"key\n"})
    etc = files.etc_folder(tmp_path, "j-1-job-0")
    assert sorted(path.relative_to(etc).as_posix() for path in etc.rglob("*")) == [
        "rank.txt",
        "ssh",
        "ssh/authorized_keys.ucloud",
    ]
    assert stat.S_IMODE((etc / "rank.txt").stat().st_mode) == 0o444


def test_the_folder_around_them_is_ours_alone(tmp_path: Path) -> None:
    """They may hold a token; other users of the machine must not read it."""
    files.make_folders(tmp_path, "j-1-job-0")
    assert stat.S_IMODE(files.task_folder(tmp_path, "j-1-job-0").stat().st_mode) == 0o700


def test_a_file_may_be_written_again(tmp_path: Path) -> None:
    files.make_folders(tmp_path, "j-1-job-0")
    files.write(tmp_path, "j-1-job-0", {"rank.txt": b"0\n"})
    files.write(tmp_path, "j-1-job-0", {"rank.txt": b"1\n"})
    assert (files.etc_folder(tmp_path, "j-1-job-0") / "rank.txt").read_bytes() == b"1\n"


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "a/../../x", "", "."])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    files.make_folders(tmp_path, "j-1-job-0")
    with pytest.raises(InvalidTask):
        files.write(tmp_path, "j-1-job-0", {name: b""})
    assert list(files.etc_folder(tmp_path, "j-1-job-0").iterdir()) == []


def test_removing_what_is_not_there_is_success(tmp_path: Path) -> None:
    files.remove(tmp_path, "j-1-job-0")
    assert list(tmp_path.iterdir()) == []
