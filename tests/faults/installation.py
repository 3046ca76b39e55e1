"""The installation that fault tests break: its configuration, with short times, and how it is started."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.faults.planned import CROWDED, ROOMY
from tests.support import leftovers
from tests.support.stack import DOCKER_SHELL, NATIVE_SHELL, Stack, new_stack
from tests.support.wait import wait_until

SHELLS = {"native": NATIVE_SHELL, "docker": DOCKER_SHELL}
GRACE_SECONDS = 5
"""Between SIGTERM and SIGKILL: enough for a shell on a busy machine to write its last line."""

CONFIG: Mapping[str, Any] = {
    "products": [{"name": name, "category": name, "cpu": 1, "memoryInGigs": 1} for name in (ROOMY, CROWDED)],
    "nodes": [
        {
            "categories": [ROOMY, CROWDED],
            "capacity": {ROOMY: {"cpu": 64, "memoryInGigs": 64}, CROWDED: {"cpu": 1, "memoryInGigs": 1}},
        }
    ],
    "policy": {"stopGraceSeconds": GRACE_SECONDS, "replicasPerActor": 8, "warmReplicaActors": 2},
    "orchestrator": {"restartPauseSeconds": 0.5},
}


def no_preparation(stack: Stack) -> None:
    """Nothing to do before the start."""


@contextmanager
def installation(docker_url: str, prepare: Callable[[Stack], None] = no_preparation, **changes: Any) -> Iterator[Stack]:
    """One that runs, and has run a job of each kind: what the first one makes for all (bridge, control groups) exists.
    `prepare` is called before anything is started; `changes` replace keys of the configuration."""
    stack = new_stack(docker_url)
    prepare(stack)
    file = stack.data.parent / "faults.yaml"
    file.write_text(yaml.safe_dump({**CONFIG, **changes}))
    try:
        stack.up("--config", str(file))
        stack.add_shells()
        for kind in kinds_of(stack):
            stack.run(SHELLS[kind], var="true", replicas=2, product=product(ROOMY))
        wait_until(lambda: not leftovers.of_ended_jobs(stack.data, docker_url), "the first jobs to be cleared up")
        yield stack
    finally:
        stack.close()


def kinds_of(stack: Stack) -> list[str]:
    """What jobs can be here."""
    return ["native", "docker"] if Path(stack.docker_url.removeprefix("unix://")).exists() else ["native"]


def product(category: str) -> dict[str, str]:
    return {"id": category, "category": category, "provider": "example"}
