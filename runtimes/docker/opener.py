"""How a container's first process writes to our pipes and not to the daemon, whatever is in its image.

The daemon reads and copies whatever a container writes to it, on the processors that everybody shares. So the container
is started with a static busybox of this machine, mounted read-only beside the pipes, whose shell opens them and becomes
the program. See docs/decisions/0012-output-through-named-pipes.md. Called by `launch`.

The shell is not to be noticed: it finds the program as the C library would and answers as it would (LC-12), and the
variables that it changes or does not know how to keep are set again by busybox's `env`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path

from runtimes.output.fifos import STREAMS

TARGET = "/.ucloud-ray"
"""Where a container sees the folder. Not below anything that a user could mount a drive on."""
PROGRAM, SCRIPT = "busybox", "start"
PLACES = ("/bin/busybox", "/usr/bin/busybox")
MISSING = (
    "This machine has no static busybox, with which containers write their output: install busybox-static (Debian)"
    " or put one at /usr/bin/busybox."
)
_CHANGED = ("SHLVL", "PWD", "OLDPWD", "IFS", "OPTIND", "PPID")
"""Variables that the shell has a use for itself."""
_ADDED = ("SHLVL", "PWD", "OLDPWD")
_ORDINARY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PROGRAM_INTERPRETER = 3

# $1 becomes the program's path: `env` would run busybox's own program of a name without a slash. The first one that may
# not be executed is remembered, because that and not "not found" is then the answer.
_TEXT = """\
exec 1<>{out} 2<>{err}
case $1 in
*/*) ;;
*)
    _ucloud_ray_name=$1 _ucloud_ray_found= _ucloud_ray_ifs=$IFS
    shift
    set -f
    IFS=:
    for _ucloud_ray_folder in $PATH; do
        _ucloud_ray_file=${{_ucloud_ray_folder:-.}}/$_ucloud_ray_name
        [ -e "$_ucloud_ray_file" ] && [ -n "$_ucloud_ray_name" ] || continue
        [ -x "$_ucloud_ray_file" ] && [ ! -d "$_ucloud_ray_file" ] && _ucloud_ray_found=$_ucloud_ray_file && break
        _ucloud_ray_found=${{_ucloud_ray_found:-$_ucloud_ray_file}}
    done
    IFS=$_ucloud_ray_ifs
    [ -n "$_ucloud_ray_found" ] || {{ echo "$_ucloud_ray_name: not found" >&2; exit 127; }}
    set -- "$_ucloud_ray_found" "$@"
    ;;
esac
case $1 in
*=*) exec "$@" ;;
*) exec {env} -- {variables} "$@" ;;
esac
"""


def command(program: Sequence[str]) -> dict[str, list[str]]:
    """The container's ENTRYPOINT and CMD, which start this program with these arguments."""
    first, *arguments = program
    return {"Entrypoint": [f"{TARGET}/{PROGRAM}", "sh", f"{TARGET}/{SCRIPT}", first], "Cmd": arguments}


def script(variables: Mapping[str, str]) -> str:
    """`variables`: everything that the container will have been given."""
    kept = [f"{name}={value}" for name, value in variables.items() if name in _CHANGED or not _ORDINARY.fullmatch(name)]
    removed = [f"-u {name}" for name in _ADDED if name not in variables]
    out, err = (f"{TARGET}/{name}" for name in STREAMS)
    env = " ".join([f"{TARGET}/{PROGRAM}", "env", *removed])
    return _TEXT.format(out=out, err=err, env=env, variables=" ".join(map(shlex.quote, kept)))


def find_busybox(places: Sequence[str] = PLACES) -> Path | None:
    """One that needs nothing of the image; None if this machine has none."""
    on_path = shutil.which("busybox")
    candidates = [Path(place) for place in (*places, *([on_path] if on_path else []))]
    return next((path for path in candidates if _is_static(path)), None)


def _is_static(path: Path) -> bool:
    """Whether it asks for no loader: no such entry in the table of an ELF file's segments."""
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
    except OSError:
        return False
    if head[:5] != b"\x7fELF\x02":  # of 64 bits
        return False
    order = "<" if head[5] == 1 else ">"
    (start,), (size, count) = struct.unpack_from(f"{order}Q", head, 32), struct.unpack_from(f"{order}HH", head, 54)
    kinds = {struct.unpack_from(f"{order}I", head, start + size * index)[0] for index in range(count)}
    return _PROGRAM_INTERPRETER not in kinds


def provide(state_dir: Path, busybox: Path) -> Path:
    """A copy in our own folder, where it can be linked to. Made once for all tasks of a machine. Raises `OSError`."""
    status = busybox.stat()
    kept = state_dir / f".busybox-{status.st_size}-{int(status.st_mtime)}"
    if not kept.exists():
        draft = state_dir / f".busybox-{os.getpid()}-{os.urandom(4).hex()}"
        shutil.copyfile(busybox, draft)
        draft.chmod(0o755)
        draft.rename(kept)
    return kept
