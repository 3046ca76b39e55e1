"""What the profile for root allows, read as the kernel reads it (ENV-34). What it does is seen in `test_root`."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from runtimes.docker import seccomp

BLOCKED_BY_DOCKER = """
    acct add_key bpf clock_adjtime clock_settime create_module delete_module finit_module get_kernel_syms get_mempolicy
    init_module ioperm iopl kcmp kexec_file_load kexec_load keyctl lookup_dcookie mbind mount move_pages nfsservctl
    open_by_handle_at perf_event_open pivot_root process_vm_readv process_vm_writev query_module quotactl reboot
    request_key set_mempolicy setns settimeofday stime swapon swapoff sysfs _sysctl umount umount2 unshare uselib
    userfaultfd ustat vm86 vm86old
"""
"""As its documentation lists them, less what depends on arguments."""
OUT_OF_SIGHT = """
    io_uring_setup io_uring_enter io_uring_register open_tree move_mount fsopen fsmount mount_setattr fchmodat2
"""


def outcome(name: str, *arguments: int) -> int:
    """0 if allowed, else the error."""
    for rule in seccomp.profile()["syscalls"]:
        if name in rule["names"] and all(_matches(test, arguments) for test in rule.get("args", [])):
            return 0 if rule["action"] == "SCMP_ACT_ALLOW" else int(rule["errnoRet"])
    return errno.EPERM


def _matches(test: dict[str, Any], arguments: tuple[int, ...]) -> bool:
    given = arguments[test["index"]]
    match test["op"]:
        case "SCMP_CMP_MASKED_EQ":
            return bool(given & test["value"] == test["valueTwo"])
        case "SCMP_CMP_NE":
            return bool(given != test["value"])
        case _:
            return bool(given == test["value"])


@pytest.mark.parametrize("name", f"{BLOCKED_BY_DOCKER} {OUT_OF_SIGHT}".split())
def test_what_docker_blocks_and_what_cannot_be_looked_at_is_refused(name: str) -> None:
    assert outcome(name) == errno.EPERM


@pytest.mark.parametrize("name", ["clone3", "openat2"])
def test_calls_whose_arguments_lie_in_memory_are_not_there(name: str) -> None:
    """So that libraries take the older one."""
    assert outcome(name) == errno.ENOSYS


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o6000, 0o100000 | 0o4755])
def test_no_call_sets_a_mode_that_gives_rights(mode: int) -> None:
    creating = 0o101
    for call in (
        ("chmod", 0, mode),
        ("fchmod", 0, mode),
        ("fchmodat", 0, 0, mode),
        ("creat", 0, mode),
        ("open", 0, creating, mode),
        ("openat", 0, 0, creating, mode),
        ("openat", 0, 0, 0o20200000 | 0o2, mode),
        ("mknod", 0, mode),
        ("mknodat", 0, 0, mode),
    ):
        assert outcome(*call) == errno.EPERM


def test_usual_modes_pass_and_a_mode_that_is_not_meant_does_not_count() -> None:
    assert outcome("chmod", 0, 0o1777) == 0
    assert outcome("open", 0, 0o101, 0o644) == 0
    assert outcome("openat", 0, 0, 0, 0o6000) == 0


@pytest.mark.parametrize(("kind", "error"), [(0o010000, 0), (0o140000, 0), (0o100000, 0), (0o020000, 1), (0o060000, 1)])
def test_pipes_sockets_and_files_can_be_made_and_devices_not(kind: int, error: int) -> None:
    assert outcome("mknodat", 0, 0, kind | 0o666) == error


@pytest.mark.parametrize("flag", [0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000])
def test_no_namespace_is_made_by_clone(flag: int) -> None:
    assert outcome("clone", 0x11) == 0
    assert outcome("clone", flag | 0x11) == errno.EPERM


def test_the_option_is_one_string_for_docker() -> None:
    assert seccomp.security_option().startswith('seccomp={"defaultAction":"SCMP_ACT_ERRNO"')
