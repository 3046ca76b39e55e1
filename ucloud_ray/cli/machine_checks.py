"""What kernel and hardware offer: cgroups, process handles, virtual machines, GPUs. Called by `checks`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from ucloud_ray.cli.checks import Check

CGROUPS = Path("/sys/fs/cgroup")


def kernel() -> Iterator[Check]:
    yield _cgroups()
    yield _process_handles()


def _cgroups() -> Check:
    """Found by making a group and removing it again: the files' permissions do not tell."""
    unified = (CGROUPS / "cgroup.controllers").exists()
    roots = [CGROUPS] if unified else [CGROUPS / controller for controller in ("cpu", "memory", "pids")]
    refused = [root for root in roots if not _can_make_group(root)]
    version = "v2" if unified else "v1"
    if refused:
        names = ", ".join(str(root) for root in refused)
        return Check(
            "cgroups", None, f"{names} cannot be written: processes have no hard limits", "run as root for them"
        )
    return Check("cgroups", True, f"{version}, writable: processes have hard limits")


def _can_make_group(root: Path) -> bool:
    probe = root / f"ucloud-ray-doctor-{os.getpid()}"
    try:
        probe.mkdir()
        probe.rmdir()
    except OSError:
        return False
    return True


def _process_handles() -> Check:
    try:
        handle = os.pidfd_open(os.getpid())
        signal.pidfd_send_signal(handle, 0)
        os.close(handle)
    except OSError as error:
        return Check("pidfd", False, f"the kernel refuses it ({error.strerror})", "native jobs need Linux 5.3 or newer")
    return Check("pidfd", True, "processes can be watched without mistaking one for another")


def virtual_machines() -> Iterator[Check]:
    virsh = shutil.which("virsh")
    if virsh is None:
        yield Check("libvirt", None, "not installed", "only needed for virtual machines")
    else:
        answer = _output([virsh, "--connect", "qemu:///system", "version", "--daemon"])
        detail = answer.splitlines()[-1] if answer else "installed, but its daemon does not answer"
        yield Check("libvirt", None, detail, "" if answer else "start libvirtd; only needed for virtual machines")
    yield _kvm()


def _kvm() -> Check:
    device = Path("/dev/kvm")
    if not device.exists():
        return Check("kvm", None, "no /dev/kvm: virtual machines would be emulated, which is slow")
    if not os.access(device, os.R_OK | os.W_OK):
        return Check("kvm", None, "/dev/kvm is not ours to use", "add the user to the group kvm")
    # The device alone proves nothing: on some nested hosts a guest starts and then hangs.
    return Check("kvm", None, "/dev/kvm is there; whether a guest boots is only seen by booting one")


def gpus() -> Iterator[Check]:
    tool = shutil.which("nvidia-smi")
    listed = _output([tool, "--list-gpus"]) if tool else ""
    names = [line.split(" (UUID")[0] for line in listed.splitlines() if line.startswith("GPU ")]
    yield Check("gpus", None, "; ".join(names) or "none found")


def _output(command: list[str]) -> str:
    """Standard output, empty for any failure."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
