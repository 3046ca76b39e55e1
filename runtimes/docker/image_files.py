"""The accounts of an image, read out of it once per image and machine.

Called by `launch` and `driver` in a thread. A container is made of the image and never started, so nothing of the image
runs. What was read is kept beside the tasks, because the next task of this image may come to another process.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import posixpath
import tarfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from runtimes.docker.users import Accounts
from runtimes.errors import TaskNotFound

LOOK = "ucloud-ray/look"
"""Label of the containers that are only looked into."""
_ABANDONED_SECONDS = 300.0
_FILE_BYTES = 4 * 1024 * 1024
_LINKS = 8


class Daemon(Protocol):
    def create(self, name: str, config: dict[str, Any]) -> str: ...
    def archive(self, container: str, path: str, limit: int) -> bytes: ...
    def remove(self, container: str) -> None: ...
    def list_containers(self, label: str) -> list[dict[str, Any]]: ...


def accounts(daemon: Daemon, state_dir: Path, image: Mapping[str, Any]) -> Accounts:
    """Raises what the daemon's calls raise. `image`: the answer of "inspect image"."""
    kept = state_dir / f".accounts-{str(image['Id']).rpartition(':')[2]}.json"
    with contextlib.suppress(OSError, ValueError, TypeError):
        return Accounts(**json.loads(kept.read_bytes()))
    found = _look(daemon, str(image["Id"]))
    with contextlib.suppress(OSError):
        _write(kept, {"passwd": found.passwd, "group": found.group})
    return found


def _look(daemon: Daemon, image: str) -> Accounts:
    _remove_abandoned(daemon)
    body = {"Image": image, "Entrypoint": ["/"], "Labels": {LOOK: image}, "HostConfig": {"NetworkMode": "none"}}
    container = daemon.create(f"ucloud-ray-look-{uuid.uuid4().hex[:16]}", body)
    try:
        return Accounts(_text(daemon, container, "/etc/passwd"), _text(daemon, container, "/etc/group"))
    finally:
        with contextlib.suppress(TaskNotFound):
            daemon.remove(container)


def _remove_abandoned(daemon: Daemon) -> None:
    """Of processes that died while they looked."""
    for container in daemon.list_containers(LOOK):
        if time.time() - float(container["Created"]) > _ABANDONED_SECONDS:
            with contextlib.suppress(TaskNotFound):
                daemon.remove(container["Id"])


def _text(daemon: Daemon, container: str, path: str) -> str:
    """Empty for a file that the image does not have. The daemon answers a link as a link."""
    for _ in range(_LINKS):
        try:
            archive = daemon.archive(container, path, _FILE_BYTES)
        except TaskNotFound:
            return ""
        entry, content = _first_entry(archive)
        if entry is None or not entry.issym():
            return content
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), entry.linkname))
    return ""


def _first_entry(archive: bytes) -> tuple[tarfile.TarInfo | None, str]:
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
            entry = tar.next()
            file = tar.extractfile(entry) if entry is not None and entry.isreg() else None
            return entry, "" if file is None else file.read().decode(errors="replace")
    except tarfile.TarError:
        return None, ""


def _write(kept: Path, content: Mapping[str, str]) -> None:
    kept.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    draft = kept.with_name(f"{kept.name}.{uuid.uuid4().hex}")
    draft.write_text(json.dumps(content))
    os.replace(draft, kept)
