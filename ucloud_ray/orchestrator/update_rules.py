"""Whether and how an update of the provider changes a job. Pure (control-api 4.2, LC-16 to LC-23, O7).

    expectedState given          apply only if it is the current state
    else expectedDifferentState  apply only if `state` differs from the current one
    job is final                 a non-final `state` is not applied
    not applied                  dropped whole: neither state nor text nor allocation, and not recorded

Final states may be replaced by other final ones, and texts come through at any time: that is what the current Core
does. Any text is accepted as a state.

A job that is to be started again (LC-25) does not become final by an end with `allowRestart`: it is SUSPENDED, "not
final, can transition to one of the active states again", and waits. While it waits, the same end once more says nothing
new. The first state of its next life, or an end that allows no restart, ends the waiting. `restarts` starts it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from ucloud_ray.wire.updates import JobUpdate

RUNNING, SUSPENDED = "RUNNING", "SUSPENDED"
FINAL_STATES = frozenset({"SUCCESS", "FAILURE", "EXPIRED"})
_MAY_ALLOW_RESTART = frozenset({"SUCCESS", "FAILURE", "SUSPENDED"})


@dataclass(frozen=True, slots=True)
class RestartPace:
    """How long a job waits before it is started again. Milliseconds."""

    shortest: int = 2_000
    longest: int = 300_000
    calm: int = 600_000
    """A life as long as this does not count as ended soon."""

    def pause(self, soon_ends: int) -> int:
        """Doubled with every end that came soon after the one before."""
        return min(self.shortest << min(soon_ends, 32), self.longest)


@dataclass(frozen=True, slots=True)
class JobFacts:
    """What updates can change. Times in milliseconds since the epoch."""

    state: str
    updated_at: int
    """Timestamp of the newest update; the creation when there is none."""
    update_count: int = 0
    started_at: int | None = None
    time_allocation: int | None = None
    """Total, in milliseconds."""
    output_folder: str | None = None
    allow_restart: bool = False
    resources: list[dict[str, Any]] | None = None
    """None: as in the specification."""
    restart_on_exit: bool = False
    """As the user wished; no update changes it."""
    restart_at: int | None = None
    """When it will be started again; None: it does not wait for that."""
    restart_ordered: bool = False
    """The order to start it went out, and its next life has not been heard of."""
    soon_ends: int = 0
    """How many lives in a row ended soon."""

    @property
    def is_final(self) -> bool:
        return self.state in FINAL_STATES

    @property
    def expires_at(self) -> int | None:
        if self.started_at is None or self.time_allocation is None:
            return None
        return self.started_at + self.time_allocation


@dataclass(frozen=True, slots=True)
class Applied:
    facts: JobFacts
    recorded: tuple[dict[str, Any], ...]
    """As they appear in `updates` of the job, in order."""


def apply_updates(
    facts: JobFacts, updates: Iterable[JobUpdate], now: int, pace: RestartPace = RestartPace()
) -> Applied:
    """The updates of one request for one job. They share a timestamp, later than any before (LC-20)."""
    timestamp = max(now, facts.updated_at + 1)
    recorded: list[dict[str, Any]] = []
    for update in updates:
        if _says_nothing_new(facts, update) or not is_applied(facts.state, update):
            continue
        if _is_restartable_end(facts, update):
            facts, told = _waiting(facts, update, timestamp, pace)
            recorded += told
        else:
            facts = _after(facts, update, timestamp)
            recorded.append(_record(update, timestamp))
    return Applied(facts, tuple(recorded))


def _is_restartable_end(facts: JobFacts, update: JobUpdate) -> bool:
    return facts.restart_on_exit and not facts.is_final and _is_natural_end(update)


def _is_natural_end(update: JobUpdate) -> bool:
    """LC-14."""
    return update.state in FINAL_STATES & _MAY_ALLOW_RESTART and update.allow_restart is True


def _says_nothing_new(facts: JobFacts, update: JobUpdate) -> bool:
    return facts.restart_at is not None and _is_natural_end(update)


def _waiting(
    facts: JobFacts, update: JobUpdate, timestamp: int, pace: RestartPace
) -> tuple[JobFacts, list[dict[str, Any]]]:
    """The end of one life, and a text of our own that says when the next one begins."""
    ran = timestamp - facts.started_at if facts.started_at is not None else 0
    soon_ends = 0 if ran >= pace.calm else facts.soon_ends
    pause = pace.pause(soon_ends)
    shown = update.model_copy(update={"state": SUSPENDED})
    notice = JobUpdate(status=_notice(pause))
    facts = _after(_after(facts, shown, timestamp), notice, timestamp)
    facts = replace(facts, restart_at=timestamp + pause, soon_ends=soon_ends + 1)
    return facts, [_record(shown, timestamp), _record(notice, timestamp)]


def _notice(pause: int) -> str:
    seconds = -(-pause // 1000)
    return f"Your job will be started again in {seconds} second{'' if seconds == 1 else 's'}"


def is_applied(current: str, update: JobUpdate) -> bool:
    if update.expected_state is not None:
        if update.expected_state != current:
            return False
    elif update.expected_different_state and update.state == current:
        return False
    return not (current in FINAL_STATES and update.state is not None and update.state not in FINAL_STATES)


def _after(facts: JobFacts, update: JobUpdate, timestamp: int) -> JobFacts:
    state = facts.state if update.state is None else update.state
    starts = state == RUNNING and facts.state != RUNNING
    waits = update.state is None  # any state ends the waiting for a restart; `_waiting` begins a new one
    return replace(
        facts,
        state=state,
        updated_at=timestamp,
        update_count=facts.update_count + 1,
        started_at=timestamp if starts else facts.started_at,
        time_allocation=_given(update.new_time_allocation, facts.time_allocation),
        output_folder=_given(update.output_folder, facts.output_folder),
        allow_restart=_allow_restart(facts, update),
        resources=_given(_valid_resources(update.resource_list), facts.resources),
        restart_at=facts.restart_at if waits else None,
        restart_ordered=facts.restart_ordered and waits,
    )


def _allow_restart(facts: JobFacts, update: JobUpdate) -> bool:
    # K answers 400 to the flag beside another state. G ignores it there, and so do we: `false` with EXPIRED is honest.
    if update.allow_restart is None or update.state not in _MAY_ALLOW_RESTART:
        return facts.allow_restart
    return update.allow_restart


def _valid_resources(resources: list[dict[str, Any]] | None) -> list[dict[str, Any]] | None:
    # O17: entries that are none are dropped without a word.
    if resources is None:
        return None
    return [entry for entry in resources if isinstance(entry.get("type"), str)]


def _given(new: Any, old: Any) -> Any:
    return old if new is None else new


def _record(update: JobUpdate, timestamp: int) -> dict[str, Any]:
    record: dict[str, Any] = {
        "state": update.state,
        "outputFolder": update.output_folder,
        "status": update.status,
        "expectedState": update.expected_state,
        "expectedDifferentState": update.expected_different_state,
        "newTimeAllocation": update.new_time_allocation,
        "allowRestart": update.allow_restart,
        "newMounts": update.new_mounts,
        "timestamp": timestamp,
    }
    if update.resource_list is not None:
        record["resourceList"] = update.resource_list
    return record
