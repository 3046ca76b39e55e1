"""Shuts the name server that Docker keeps inside a container's network. Called by the Docker driver after each start.

It would tell the names and addresses of all containers of the bridge to whoever asks. It cannot be switched off, but
its address can be made unreachable from inside, by one route. Done with a raw netlink message from a thread that enters
the network of the container for it: a program started in there would take twenty times as long, with every start.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import threading

from runtimes.errors import RuntimeUnavailable

_ADDRESS = "127.0.0.11"

_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_ROUTE = socket.NETLINK_ROUTE
_NEW_ROUTE, _ERROR = 24, 2  # RTM_NEWROUTE, NLMSG_ERROR
_FLAGS = 0x1 | 0x4 | 0x100 | 0x400  # request, acknowledge, replace, create
_LOCAL_TABLE, _STATIC, _EVERYWHERE, _PROHIBIT = 255, 4, 0, 8
_DESTINATION = 1  # RTA_DST
_HEADER = struct.Struct("=IHHII")


def shut(pid: int) -> None:
    """In the network of the container with this process. Repeatable; a process that is gone is success.

    Raises `errors.RuntimeUnavailable`.
    """
    problems: list[OSError] = []
    # A thread of its own, because it does not come back from the other network.
    thread = threading.Thread(target=_shut_inside, args=(pid, problems), name=f"names of {pid}")
    thread.start()
    thread.join()
    # One that has ended and that nobody has waited for yet has a folder there, and no network any more.
    if problems and os.path.exists(_network_of(pid)):
        reason = problems[0].strerror or str(problems[0])
        raise RuntimeUnavailable(f"Docker's name server in a container could not be shut: {reason}.") from problems[0]


def _shut_inside(pid: int, problems: list[OSError]) -> None:
    try:
        _enter(pid)
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _ROUTE) as kernel:
            kernel.sendto(_message(), (0, 0))
            _check(kernel.recv(4096))
    except OSError as problem:
        problems.append(problem)


def _enter(pid: int) -> None:
    network = os.open(_network_of(pid), os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(network, _NEW_NETWORK) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(network)


def _network_of(pid: int) -> str:
    return f"/proc/{pid}/ns/net"


def _message() -> bytes:
    """The kernel's table of local addresses is asked first, and there the longest prefix wins."""
    route = struct.pack(
        "=8BI", socket.AF_INET, 32, 0, 0, _LOCAL_TABLE, _STATIC, _EVERYWHERE, _PROHIBIT, 0
    ) + struct.pack("=HH4s", 8, _DESTINATION, socket.inet_aton(_ADDRESS))
    return _HEADER.pack(_HEADER.size + len(route), _NEW_ROUTE, _FLAGS, 1, 0) + route


def _check(answer: bytes) -> None:
    """Raises `OSError` if the kernel refused."""
    _, kind, *_ = _HEADER.unpack_from(answer)
    (code,) = struct.unpack_from("=i", answer, _HEADER.size)
    if kind != _ERROR:
        raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))
    if code:
        raise OSError(-code, os.strerror(-code))
