"""System calls of Linux that Python's library lacks. Called by `beneath` and `pins`, and by the provider for files of
drives; they raise nothing but `OSError`.

Each is one call, without policy.
"""

from __future__ import annotations

import ctypes
import os

_OPENAT2 = 437
"""On every architecture that Python runs on."""

RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_BENEATH = 0x08

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_PRIVATE = 0x40000
MNT_DETACH = 0x2
UMOUNT_NOFOLLOW = 0x8

RENAME_NOREPLACE = 0x1

_libc = ctypes.CDLL(None, use_errno=True)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def openat2(folder: int, path: str, flags: int, resolve: int) -> int:
    """Linux 5.6. Returns a file descriptor."""
    how = _OpenHow(flags, 0, resolve)
    arguments = (ctypes.c_int(folder), ctypes.c_char_p(os.fsencode(path)), ctypes.byref(how))
    opened: int = _libc.syscall(ctypes.c_long(_OPENAT2), *arguments, ctypes.c_size_t(ctypes.sizeof(how)))
    _require(opened >= 0, path)
    return opened


def renameat2(folder: int, name: str, new_folder: int, new_name: str, flags: int) -> None:
    """Linux 3.15. `EINVAL` from file systems that do not know the flag."""
    old, new = ctypes.c_char_p(os.fsencode(name)), ctypes.c_char_p(os.fsencode(new_name))
    moved = _libc.renameat2(ctypes.c_int(folder), old, ctypes.c_int(new_folder), new, ctypes.c_uint(flags))
    _require(moved == 0, new_name)


def mount(source: str | None, target: str, flags: int) -> None:
    origin = None if source is None else ctypes.c_char_p(os.fsencode(source))
    place = ctypes.c_char_p(os.fsencode(target))
    _require(_libc.mount(origin, place, None, ctypes.c_ulong(flags), None) == 0, target)


def umount(target: str, flags: int) -> None:
    _require(_libc.umount2(ctypes.c_char_p(os.fsencode(target)), ctypes.c_int(flags)) == 0, target)


def _require(success: bool, path: str) -> None:
    if not success:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
