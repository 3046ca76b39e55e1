"""Which UCloud paths a container sees, and where (ENV-11 to ENV-14, INV-29, INV-31).

Used when a job is accepted. Whether a path exists and who may read it is for the drives to say.
"""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any, NamedTuple

from ucloud_ray.domain.errors import InvalidInvocation
from ucloud_ray.domain.job import MountRequest
from ucloud_ray.domain.paths import normalise, require_passable

WORK = "/work"
RESERVED = ("/etc/ucloud", "/opt/ucloud", WORK)
MEMBER_FILES = "Member Files: "


class FileWish(NamedTuple):
    """A value of type `file`. A plain tuple of the three serves as well."""

    path: str
    read_only: bool = False
    mount_path: str | None = None


def wished_files(resources: Iterable[Mapping[str, Any]], values: Mapping[str, Mapping[str, Any]]) -> list[FileWish]:
    """Every `file` among `specification.resources` and `specification.parameters`, as they come from JSON (ENV-11).

    For a path in both, only the parameter's wish is returned.
    """
    of_parameters = [_wish(value) for value in values.values() if value.get("type") == "file"]
    taken = {normalise(wish.path) for wish in of_parameters}
    of_resources = [_wish(value) for value in resources if value.get("type") == "file"]
    return of_parameters + [wish for wish in of_resources if normalise(wish.path) not in taken]


def _wish(value: Mapping[str, Any]) -> FileWish:
    return FileWish(value.get("path") or "", bool(value.get("readOnly")), value.get("mountPath") or None)


def plan_mounts(
    files: Iterable[tuple[str, bool, str | None]], drive_titles: Mapping[str, str] | None = None
) -> tuple[MountRequest, ...]:
    """One mount per different path, in byte order of the path. `drive_titles`: drive id to title (ENV-12).

    A path that is wished twice is writable if one of the wishes is. Raises `InvalidInvocation` (ENV-14, INV-32).
    """
    wishes = _merge(files)
    explicit = _explicit_targets(wishes)
    names = {path: _name(path, drive_titles or {}) for path in wishes if path not in explicit}
    targets = explicit | {path: f"{WORK}/{name}" for path, name in _distinct(names).items()}
    return tuple(MountRequest(path, targets[path], wish.read_only) for path, wish in wishes.items())


def check_targets(files: Iterable[tuple[str, bool, str | None]]) -> None:
    """Raises `InvalidInvocation` for mount paths that `plan_mounts` would refuse (ENV-14)."""
    _explicit_targets(_merge(files))


def _explicit_targets(wishes: Mapping[str, FileWish]) -> dict[str, str]:
    """Of the files that have one. They cannot meet the others, because those are below `/work`."""
    explicit = {path: _checked_target(wish.mount_path) for path, wish in wishes.items() if wish.mount_path}
    _require_distinct(explicit.values())
    return explicit


def _merge(files: Iterable[tuple[str, bool, str | None]]) -> dict[str, FileWish]:
    """By normalised path, in byte order (ENV-13)."""
    merged: dict[str, FileWish] = {}
    for path, read_only, mount_path in files:
        key = normalise(path)
        known = merged.get(key, FileWish(key, True))
        merged[key] = FileWish(key, known.read_only and read_only, known.mount_path or mount_path)
    return dict(sorted(merged.items(), key=lambda item: item[0].encode()))


def _name(path: str, titles: Mapping[str, str]) -> str:
    parts = path.split("/")[1:]
    if len(parts) > 1:
        return parts[-1]
    title = titles.get(parts[0], "").replace(MEMBER_FILES, "").replace("/", "_").strip()
    return parts[0] if title in ("", ".", "..") else title


def _distinct(names: Mapping[str, str]) -> dict[str, str]:
    """All of several equal names get a number, the lowest free one in order of path (ENV-13)."""
    uses = Counter(names.values())
    taken = set(names.values())
    result: dict[str, str] = {}
    for path, name in names.items():
        result[path] = name if uses[name] == 1 else _free_name(name, taken)
        taken.add(result[path])
    return result


def _free_name(name: str, taken: set[str]) -> str:
    return next(candidate for number in count() if (candidate := f"{name}-{number}") not in taken)


def _checked_target(mount_path: str) -> str:
    """ENV-14."""
    require_passable(mount_path, "A mount path")
    if not mount_path.startswith("/"):
        raise InvalidInvocation(f"The mount path {mount_path!r} is not absolute.")
    target = "/" + posixpath.normpath(mount_path).lstrip("/")
    if target == "/" or any(target == name or target.startswith(name + "/") for name in RESERVED):
        raise InvalidInvocation(f"Nothing can be mounted at {target}. Choose a folder outside {', '.join(RESERVED)}.")
    return target


def _require_distinct(targets: Iterable[str]) -> None:
    twice = [target for target, uses in Counter(targets).items() if uses > 1]
    if twice:
        raise InvalidInvocation(f"Two files cannot both be mounted at {twice[0]}. Choose different mount paths.")


def path_in_container(mounts: Iterable[MountRequest]) -> Callable[[str], str | None]:
    """UCloud path to path inside the container; None for a path that no mount covers. The longest mount wins."""
    deepest_first = sorted(mounts, key=lambda mount: len(mount.ucloud_path), reverse=True)

    def map_path(path: str) -> str | None:
        for mount in deepest_first:
            if path == mount.ucloud_path or path.startswith(mount.ucloud_path + "/"):
                return mount.target + path[len(mount.ucloud_path) :]
        return None

    return map_path
