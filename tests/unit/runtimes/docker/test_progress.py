"""A copy that was cut off goes on at the very next byte."""

from __future__ import annotations

from pathlib import Path

from runtimes.docker.progress import Progress


def reopened(path: Path, progress: Progress, sizes: tuple[int, int]) -> Progress:
    progress.close()
    return Progress.open(path, sizes)


def test_the_record_survives_its_process(tmp_path: Path) -> None:
    first = Progress.open(tmp_path / "copied", (0, 0))
    first.appended(0, 10, 10)
    first.appended(1, 4, 4)
    second = reopened(tmp_path / "copied", first, (10, 4))
    assert second.copied == [10, 4]
    second.close()


def test_what_was_appended_and_not_counted_when_the_process_died_counts(tmp_path: Path) -> None:
    first = Progress.open(tmp_path / "copied", (0, 0))
    first.appended(0, 10, 10)
    second = reopened(tmp_path / "copied", first, (17, 0))
    assert second.copied == [17, 0]
    second.close()


def test_a_file_that_the_user_truncated_is_not_filled_again(tmp_path: Path) -> None:
    """LOG-16: what was copied stays copied."""
    first = Progress.open(tmp_path / "copied", (0, 0))
    first.appended(0, 10, 10)
    second = reopened(tmp_path / "copied", first, (0, 0))
    second.appended(0, 5, 5)
    third = reopened(tmp_path / "copied", second, (5, 0))
    assert third.copied == [15, 0]
    third.close()


def test_what_an_earlier_attempt_left_in_the_file_is_not_ours(tmp_path: Path) -> None:
    progress = Progress.open(tmp_path / "copied", (100, 0))
    assert progress.copied == [0, 0]
    again = reopened(tmp_path / "copied", progress, (103, 0))
    assert again.copied == [3, 0]
    again.close()
