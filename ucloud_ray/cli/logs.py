"""What `jobs logs` prints: the output that is there, then, if asked, what comes."""

from __future__ import annotations

from typing import Any

from ucloud_ray.cli import output
from ucloud_ray.cli.api import Api
from ucloud_ray.cli.errors import UsageMistake
from ucloud_ray.cli.follow import Follower, OutputSeen, Place
from ucloud_ray.cli.log_parts import Chosen, Parts, Unknown
from ucloud_ray.cli.run import follow_to_the_end
from ucloud_ray.cli.screen import Screen

NOT_HERE = "this server tells no parts of logs, only all that it kept: leave the option out"


def show(api: Api, job_id: str, chosen: Chosen, follow: bool, as_json: bool) -> None:
    """Raises `UsageMistake` for a rank that is not there, or an option that this server cannot serve."""
    if follow and chosen.is_all:
        follow_to_the_end(api, job_id, as_json=False, wants=chosen.wants)
    job = api.job(job_id)
    replicas = int(job["specification"].get("replicas") or 1)
    if chosen.rank is not None and chosen.rank >= replicas:
        raise UsageMistake(f"the job has {replicas} node(s)", f"choose a rank below {replicas}")
    try:
        begin = _show_parts(Parts(api, job_id, chosen), chosen, job, as_json)
    except Unknown:
        if as_json or not chosen.is_all:
            raise UsageMistake(NOT_HERE) from None
        _show_what_is_replayed(api, job_id, chosen)
        return
    if follow:
        follow_to_the_end(api, job_id, as_json=False, wants=chosen.wants, begin=begin)


def _show_parts(parts: Parts, chosen: Chosen, job: dict[str, Any], as_json: bool) -> dict[Place, int]:
    """Where each stream goes on."""
    screen, told, ends = Screen(), [], {}
    for place in chosen.places(job):
        for part in parts.read(place):
            ends[place] = int(part["nextOffset"])
            told.append(part)
            if not as_json and part["text"]:
                screen.show(OutputSeen(*place, part["text"]))
    if as_json:
        output.show_json(told)
    return ends


def _show_what_is_replayed(api: Api, job_id: str, chosen: Chosen) -> None:
    """UCloud/Core has no other way."""
    screen = Screen()
    for seen in Follower(api, job_id).so_far():
        if isinstance(seen, OutputSeen) and chosen.wants(seen):
            screen.show(seen)
