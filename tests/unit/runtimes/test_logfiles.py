"""Log files in a folder that belongs to somebody who may wish us ill (LOG-15 to LOG-18)."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

import pytest

from runtimes import logfiles


def _append(path: Path, content: bytes) -> None:
    file = logfiles.open_append(path)
    os.write(file, content)
    os.close(file)


def test_a_log_is_made_and_appended_to(tmp_path: Path) -> None:
    _append(tmp_path / "log", b"one\n")
    _append(tmp_path / "log", b"two\n")
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"


def test_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    """LOG-18, whether it points somewhere or nowhere."""
    (tmp_path / "log").symlink_to(tmp_path / "target")
    with pytest.raises(OSError, match="log"):
        logfiles.open_append(tmp_path / "log")
    (tmp_path / "target").write_bytes(b"precious")
    with pytest.raises(OSError, match="log"):
        logfiles.open_append(tmp_path / "log")
    assert (tmp_path / "target").read_bytes() == b"precious"


def test_a_folder_or_a_pipe_in_the_place_of_a_log_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    for name in ("folder", "pipe"):
        with pytest.raises(OSError, match=name):
            logfiles.open_append(tmp_path / name)
    os.close(reader)
    with pytest.raises(OSError, match="pipe"):
        logfiles.open_append(tmp_path / "pipe")


def test_a_private_log_is_shown_as_a_second_name_of_one_file(tmp_path: Path) -> None:
    """LOG-16."""
    private, job = tmp_path / "private", tmp_path / "job"
    private.mkdir()
    job.mkdir()
    _append(private / "log", b"one\n")
    assert logfiles.publish(private / "log", job)
    assert logfiles.publish(private / "log", job)
    _append(private / "log", b"two\n")
    assert (job / "log").read_bytes() == b"one\ntwo\n"


def test_a_log_on_another_file_system_is_shown_as_a_second_file(tmp_path: Path) -> None:
    """LOG-15, LOG-16: as it is for a name that the user took."""
    private, job = tmp_path / "private", tmp_path / "job"
    private.mkdir()
    job.mkdir()
    _append(private / "log", b"")
    assert logfiles.show(private / "log", job) is None
    (job / "log").unlink()
    (job / "log").write_bytes(b"his\n")
    copy = logfiles.show(private / "log", job)
    assert copy is not None
    os.write(copy, b"ours\n")
    os.close(copy)
    assert (job / "log").read_bytes() == b"his\nours\n"
    (job / "log").unlink()
    (job / "log").symlink_to(tmp_path / "victim")
    assert logfiles.show(private / "log", job) is None
    assert not (tmp_path / "victim").exists()


def test_a_link_that_comes_and_goes_is_never_followed(tmp_path: Path) -> None:
    """LOG-18: whatever the user's timing."""
    private, job, victim = tmp_path / "private", tmp_path / "job", tmp_path / "victim"
    private.mkdir()
    job.mkdir()
    victim.write_bytes(b"precious")
    before = victim.stat()
    _append(private / "log", b"")
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            for change in (lambda: (job / "log").symlink_to(victim), (job / "log").unlink, (job / "log").touch):
                with contextlib.suppress(OSError):
                    change()
            with contextlib.suppress(OSError):
                (job / "log").unlink()

    swapper = threading.Thread(target=swap)
    swapper.start()
    for _ in range(2000):
        copy = logfiles.show(private / "log", job, (11042, 11042) if os.geteuid() == 0 else None)
        if copy is not None:
            os.write(copy, b"x")
            os.close(copy)
    over.set()
    swapper.join()
    after = victim.stat()
    assert victim.read_bytes() == b"precious"
    assert (after.st_uid, after.st_nlink) == (before.st_uid, before.st_nlink)


@pytest.mark.parametrize("taken_by", ["file", "link", "folder"])
def test_what_has_the_name_in_the_job_folder_stays_as_it_is(tmp_path: Path, taken_by: str) -> None:
    private, job, taken = tmp_path / "private", tmp_path / "job", tmp_path / "job" / "log"
    private.mkdir()
    job.mkdir()
    _append(private / "log", b"one\n")
    if taken_by == "file":
        taken.write_bytes(b"his")
    elif taken_by == "link":
        taken.symlink_to(private / "log")
    else:
        taken.mkdir()
    before = taken.lstat()
    assert not logfiles.publish(private / "log", job)
    assert taken.lstat() == before


def test_a_log_that_cannot_be_shown_is_no_error(tmp_path: Path) -> None:
    """Another file system, or a job folder that is gone."""
    _append(tmp_path / "log", b"")
    assert not logfiles.publish(tmp_path / "log", tmp_path / "gone")
    assert not logfiles.publish(tmp_path / "log", Path("/proc"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_only_a_new_log_is_given_to_its_owner(tmp_path: Path) -> None:
    """LOG-15. One that exists may be a second name of somebody else's file."""
    (tmp_path / "old").touch()
    for name in ("old", "new"):
        os.close(logfiles.open_append(tmp_path / name, (11042, 11043)))
    assert [(tmp_path / name).stat().st_uid for name in ("old", "new")] == [0, 11042]


def _earlier_life(folder: Path) -> Path:
    """The job folder, after a life of the job on another machine."""
    for name in ("there", "here", "job"):
        (folder / name).mkdir()
    _append(folder / "there/stdout-0.log", b"first life\n")
    assert logfiles.publish(folder / "there/stdout-0.log", folder / "job")
    return folder / "job"


def test_a_life_on_another_machine_goes_on_with_the_log_of_the_one_before(tmp_path: Path) -> None:
    """LOG-5: an offset means the same in every life."""
    job, private = _earlier_life(tmp_path), tmp_path / "here/stdout-0.log"
    assert logfiles.take_up(private, job, (os.getuid(), os.getgid()))
    _append(private, b"second life\n")
    assert logfiles.show(private, job) is None, "it is shown already"
    assert (job / "stdout-0.log").read_bytes() == private.read_bytes() == b"first life\nsecond life\n"


def test_what_no_earlier_life_left_is_not_taken_for_a_log(tmp_path: Path) -> None:
    """LOG-18: nothing there, a file of the user's own, somebody else's, a link; nor is our own log given up."""
    job, private = _earlier_life(tmp_path), tmp_path / "here/stdout-0.log"
    assert not logfiles.take_up(private, tmp_path)
    assert not logfiles.take_up(private, job, (os.getuid() + 1, os.getgid()))
    (tmp_path / "there/stdout-0.log").unlink()
    assert not logfiles.take_up(private, job)
    (job / "stdout-0.log").unlink()
    (job / "stdout-0.log").symlink_to(tmp_path / "precious")
    assert not logfiles.take_up(private, job)
    assert not private.exists()
    _append(private, b"ours\n")
    assert not logfiles.take_up(private, _earlier_life_again(tmp_path))
    assert private.read_bytes() == b"ours\n"


def _earlier_life_again(folder: Path) -> Path:
    (folder / "again").mkdir()
    return _earlier_life(folder / "again")
