"""Which system calls root of a container may make where the daemon does not remap users. Pure; called by `spec`.

Such root is root of this machine, held inside by namespaces and capabilities. Two more things must hold: it cannot try
what Docker's own profile keeps from containers, and it cannot leave a program on a drive that gives its rights to
whoever starts it on the machine: no set-user-id or set-group-id mode, no device node (file capabilities go with the
capability, see `spec`). A mode is an argument in a register for the calls below and can be looked at; calls that take
it from memory (`openat2`, `io_uring`) or that the library does not know (`fchmodat2`) are not there for such a
container, and programs fall back to the older ones. Hence a list of what is allowed: a list of what is denied would let
through whatever the next kernel brings (docs/decisions/0007-root-in-containers.md).
"""

from __future__ import annotations

import errno
import functools
import json
from typing import Any

_ALLOW = "SCMP_ACT_ALLOW"
_REFUSE = "SCMP_ACT_ERRNO"

_GIVES_RIGHTS = 0o6000
_FILE_TYPE = 0o170000
_PLAIN_TYPES = (0, 0o100000, 0o010000, 0o140000)
"""Unsaid, file, pipe, socket."""
_CREATES = 0o100 | 0o20000000
"""O_CREAT and the bit of O_TMPFILE: only with one of them an open takes a mode."""
_NEW_NAMESPACES = 0x7E020000
_AF_VSOCK = 40
"""Leads past every network rule, to the host of a virtual machine."""
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)

_ARCHITECTURES = ("SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64", "SCMP_ARCH_PPC64LE", "SCMP_ARCH_RISCV64")
"""Not their 32-bit kin: a second set of numbers for every rule, for programs that hardly exist."""

_FILES = """
    access faccessat faccessat2 chdir fchdir chown fchown fchownat lchown close close_range copy_file_range dup dup2
    dup3 fadvise64 fallocate fcntl fdatasync flock fsync ftruncate truncate futimesat utime utimensat utimes getcwd
    getdents getdents64 ioctl lseek link linkat symlink symlinkat unlink unlinkat rename renameat renameat2 mkdir
    mkdirat rmdir read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 readahead readlink readlinkat
    sendfile splice tee vmsplice stat fstat lstat newfstatat statx statfs fstatfs sync syncfs sync_file_range umask
    getxattr fgetxattr lgetxattr listxattr flistxattr llistxattr removexattr fremovexattr lremovexattr setxattr
    fsetxattr lsetxattr inotify_add_watch inotify_init inotify_init1 inotify_rm_watch memfd_create name_to_handle_at
    chroot
"""
_MEMORY = """
    brk mmap munmap mprotect mremap msync mincore madvise mlock mlock2 mlockall munlock munlockall membarrier
    pkey_alloc pkey_free pkey_mprotect remap_file_pages memfd_secret
"""
_PROCESSES = """
    execve execveat exit exit_group fork vfork wait4 waitid getpid getppid gettid getpgid getpgrp getsid setpgid setsid
    getpriority setpriority ioprio_get ioprio_set prctl arch_prctl modify_ldt prlimit64 getrlimit setrlimit getrusage
    sched_getaffinity sched_setaffinity sched_getattr sched_setattr sched_getparam sched_setparam sched_getscheduler
    sched_setscheduler sched_get_priority_max sched_get_priority_min sched_rr_get_interval sched_yield set_tid_address
    get_thread_area set_thread_area get_robust_list set_robust_list futex futex_waitv rseq restart_syscall getcpu
    pidfd_open pidfd_send_signal ptrace seccomp landlock_create_ruleset landlock_add_rule landlock_restrict_self
    sysinfo uname
"""
_IDENTITY = """
    getuid geteuid getgid getegid getresuid getresgid getgroups setuid setgid setreuid setregid setresuid setresgid
    setgroups setfsuid setfsgid capget capset
"""
_SIGNALS = """
    kill tkill tgkill pause alarm rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_tgsigqueueinfo
    rt_sigreturn rt_sigsuspend rt_sigtimedwait sigaltstack signalfd signalfd4
"""
_TIME = """
    clock_getres clock_gettime clock_nanosleep gettimeofday nanosleep time times getitimer setitimer timer_create
    timer_delete timer_getoverrun timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime
    adjtimex
"""
_COMMUNICATION = """
    accept accept4 bind connect getpeername getsockname getsockopt setsockopt listen recvfrom recvmsg recvmmsg sendto
    sendmsg sendmmsg shutdown socketpair pipe pipe2 eventfd eventfd2 epoll_create epoll_create1 epoll_ctl epoll_ctl_old
    epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old poll ppoll select pselect6 mq_getsetattr mq_notify mq_open
    mq_timedreceive mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmdt
    shmget getrandom io_setup io_destroy io_submit io_cancel io_getevents io_pgetevents
"""
_PLAIN = (_FILES, _MEMORY, _PROCESSES, _IDENTITY, _SIGNALS, _TIME, _COMMUNICATION)


@functools.cache
def security_option() -> str:
    """The profile as Docker takes it among its security options."""
    return f"seccomp={json.dumps(profile(), separators=(',', ':'))}"


def profile() -> dict[str, Any]:
    """Everything that is not said is refused with EPERM."""
    return {
        "defaultAction": _REFUSE,
        "archMap": [{"architecture": name, "subArchitectures": []} for name in _ARCHITECTURES],
        "syscalls": [
            _rule(" ".join(_PLAIN).split()),
            *_modes(),
            *_opens(),
            *_nodes(),
            _rule(["clone"], _masked(0, _NEW_NAMESPACES)),
            _rule(["socket"], {"index": 0, "value": _AF_VSOCK, "op": "SCMP_CMP_NE"}),
            *(_rule(["personality"], {"index": 0, "value": value, "op": "SCMP_CMP_EQ"}) for value in _PERSONALITIES),
            # Their flags lie in memory. "Not there" makes libraries take the older call; "refused" would not.
            {"names": ["clone3", "openat2"], "action": _REFUSE, "errnoRet": errno.ENOSYS},
        ],
    }


def _modes() -> list[dict[str, Any]]:
    return [
        _rule(["chmod", "fchmod", "creat"], _masked(1, _GIVES_RIGHTS)),
        _rule(["fchmodat"], _masked(2, _GIVES_RIGHTS)),
    ]


def _opens() -> list[dict[str, Any]]:
    """Either nothing is created, and the mode is whatever lay in the register, or the mode is harmless."""
    return [
        rule
        for name, flags in (("open", 1), ("openat", 2))
        for rule in (_rule([name], _masked(flags, _CREATES)), _rule([name], _masked(flags + 1, _GIVES_RIGHTS)))
    ]


def _nodes() -> list[dict[str, Any]]:
    return [
        _rule([name], _masked(mode, _FILE_TYPE | _GIVES_RIGHTS, kind))
        for name, mode in (("mknod", 1), ("mknodat", 2))
        for kind in _PLAIN_TYPES
    ]


def _rule(names: list[str], *arguments: dict[str, Any]) -> dict[str, Any]:
    return {"names": names, "action": _ALLOW, "args": list(arguments)}


def _masked(index: int, mask: int, value: int = 0) -> dict[str, Any]:
    """The argument's bits in `mask` are exactly `value`."""
    return {"index": index, "value": mask, "valueTwo": value, "op": "SCMP_CMP_MASKED_EQ"}
