"""What root inside a container could try in order to be more than that; run there by `test_root`, never imported.

Descriptor 9 is the job folder. Prints a name and an outcome for each attempt: `done`, or the name of the error.
"""

import ctypes
import errno
import json
import os
import struct
import sys

HERE = 9
FOREIGN = int(sys.argv[1])
CREATE = os.O_CREAT | os.O_WRONLY
libc = ctypes.CDLL(None, use_errno=True)
outcomes = {}


def attempt(name, call):
    try:
        call()
    except OSError as error:
        outcomes[name] = errno.errorcode[error.errno]
    else:
        outcomes[name] = "done"


def system(number, *arguments):
    """A system call of x86-64 that Python does not have, or has in another form."""
    if libc.syscall(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)) < 0:
        raise OSError(ctypes.get_errno(), "")


def make(name, mode):
    os.close(os.open(name, CREATE, mode, dir_fd=HERE))


def openat2(mode):
    how = ctypes.create_string_buffer(struct.pack("QQQ", CREATE, mode, 0))
    system(437, HERE, ctypes.c_char_p(b"openat2"), how, 24)


def creat(mode):
    os.fchdir(HERE)
    system(85, ctypes.c_char_p(b"creat"), mode)


os.umask(0)
attempt("plain file", lambda: make("plain", 0o755))
attempt("plain mode", lambda: os.chmod("plain", 0o700, dir_fd=HERE))
attempt("pipe", lambda: os.mkfifo("pipe", dir_fd=HERE))
for bits in (0o4755, 0o2755, 0o6755):
    attempt(f"chmod {bits:o}", lambda bits=bits: os.chmod("plain", bits, dir_fd=HERE))
    attempt(f"open {bits:o}", lambda bits=bits: make(f"open-{bits:o}", bits))
    attempt(f"mknod {bits:o}", lambda bits=bits: os.mknod(f"mknod-{bits:o}", 0o100000 | bits, dir_fd=HERE))
    attempt(f"openat2 {bits:o}", lambda bits=bits: openat2(bits))
    attempt(f"creat {bits:o}", lambda bits=bits: creat(bits))
    attempt(f"fchmod {bits:o}", lambda bits=bits: os.fchmod(os.open("plain", os.O_RDONLY, dir_fd=HERE), bits))
    attempt(f"fchmodat2 {bits:o}", lambda bits=bits: system(452, HERE, ctypes.c_char_p(b"plain"), bits, 0))
    attempt(f"file in memory {bits:o}", lambda bits=bits: os.close(os.open(".", os.O_TMPFILE | os.O_RDWR, bits)))
attempt("character device", lambda: os.mknod("null", 0o020666, os.makedev(1, 3), dir_fd=HERE))
attempt("block device", lambda: os.mknod("disk", 0o060666, os.makedev(254, 0), dir_fd=HERE))
capability = struct.pack("<IIIII", 0x02000001, 1 << 21, 0, 0, 0)
plain = os.open("plain", os.O_RDWR, dir_fd=HERE)
attempt("capability of a file", lambda: os.setxattr(plain, "security.capability", capability))
attempt("io_uring", lambda: system(425, 8, ctypes.create_string_buffer(120)))
attempt("new user namespace", lambda: system(272, 0x10000000))
attempt("new mount namespace", lambda: system(272, 0x00020000))
attempt("clone into a namespace", lambda: system(56, 0x10000000 | 17, 0, 0, 0, 0))
attempt("clone3", lambda: system(435, ctypes.create_string_buffer(88), 88))
attempt("mount", lambda: system(165, *(ctypes.c_char_p(b"tmpfs"),) * 3, 0, 0))
attempt("open_tree", lambda: system(428, HERE, ctypes.c_char_p(b"."), 1))
attempt("fsopen", lambda: system(430, ctypes.c_char_p(b"tmpfs"), 0))
attempt("bpf", lambda: system(321, 0, ctypes.create_string_buffer(72), 72))
attempt("trace a foreign process", lambda: system(101, 16, FOREIGN, 0, 0))
attempt("signal a foreign process", lambda: os.kill(FOREIGN, 0))
attempt("open by handle", lambda: system(304, HERE, ctypes.create_string_buffer(64), 0))
attempt("kernel module", lambda: system(313, 9, ctypes.c_char_p(b""), 0))
attempt("keyring", lambda: system(248, *(ctypes.c_char_p(b"user"),) * 3, 4, -3))
attempt("set the clock", lambda: system(227, 0, ctypes.create_string_buffer(16)))
sys.stdout.write(json.dumps(outcomes))
