"""One check over everything, after whatever was broken: `inspect(workload, before)` returns findings.

Every job has reached one final state with the right reason, each program ran once per rank and life, the log is whole,
updates came in order without gaps or repetitions, nothing is left on the machine, in the books or on its way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.faults import books, machine
from tests.faults.findings import Findings
from tests.faults.planned import Planned
from tests.faults.unanswered import check_unanswered, end_unanswered
from tests.faults.workload import Json, Started, Workload
from tests.support.stack import FINAL, Stack, states, story, texts
from tests.support.wait import wait_until

WAITING = "Your job is now waiting in the queue!"
QUEUE_NEWS = ("Waiting for room", "There are currently no machines", "Your job could not be started yet")
"""Beginnings of texts that may come again: what they say may have become true again."""
TRY_AGAIN, PLACED = "Your job could not be started yet", "Your job has been scheduled"
"""A start that failed for a passing reason, and what follows it (SCH-11)."""
SETTLE_SECONDS = 30.0
"""In which the last traces of a job go: its final state is told first where nobody else can need what is left."""
Look = Callable[[], Mapping[str, set[str]]]

STREAMS = {"stdout": "out", "stderr": "err"}


def inspect(
    workload: Workload, before: Mapping[str, set[str]], look: Look | None = None, losses: Sequence[str] = ()
) -> Findings:
    """`before`: `machine.snapshot` before the workload. `look`: another way to take one, where there are several
    machines. `losses`: last texts of jobs that the fault may cost."""
    findings = Findings()
    unanswered = end_unanswered(workload)
    for job in workload.jobs.values():
        if not _is_lost(job, losses, findings):
            _inspect_job(job, findings)
    check_unanswered(workload, unanswered, findings)
    stack = workload.stack
    _nothing_left(stack, before, look or (lambda: machine.snapshot(stack)), unanswered.given_up, findings)
    return findings


def require_nothing_wrong(workload: Workload, findings: Findings) -> None:
    """Fails with everything that is wrong at once."""
    assert not findings.wrong, "\n".join(
        [f"seed {workload.seed}:", *findings.wrong, "", workload.stories(), workload.stack.logs()]
    )


# ------------------------------------------------------------------------------------------------------- one job


def _is_lost(job: Started, losses: Sequence[str], findings: Findings) -> bool:
    """It failed by a fault of ours that was announced, told that, and ran once at most."""
    shown = job.shown()
    if shown["status"]["state"] != "FAILURE" or texts(shown)[-1] not in losses:
        return False
    findings.counts["jobs"] += 1
    findings.counts["lost"] += 1
    for rank in range(job.plan.replicas):
        starts = _lines(job.folder, f"starts-{rank}.txt")
        findings.check(len(starts) <= max(job.plan.starts), f"job {job.id} was started {len(starts)} times")
    return True


def _inspect_job(job: Started, findings: Findings) -> None:
    shown = job.shown()
    findings.counts["jobs"] += 1
    findings.counts["updates"] += len(shown["updates"])
    for wrong in (*_end(job.plan, shown), *_updates(job.plan, shown)):
        findings.wrong.append(f"{job.plan.name} (job {job.id}): {wrong}; {story(shown)}")
    for rank in range(job.plan.replicas):
        for wrong in _rank(job, rank, findings):
            findings.wrong.append(f"{job.plan.name} (job {job.id}), rank {rank}: {wrong}; {story(shown)}")


def _end(plan: Planned, shown: Json) -> list[str]:
    """One final state, for the right reason; it is the last thing that was told (LC-1, LC-12)."""
    told = shown["status"]["state"]
    wrong = []
    if told not in FINAL or states(shown).count(told) != 1 or shown["updates"][-1].get("state") != told:
        wrong.append("it has not exactly one final state, as the last update")
    if texts(shown)[-1] != plan.text:
        wrong.append(f"its last text is not {plan.text!r}")
    return wrong


def _updates(plan: Planned, shown: Json) -> list[str]:
    """Whole, in order, once (LC-20, D10). Only the very first may be there twice (decision 0003)."""
    wrong = []
    seen = states(shown)
    if seen[:2] == ["IN_QUEUE", "IN_QUEUE"]:
        seen = seen[1:]
    if tuple(seen) not in plan.states:
        wrong.append(f"its states are not {' or '.join(' '.join(one) for one in plan.states)}")
    times = [update["timestamp"] for update in shown["updates"]]
    if times != sorted(times):
        wrong.append("its updates are not in the order of their times")
    lives = max(1, seen.count("RUNNING"))
    again = sum(text.startswith(TRY_AGAIN) for text in texts(shown))
    for text, count in Counter(texts(shown)).items():
        allowed = lives + (text == WAITING) + (again if text.startswith(PLACED) else 0)
        if count > allowed and not text.startswith(QUEUE_NEWS):
            wrong.append(f"{text!r} was told {count} times")
    for state in ("RUNNING", "SUSPENDED"):
        wrong += [
            f"a state {state} has no text"
            for update in shown["updates"]
            if update.get("state") == state and not update.get("status")
        ]
    if "RUNNING" in seen and not any(update.get("outputFolder") for update in shown["updates"]):
        wrong.append("its folder was not told")
    return wrong


# ------------------------------------------------------------------------------------------------------ one rank


def _rank(job: Started, rank: int, findings: Findings) -> list[str]:
    """Starts by the program's own count, and its output, as file and through the API (REC-3, LOG-5)."""
    folder = job.folder
    starts = _lines(folder, f"starts-{rank}.txt")
    findings.counts["starts"] += len(starts)
    wrong = []
    if len(starts) not in job.plan.starts:
        wrong.append(f"its program was started {len(starts)} times: {starts}")
    if len(set(starts)) != len(starts):
        wrong.append(f"one start is noted twice: {starts}")
    for stream, word in STREAMS.items():
        written = _lines(folder, f"{stream}-{rank}.log")
        findings.counts["lines"] += len(written)
        wrong += [f"{stream}: {problem}" for problem in _numbering(job, rank, word, written)]
        told = books.log(job.stack, job.id, rank, stream)
        if told != written:
            wrong.append(f"{stream}: {len(told)} lines through the API, {len(written)} in the file")
    return wrong


def _numbering(job: Started, rank: int, word: str, written: Sequence[str]) -> list[str]:
    """Every numbered line once and in order, up to the last one that the program says it wrote."""
    ends = _lines(job.folder, f"ends-{rank}.txt")
    if not ends and job.plan.stopped_unready:
        last = len(written)
    elif not ends:
        return ["its program did not note its end"]
    else:
        last = int(ends[-1].split()[1])
    expected = [f"{word} {number}" for number in range(1, last + 1)]
    if written == expected:
        return []
    where = next(
        (n for n, (a, b) in enumerate(zip(written, expected, strict=False)) if a != b), min(len(written), last)
    )
    return [f"{len(written)} lines where {last} were written; different from {where} on: {written[where : where + 3]}"]


def _lines(folder: Path | None, name: str) -> list[str]:
    """Of a file in a job folder; none if it is not there."""
    if folder is not None:
        with suppress(FileNotFoundError):
            return (folder / name).read_text().splitlines()
    return []


# ---------------------------------------------------------------------------------------------------- everything


def _nothing_left(
    stack: Stack, before: Mapping[str, set[str]], look: Look, given_up: Sequence[str], findings: Findings
) -> None:
    """ENV-57, REC-8: on the machine, in the outbox. What is told of a job that UCloud gave up it takes from nobody."""

    def left() -> dict[str, object]:
        now = look()
        more: dict[str, object] = {kind: now[kind] - before[kind] for kind in now if now[kind] - before[kind]}
        return more | {kind: rows for kind, rows in books.under_way(stack, given_up).items() if rows}

    with suppress(AssertionError):
        wait_until(lambda: not left(), "everything to be gone", SETTLE_SECONDS)
    for kind, names in left().items():
        findings.wrong.append(f"left behind: {kind}: {names}")
