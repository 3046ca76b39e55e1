"""The words of a scripted task and what follows from them. Pure."""

from __future__ import annotations

import pytest

from runtimes.errors import InvalidTask
from runtimes.scripted.script import FOREVER, Script, Signals, end, parse
from runtimes.types import ExitResult

NOBODY = Signals()


@pytest.mark.parametrize(
    ("words", "script"),
    [
        ("", Script()),
        ("run=2s exit=3", Script(run=2.0, exit=3)),
        ("run=250ms", Script(run=0.25)),
        ("run=1.5m", Script(run=90.0)),
        ("run=forever", Script(run=FOREVER)),
        ("signal=9", Script(signal=9)),
        ("oom", Script(oom=True)),
        ("lose-exit", Script(lose_exit=True)),
        ("stdout=a=b:c stdout=d stderr=e", Script(stdout=("a=b:c", "d"), stderr=("e",))),
        ("ignore-term", Script(ignore_term=True)),
        ("term-takes=3s goodbye=bye", Script(term_takes=3.0, goodbye="bye")),
        ("vanish", Script(vanish=0.0)),
        ("vanish=5s", Script(vanish=5.0)),
        ("stall-start", Script(stall_start=FOREVER)),
        ("stall-start=5s", Script(stall_start=5.0)),
        ("fail-start-retryable:2 runtime-down:3", Script(faults={"fail-start-retryable": 2, "runtime-down": 3})),
        ("lose-reply", Script(faults={"lose-reply": 1})),
    ],
)
def test_words_are_read(words: str, script: Script) -> None:
    assert parse(["scripted", *words.split()]) == script


@pytest.mark.parametrize(
    "word", ["", "fly", "run", "run=soon", "run:2", "exit=-1", "exit=x", "oom=1", "fail-start=2", "fail-start:x"]
)
def test_an_unknown_word_is_refused_with_the_place_to_look(word: str) -> None:
    with pytest.raises(InvalidTask, match=r"scripted|duration|number"):
        parse(["scripted", word])


def test_no_words_at_all_are_refused() -> None:
    with pytest.raises(InvalidTask):
        parse([])


def test_another_program_is_not_found() -> None:
    """LC-12."""
    assert end(parse(["true"]), 10.0, NOBODY) == (10.0, ExitResult(code=127, finished_at=10.0))


@pytest.mark.parametrize(
    ("script", "signals", "expected"),
    [
        (Script(run=2.0, exit=3), NOBODY, (12.0, ExitResult(code=3, finished_at=12.0))),
        (Script(run=FOREVER), NOBODY, None),
        (Script(signal=11), NOBODY, (10.0, ExitResult(signal=11, finished_at=10.0))),
        (Script(oom=True), NOBODY, (10.0, ExitResult(signal=9, out_of_memory=True, finished_at=10.0))),
        (Script(lose_exit=True), NOBODY, (10.0, ExitResult())),
        (Script(run=FOREVER), Signals(11.0), (11.0, ExitResult(signal=15, finished_at=11.0))),
        (Script(run=FOREVER, goodbye="x", exit=4), Signals(11.0), (11.0, ExitResult(code=4, finished_at=11.0))),
        (Script(run=FOREVER, term_takes=5.0), Signals(11.0), (16.0, ExitResult(signal=15, finished_at=16.0))),
        (Script(run=FOREVER, term_takes=5.0), Signals(11.0, 12.0), (12.0, ExitResult(signal=9, finished_at=12.0))),
        (Script(run=FOREVER, ignore_term=True), Signals(11.0), None),
        (Script(run=2.0, exit=1), Signals(11.0), (11.0, ExitResult(signal=15, finished_at=11.0))),
        (Script(run=2.0, exit=1), Signals(13.0, 14.0), (12.0, ExitResult(code=1, finished_at=12.0))),
    ],
)
def test_the_earliest_cause_ends_a_task(
    script: Script, signals: Signals, expected: tuple[float, ExitResult] | None
) -> None:
    assert end(script, 10.0, signals) == expected
