"""What `jobs logs` prints: the output that is there, then, if asked, what comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ucloud_ray.cli import output
from ucloud_ray.cli.errors import UsageMistake
from ucloud_ray.cli.run import follow_to_the_end
from ucloud_ray.cli.screen import Screen
from ucloud_ray.client import Client, NoParts, OutputSeen

STREAMS = ("stdout", "stderr")
NOT_HERE = "this server tells no parts of logs, only all that it kept: leave the option out"
Place = tuple[int, str]
"""Rank and stream."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """What of the output is wanted."""

    rank: int | None = None
    """None: every one."""
    stream: str | None = None
    tail: int | None = None
    """So many of the last lines of each stream."""
    since_offset: int | None = None

    def wants(self, seen: OutputSeen) -> bool:
        return self.rank in (None, seen.rank) and self.stream in (None, seen.stream)

    @property
    def is_all(self) -> bool:
        return self.tail is None and self.since_offset is None

    def places(self, job: Mapping[str, Any]) -> Sequence[Place]:
        ranks = range(_replicas(job)) if self.rank is None else (self.rank,)
        return [(rank, stream) for rank in ranks for stream in STREAMS if self.stream in (None, stream)]


def show(client: Client, job_id: str, chosen: Chosen, follow: bool, as_json: bool) -> None:
    """Raises `UsageMistake` for a rank that is not there, or an option that this server cannot serve."""
    if follow and chosen.is_all:
        follow_to_the_end(client, job_id, as_json=False, wants=chosen.wants)
    job = client.raw.jobs.retrieve(job_id)
    if chosen.rank is not None and chosen.rank >= _replicas(job):
        raise UsageMistake(f"the job has {_replicas(job)} node(s)", f"choose a rank below {_replicas(job)}")
    try:
        begin = _show_parts(client, chosen, job, as_json)
    except NoParts:
        if as_json or not chosen.is_all:
            raise UsageMistake(NOT_HERE) from None
        _show_what_is_replayed(client, job_id, chosen)
        return
    if follow:
        follow_to_the_end(client, job_id, as_json=False, wants=chosen.wants, begin=begin)


def _show_parts(client: Client, chosen: Chosen, job: Mapping[str, Any], as_json: bool) -> dict[Place, int]:
    """Where each stream goes on."""
    screen, told, ends = Screen(), [], {}
    handle = client.raw.jobs.handle(job["id"])
    for rank, stream in chosen.places(job):
        for part in handle.output(rank, stream, offset=chosen.since_offset or 0, tail=chosen.tail):
            ends[rank, stream] = int(part["nextOffset"])
            if as_json:
                told.append(part)
            elif part["text"]:
                screen.show(OutputSeen(rank, stream, part["text"]))
    if as_json:
        output.show_json(told)
    return ends


def _show_what_is_replayed(client: Client, job_id: str, chosen: Chosen) -> None:
    """UCloud/Core has no other way."""
    screen = Screen()
    for seen in client.jobs.handle(job_id).replay():
        if isinstance(seen, OutputSeen) and chosen.wants(seen):
            screen.show(seen)


def _replicas(job: Mapping[str, Any]) -> int:
    return int(job["specification"].get("replicas") or 1)
