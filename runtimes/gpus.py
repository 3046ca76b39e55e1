"""Which GPUs a task gets to see, and how it is kept from the others (ENV-38). Pure but for a look at device files.

Called by the drivers that have devices to give. Three hands hold the fence, because each of them alone has a gap:
variables tell the vendor's libraries what to look at (a program may ignore them), a container gets the device files of
its own devices and no others, and a process may not open those of others where control groups can forbid it.

Devices are named as the control plane knows them: by their index on the machine, for NVIDIA also by their UUID.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from runtimes.errors import InvalidTask
from runtimes.types import TaskSpec

DEV = Path("/dev")
_NVIDIA_NODE = re.compile(r"nvidia(\d+)")
_RENDER_NODE = re.compile(r"renderD(\d+)")
_FIRST_RENDER_NODE = 128
_NVIDIA_PROC = Path("/proc/driver/nvidia/gpus")

NONE = "-1"
"""An index that no device has: hides all of them, where an empty value may count as no value at all."""


def count(dev: Path = DEV) -> int:
    """Devices of this machine, of the vendor that has more of them."""
    nvidia = sum(1 for name in _names(dev) if _NVIDIA_NODE.fullmatch(name))
    # A render node may be of any graphics card; only with the compute interface do they count.
    amd = sum(1 for name in _names(dev / "dri") if _RENDER_NODE.fullmatch(name)) if (dev / "kfd").exists() else 0
    return max(nvidia, amd)


def check(spec: TaskSpec) -> None:
    """Exactly the devices that were promised. Raises `errors.InvalidTask`."""
    if spec.gpu_count != len(set(spec.gpu_ids)):
        raise InvalidTask(f"The task was promised {spec.gpu_count} GPUs and was assigned {len(set(spec.gpu_ids))}.")


def variables_of_process(spec: TaskSpec) -> dict[str, str]:
    """A process numbers devices as the machine does. All others are hidden, of the other vendor too."""
    mine = ",".join(spec.gpu_ids)
    nvidia, amd = (mine, "") if spec.gpu_type == "nvidia" else ("", mine)
    return {
        "CUDA_VISIBLE_DEVICES": nvidia or NONE,
        "NVIDIA_VISIBLE_DEVICES": nvidia or "void",
        "ROCR_VISIBLE_DEVICES": amd or NONE,
    }


def variables_of_container(spec: TaskSpec) -> dict[str, str]:
    """Inside a container devices are numbered anew, so nothing is said to the libraries. But NVIDIA's container runtime
    reads its orders from a variable that an image or a user may set: `all` would open every device to everybody."""
    mine = ",".join(spec.gpu_ids) if spec.gpu_type == "nvidia" else ""
    return {"NVIDIA_VISIBLE_DEVICES": mine or "void"}


def of_container(spec: TaskSpec, dev: Path = DEV) -> dict[str, Any]:
    """Part of Docker's `HostConfig`. Never "any two": Docker would give the same two to everybody.

    Raises `errors.InvalidTask` if the task has not exactly what it was promised.
    """
    check(spec)
    runtime = {"Runtime": spec.runtime} if spec.runtime else {}
    if not spec.gpu_ids:
        return runtime
    if spec.gpu_type == "nvidia":
        request = {"DeviceIDs": list(spec.gpu_ids), "Capabilities": [["gpu"]]}
        return {**runtime, "DeviceRequests": [request]}
    return {**runtime, "Devices": [_mapped(path) for path in amd_nodes(spec.gpu_ids, dev)]}


def groups_of_container(spec: TaskSpec, dev: Path = DEV) -> list[int]:
    """Groups of the machine that may open the device files: NVIDIA's are everybody's."""
    if spec.gpu_type != "amd":
        return []
    found: set[int] = set()
    for path in amd_nodes(spec.gpu_ids, dev):
        with suppress(OSError):
            found.add(path.stat().st_gid)
    return sorted(found)


def amd_nodes(ids: Sequence[str], dev: Path = DEV) -> list[Path]:
    """The compute interface, which all devices share, and the render node of each device."""
    if not ids:
        return []
    for device in ids:
        if not device.isdigit():
            raise InvalidTask(f"The GPU {device} is not named by its number.")
    return [dev / "kfd", *(dev / "dri" / f"renderD{_FIRST_RENDER_NODE + int(device)}" for device in ids)]


def forbidden(spec: TaskSpec, dev: Path = DEV) -> list[tuple[int, int]]:
    """Major and minor number of the device files of this machine's GPUs that are not the task's."""
    mine = _minors(spec.gpu_ids) if spec.gpu_type == "nvidia" else set()
    nvidia = [dev / name for name in _names(dev) if (m := _NVIDIA_NODE.fullmatch(name)) and int(m[1]) not in mine]
    render = (
        {_FIRST_RENDER_NODE + int(name) for name in spec.gpu_ids if name.isdigit()} if spec.gpu_type == "amd" else set()
    )
    dri = dev / "dri"
    amd = [dri / name for name in _names(dri) if (m := _RENDER_NODE.fullmatch(name)) and int(m[1]) not in render]
    return [number for path in (*nvidia, *amd) if (number := _number(path)) is not None]


def _minors(ids: Sequence[str], proc: Path = _NVIDIA_PROC) -> set[int]:
    """The numbers in the names of the device files. For an index they are taken to be the same, which holds unless an
    administrator reordered them; a UUID is looked up."""
    found = {int(device) for device in ids if device.isdigit()}
    for name in _names(proc) if len(found) < len(ids) else ():
        with suppress(OSError):
            facts = dict(re.findall(r"(GPU UUID|Device Minor):\s*(\S+)", (proc / name / "information").read_text()))
            if facts.get("GPU UUID") in ids:
                found.add(int(facts["Device Minor"]))
    return found


def _mapped(path: Path) -> dict[str, str]:
    return {"PathOnHost": str(path), "PathInContainer": str(path), "CgroupPermissions": "rw"}


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _number(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return (os.major(status.st_rdev), os.minor(status.st_rdev)) if stat.S_ISCHR(status.st_mode) else None
