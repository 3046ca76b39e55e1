"""What this driver keeps on disk for a task: one folder, with the content of `/etc/ucloud`, the pipes of its output
and, during a start, pins.

    <state_dir>/<name>/
        etc/         `/etc/ucloud`
        output/      what the container finds at `opener.TARGET`: pipes, busybox, a script
        end.fifo, missing, lock, drained
                     of the process that carries the output, see `runtimes.native.beside`

Called by `launch` and `driver`. `etc` is mounted whole, so that a file that is replaced later is seen in the container.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from runtimes.docker import opener
from runtimes.errors import InvalidTask, RuntimeUnavailable
from runtimes.mounts import pins
from runtimes.output import fifos

_GONE = ".gone-"
_REMOVAL_ATTEMPTS = 3


def task_folder(state_dir: Path, name: str) -> Path:
    """Everything that this driver keeps on disk for the task of this name."""
    return state_dir / name


def etc_folder(state_dir: Path, name: str) -> Path:
    return task_folder(state_dir, name) / "etc"


def output_folder(state_dir: Path, name: str) -> Path:
    return task_folder(state_dir, name) / fifos.INNER


@contextmanager
def alone(state_dir: Path, name: str) -> Iterator[bool]:
    """Make the task's folder and be the only one of all processes that starts this task. Blocks; raises `OSError`.

    The lock is the folder itself and goes with the process that holds it. True if the folder was not there before.
    """
    while True:
        made = make_folders(state_dir, name)
        opened = _open(task_folder(state_dir, name))
        if opened is None:
            continue
        try:
            fcntl.flock(opened, fcntl.LOCK_EX)
            if not _is_at(opened, task_folder(state_dir, name)):
                continue  # It was removed by whoever had the lock before.
            yield made
            return
        finally:
            os.close(opened)


def release_abandoned(state_dir: Path, name: str) -> None:
    """Let go of what a starter held that died; one that lives is left alone. Raises `OSError`."""
    opened = _open(task_folder(state_dir, name))
    if opened is None:
        return
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        pins.release(task_folder(state_dir, name))
    except BlockingIOError:
        return
    finally:
        os.close(opened)


def make_folders(state_dir: Path, name: str) -> bool:
    """Made before the container, because Docker refuses a mount without source; harmless to a task that has it.

    True if the task's folder was not there before.
    """
    state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        task_folder(state_dir, name).mkdir(mode=0o700)
        made = True
    except FileExistsError:
        made = False
    with suppress(FileNotFoundError):  # removed at this moment, which the caller will notice
        etc_folder(state_dir, name).mkdir(mode=0o755, exist_ok=True)
    return made


def make_output(state_dir: Path, name: str, busybox: Path, script: str) -> None:
    """The pipes, and with what the container opens them; nothing happens if they are there. `busybox` is on the same
    file system. Raises `OSError`.

    Seen whole or not at all: a container and a pump must meet in the same pipes. Anybody inside may open them by name,
    which is why the folders above are ours alone.
    """
    output = output_folder(state_dir, name)
    if output.exists():
        return
    draft = output.with_name(f".output-{uuid.uuid4().hex}")
    draft.mkdir(mode=0o755)
    fifos.make(str(draft), mode=0o666)
    os.link(busybox, draft / opener.PROGRAM)
    (draft / opener.SCRIPT).write_text(script, errors="surrogateescape")
    for what, mode in ((draft / opener.SCRIPT, 0o444), (draft, 0o755)):  # whatever our umask is
        what.chmod(mode)
    with suppress(FileExistsError):  # of a maker that died
        fifos.make_end(str(output.parent))
    with suppress(FileExistsError):
        fifos.make_missing(str(output.parent))
    draft.rename(output)


def write(state_dir: Path, name: str, files: Mapping[str, bytes]) -> None:
    """Write the files, each whole or not at all. Raises `errors.InvalidTask` for a name that leads elsewhere."""
    for relative, content in files.items():
        path = PurePosixPath(relative)
        if path.is_absolute() or not path.parts or ".." in path.parts:
            raise InvalidTask(f"{relative!r} cannot be the name of a file below /etc/ucloud.")
        _write_one(etc_folder(state_dir, name) / path, content)


def _write_one(file: Path, content: bytes) -> None:
    file.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.draft")
    draft.write_bytes(content)
    draft.chmod(0o444)
    os.replace(draft, file)


def remove(state_dir: Path, name: str) -> None:
    """Nothing to remove is success. Raises `errors.RuntimeUnavailable` if something stays mounted below it.

    Renamed first, so that a starter that is still at it cannot mount a user's drive below a folder that is being
    emptied. What a process that died in between left renamed goes with the next one.
    """
    with suppress(OSError):  # nobody to be told, or nothing to remove
        fifos.tell_end(str(task_folder(state_dir, name)))
    with suppress(FileNotFoundError):
        os.rename(task_folder(state_dir, name), state_dir / f"{_GONE}{uuid.uuid4().hex}")
    for gone in state_dir.glob(f"{_GONE}*"):
        try:
            with suppress(FileNotFoundError):  # another process removes it at this moment
                pins.release(gone)
        except OSError as error:
            raise RuntimeUnavailable("What a task saw of its drive cannot be unmounted on this machine.") from error
        _remove_tree(gone)


def _remove_tree(folder: Path) -> None:
    """Whoever carried the output may write his last word into it at this moment."""
    for _ in range(_REMOVAL_ATTEMPTS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return


def _open(folder: Path) -> int | None:
    try:
        return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None


def _is_at(opened: int, folder: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(opened), folder.stat())
    except FileNotFoundError:
        return False
