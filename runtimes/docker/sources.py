"""Whether everything that a task wants to see exists on this machine (ENV-15), in words that name no path of ours.

`driver.prepare` asks before an image is fetched; the daemon itself refuses what has vanished by the time of the start,
and `launch` then asks for the words only.
"""

from __future__ import annotations

import os

from runtimes.docker import spec as container_spec
from runtimes.errors import InvalidTask
from runtimes.types import TaskSpec


def require(spec: TaskSpec) -> None:
    """Raises `errors.InvalidTask`. What this process may not look at is left to the daemon, which may."""
    for source in (str(spec.job_folder), *(mount.source for mount in spec.mounts)):
        try:
            os.stat(source)
        except (FileNotFoundError, NotADirectoryError) as missing:
            raise refusal(spec, source) from missing
        except OSError:
            continue


def refusal(spec: TaskSpec, source: str) -> InvalidTask:
    """Why a task with this missing source cannot run."""
    if source == str(spec.job_folder):
        return InvalidTask(f"The job folder, which the task shall see as {container_spec.WORK}, does not exist.")
    target = next((mount.target for mount in spec.mounts if mount.source == source), None)
    return InvalidTask(f"{target or 'A folder'} cannot be mounted: what it shall show does not exist.")
