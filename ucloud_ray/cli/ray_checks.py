"""Whether the Ray that runs on this machine has what ucloud-ray needs of it. Called by `checks`.

`up` and `node` start it so. What else starts it, a service of the operator's or a cluster launcher, may have forgotten
something that is missed only on the day when something breaks (`cluster.yaml` has the list).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psutil

from ucloud_ray.cli.checks import Check

NAME = "ray runs"

NEEDED = {
    "RAY_AUTH_MODE": ("token", "whoever reaches its port could run programs here"),
    "RAY_memory_monitor_refresh_ms": ("0", "it would kill our actors when a user's program uses much memory"),
    "RAY_worker_niceness": ("0", "it would run our actors behind everything else"),
}
"""Variable to its value and what happens without it."""

PATIENCE = "RAY_gcs_rpc_server_reconnect_timeout_s"
USUAL_PATIENCE = 60.0
"""Seconds for which a raylet whose head is gone lives on, and is nobody's: a new head does not know it."""

HEAD = "node:__internal_head__"
OURS = ("up", "node")
"""Commands of ours that keep Ray running."""


@dataclass(frozen=True, slots=True)
class Raylet:
    """Ray's process of a machine, as the kernel shows it."""

    pid: int
    arguments: Sequence[str]
    environment: Mapping[str, str]
    keeper: str
    """The command of ours that keeps it running; empty: something else does, or nothing."""


def ray(grace: float) -> Iterator[Check]:
    """`grace`: `policy.nodeLossGraceSeconds`."""
    found = list(_raylets())
    for raylet in found:
        yield from of_raylet(raylet, grace)
    if not found:
        yield Check(NAME, None, "not here; `ucloud-ray up` and `ucloud-ray node` start it with what it needs")


def of_raylet(raylet: Raylet, grace: float) -> Iterator[Check]:
    """One line for everything that is missing, or one that all is well."""
    problems = list(_problems(raylet, grace))
    for detail, remedy in problems:
        yield Check(NAME, False, f"raylet {raylet.pid}: {detail}", remedy)
    if not problems:
        kept = f"kept running by `ucloud-ray {raylet.keeper}`" if raylet.keeper else "by something that is not ours"
        yield Check(NAME, True, f"raylet {raylet.pid} with all that it needs, {kept}")


def _problems(raylet: Raylet, grace: float) -> Iterator[tuple[str, str]]:
    """Detail and remedy."""
    for name, (value, otherwise) in NEEDED.items():
        if raylet.environment.get(name) != value:
            yield f"without {name}={value} {otherwise}", f"start Ray with {name}={value}"
    if not any("ucloud-ray/host" in argument for argument in raylet.arguments if argument.startswith("--labels")):
        yield "no job is placed here: it has no label ucloud-ray/host", 'use --labels="ucloud-ray/host=$(hostname)"'
    patience = float(raylet.environment.get(PATIENCE, USUAL_PATIENCE))
    if not (raylet.keeper or _is_head(raylet)) and patience >= grace:
        yield (
            f"it notices a new head after {patience:g} s, and its jobs are lost after {grace:g} s",
            "let `ucloud-ray node` keep it running",
        )


def _is_head(raylet: Raylet) -> bool:
    return any(HEAD in argument for argument in raylet.arguments if argument.startswith("--static_resource_list"))


def _raylets() -> Iterator[Raylet]:
    """Those that we may look into."""
    for process in psutil.process_iter():
        try:
            arguments = process.cmdline()
            if arguments and arguments[0].endswith("/raylet/raylet"):
                yield Raylet(process.pid, arguments, process.environ(), _keeper(process))
        except psutil.Error:
            continue


def _keeper(process: psutil.Process) -> str:
    for parent in process.parents():
        words = parent.cmdline()
        ours = any(word.endswith(("ucloud_ray", "/ucloud-ray")) for word in words)
        if ours and (command := next((word for word in words if word in OURS), "")):
            return command
    return ""
