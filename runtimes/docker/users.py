"""Who a container runs as: the image's own user, in numbers (ENV-34, ENV-35). Pure; `image_files` reads the files.

Docker would look a name up itself, when the container starts, in a file that anyone who made the image wrote. So it is
looked up before, by the same rules, and what is started is always a number that was seen not to be root.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from runtimes.errors import InvalidTask

ROOT = 0
_MAX_ID = 2**31 - 1


@dataclass(frozen=True, slots=True)
class RunsAs:
    uid: int
    gid: int
    groups: tuple[int, ...] = ()
    """Supplementary groups."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """`/etc/passwd` and `/etc/group` of an image; empty where it has none."""

    passwd: str = ""
    group: str = ""


AS_ROOT = RunsAs(ROOT, ROOT)


def needs_accounts(user: str) -> bool:
    """Whether a USER of an image means nothing without its files. `11042:11042` does."""
    name, colon, group = user.partition(":")
    return bool(name) and not (colon and _number(name) is not None and _number(group) is not None)


def of_image(reference: str, user: str, accounts: Accounts) -> RunsAs:
    """What Docker makes of the image's USER: `name`, `number`, or one of them with `:group`; empty is root.

    A group that is named takes away the ones that the account has. Raises `errors.InvalidTask` for an unknown name.
    """
    name, _, group = user.partition(":")
    if not name:
        return AS_ROOT
    account = _account(name, accounts.passwd)
    uid = account[1] if account else _number(name)
    if uid is None:
        raise InvalidTask(f"The image {reference} runs as the user {name!r}, whom it does not know.")
    if group:
        return RunsAs(uid, _group(reference, group, accounts.group))
    if account is None:
        return RunsAs(uid, ROOT)
    return RunsAs(uid, account[2], tuple(_groups_of(account[0], accounts.group)))


def refuse_root(reference: str, who: RunsAs) -> None:
    """ENV-35. Raises `errors.InvalidTask`."""
    if who.uid == ROOT:
        raise InvalidTask(
            f"The image {reference} runs as root, which this application may not: choose an image with another user,"
            " or let the application ask for root."
        )


def home(uid: int, accounts: Accounts) -> str:
    """The HOME that a container gets if nobody sets it."""
    found = (fields[5] for fields in _entries(accounts.passwd, 7) if _number(fields[2]) == uid)
    return next(found, "") or "/"


def _account(name: str, passwd: str) -> tuple[str, int, int] | None:
    """Name, uid and gid of the first entry with this name or number."""
    for fields in _entries(passwd, 4):
        uid, gid = _number(fields[2]), _number(fields[3])
        if uid is not None and gid is not None and (fields[0] == name or uid == _number(name)):
            return fields[0], uid, gid
    return None


def _group(reference: str, name: str, file: str) -> int:
    for fields in _entries(file, 3):
        if fields[0] == name and (gid := _number(fields[2])) is not None:
            return gid
    number = _number(name)
    if number is None:
        raise InvalidTask(f"The image {reference} runs in the group {name!r}, which it does not know.")
    return number


def _groups_of(name: str, file: str) -> Iterator[int]:
    for fields in _entries(file, 4):
        gid = _number(fields[2])
        if gid is not None and name in fields[3].split(","):
            yield gid


def _entries(file: str, least: int) -> Iterator[list[str]]:
    for line in file.splitlines():
        fields = line.strip().split(":")
        if len(fields) >= least:
            yield fields


def _number(text: str) -> int | None:
    """A plain decimal number; `+0` and the like are names, which no image has."""
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MAX_ID))):
        return None
    return int(text) if int(text) <= _MAX_ID else None
