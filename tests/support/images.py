"""Container images made on the spot, because a test must not need a registry."""

from __future__ import annotations

import io
import shutil
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import docker
import docker.errors

TINY = "ucloud-ray-test/tiny"
BASH = "ucloud-ray-test/bash"
BATCH = "dreg.cloud.sdu.dk/batch/batch:1.0.0"
"""What the mission document's application names."""


def missing_programs() -> str | None:
    """Why no image can be made here, or None."""
    return None if shutil.which("busybox") else "busybox is not installed (Debian: busybox-static)"


def tiny_image(
    client: docker.APIClient, tag: str = "1", changes: Sequence[str] = (), files: Mapping[str, str] | None = None
) -> str:
    """A few megabytes with a shell and the usual small programs; its reference. Made once per daemon and tag.

    `changes` are lines of a Dockerfile, such as `USER 1000`; `files` are more files, `etc/passwd` to content. Give each
    set of them a tag of its own.
    """
    reference = f"{TINY}:{tag}"
    try:
        client.inspect_image(reference)
    except docker.errors.ImageNotFound:
        client.import_image_from_data(_root_file_system(files or {}), repository=TINY, tag=tag, changes=list(changes))
    return reference


def bash_image(client: docker.APIClient) -> str:
    """The same with a bash, this machine's own; its reference."""
    reference = f"{BASH}:1"
    try:
        client.inspect_image(reference)
    except docker.errors.ImageNotFound:
        data = _root_file_system({}, _with_libraries("bash"))
        client.import_image_from_data(data, repository=BASH, tag="1", changes=["USER 11042:11042"])
    return reference


def _with_libraries(program: str) -> dict[str, Path]:
    """Where it and the libraries that it is linked with belong, and where they are."""
    path = shutil.which(program)
    assert path is not None
    listed = subprocess.run(["ldd", path], check=True, capture_output=True, text=True).stdout.split()
    libraries = [Path(word) for word in listed if word.startswith("/")]
    return {f"bin/{program}": Path(path), **{str(library).lstrip("/"): library for library in libraries}}


def batch_image(url: str) -> str:
    """The image of the demo on that daemon, made by the demo's own script; its reference."""
    script = Path(__file__).parents[2] / "scripts/demo-image/build"
    subprocess.run([script, url.removeprefix("unix://")], check=True, capture_output=True)
    return BATCH


def _root_file_system(files: Mapping[str, str], programs: Mapping[str, Path] | None = None) -> bytes:
    """Both by their name in the image: the content of a file, a program of this machine."""
    busybox = shutil.which("busybox")
    assert busybox is not None
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("tmp", 0o1777)):
            tar.addfile(_entry(folder, tarfile.DIRTYPE, mode))
        program = Path(busybox).read_bytes()
        tar.addfile(_entry("bin/busybox", tarfile.REGTYPE, 0o755, size=len(program)), io.BytesIO(program))
        for name, text in files.items():
            tar.addfile(_entry(name, tarfile.REGTYPE, 0o644, size=len(text.encode())), io.BytesIO(text.encode()))
        for name, file in (programs or {}).items():
            content = file.read_bytes()
            tar.addfile(_entry(name, tarfile.REGTYPE, 0o755, size=len(content)), io.BytesIO(content))
        for applet in _applets(busybox):
            tar.addfile(_entry(f"bin/{applet}", tarfile.SYMTYPE, 0o777, link="busybox"))
    return buffer.getvalue()


def _applets(busybox: str) -> list[str]:
    listed = subprocess.run([busybox, "--list"], check=True, capture_output=True, text=True).stdout.split()
    return [applet for applet in listed if applet != "busybox"]


def _entry(name: str, kind: bytes, mode: int, size: int = 0, link: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode, entry.size, entry.linkname = kind, mode, size, link
    return entry
