"""Forks one *waiter* per native task, and succeeds those that are killed. Run as a program by `program`.

    driver ──socket──▶ launcher ──fork──▶ waiter ──fork──▶ the user's process
    (threads, big)     (small)            (own session) ◀──pipes── (own session)

Why so many: a process with threads must not fork, so a launcher forks for it. It is detached when it starts, hence
nobody who kills the driver's children, or their children, meets a waiter (D1). A waiter is the parent of the user's
process, which is the only way to learn its exit status, and the adopter of its orphans, which is how nothing of a task
escapes. It carries the output into the log files.

A waiter that is killed is survived by what it stood for. Its children come to the launcher, which collects them and so
knows the exit status; the pipes stay, because the launcher has them open too; and a `successor` carries on. That is
why the launcher does not end with its driver, but with its last task.

A request is one packet: JSON, with the file descriptors that `order` lists. `"do"` is

    run     start the task. The answer says how that went
    carry   succeed a waiter whose launcher died too: the end will be seen, the status is lost
    beside  carry the output of a container, see `beside`

without files it asks only for a sign of life. The answer is one packet too, `{"number": n}` and `"outcome"`:

    started   the user's process exists, and `started.json` says so; or the other two are under way
    again     it had been started earlier
    busy      another waiter is at it right now, or was killed on the way: look, and ask again
    gone      the task was destroyed meanwhile
    failed    with "error"; nothing was started
    ready     the sign of life, with "pid"

Never two copies: a waiter holds the lock of the state folder, and its child holds it too until its program takes over.
No waiter starts anything once `started.json` exists; one that dies before has started nothing, so another may try.

Standard library only and few imports, because every waiter shares this memory.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import resource
import select
import signal
import socket
from contextlib import suppress
from typing import Any, NoReturn

from runtimes.native.guard import Guard, Ward
from runtimes.native.order import Order
from runtimes.native.small import identity, report
from runtimes.native.waiter import wait_on_task
from runtimes.output.pump import drain

MOST_FILES = 6
PR_SET_NAME, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 15, 36, 38
DEAF_TO = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_libc = ctypes.CDLL(None)


def main(control: socket.socket) -> None:
    if os.fork():
        os._exit(0)
    _shed_what_the_driver_gave_us()
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    gc.freeze()  # a collection in a waiter would copy the memory that all of them share
    Server(control).serve()


def _shed_what_the_driver_gave_us() -> None:
    """A Ray worker is niced and the first to be shot when memory is short; no workload may inherit that."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, 0)
    with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("0")
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    _libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.umask(0o022)
    with suppress(OSError, ValueError):  # some files for each task that lives
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Server:
    """Takes requests while earlier launches are still under way, and while there is a task to guard."""

    def __init__(self, control: socket.socket) -> None:
        self.control = control
        self.identity = identity(os.getpid())
        self.guard = Guard(fork_off)
        self.launches: dict[int, tuple[int, Ward]] = {}
        """Pipe on which a launch reports, to the number of its request and to the task."""
        self.alarm = _alarm_of_children()
        self.poller = select.poll()
        self.poller.register(self.alarm, select.POLLIN)
        self.poller.register(control, select.POLLIN)
        self.has_driver = True

    def serve(self) -> None:
        while self.has_driver or self.guard.has_wards():
            for file, _ in self.poller.poll(self.guard.patience()):
                if file == self.alarm:
                    drain(file)
                elif file in self.launches:
                    self.take_report(file)
                elif not self.take_request():
                    self.let_go()
            self.guard.look()

    def let_go(self) -> None:
        """The driver closed its end or died."""
        self.has_driver = False
        self.poller.unregister(self.control)
        self.control.close()

    def take_report(self, pipe: int) -> None:
        self.poller.unregister(pipe)
        number, ward = self.launches.pop(pipe)
        line = os.read(pipe, 4096)
        os.close(pipe)
        ward.is_launching = False
        self.answer(number, dict(json.loads(line)) if line else {"outcome": "busy"})

    def take_request(self) -> bool:
        packet, files, _, _ = socket.recv_fds(self.control, 4096, MOST_FILES, socket.MSG_CMSG_CLOEXEC)
        if not packet:
            return False
        request = json.loads(packet)
        if not files:
            self.answer(request["number"], {"outcome": "ready", "pid": os.getpid()})
            return True
        order = Order(files)
        try:
            order.read(request["do"], request["copies"])
            self.take_order(request, order)
        except OSError as error:
            order.close()
            self.answer(request["number"], {"outcome": "failed", "error": f"cannot launch: {error.strerror}"})
        return True

    def take_order(self, request: dict[str, Any], order: Order) -> None:
        if request["do"] == "run":
            pipe, ward = self.launch(order)
            self.launches[pipe] = request["number"], ward
            self.poller.register(pipe, select.POLLIN)
        else:
            self.guard.take_over(order)
            self.answer(request["number"], {"outcome": "started"})

    def launch(self, order: Order) -> tuple[int, Ward]:
        """Make a waiter. The pipe on which it, or the user's process, says how the launch went."""
        reader, writer = os.pipe()
        waiter = fork_off(order, writer, wait_on_task, order, writer, self.identity)
        os.close(writer)
        order.close_job_folder()
        return reader, self.guard.watch(waiter, order)

    def answer(self, number: int, answer: dict[str, Any]) -> None:
        with suppress(OSError):  # the driver left; it will read the state folder
            self.control.send(json.dumps({"number": number, **answer}).encode())


def _alarm_of_children() -> int:
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def fork_off(order: Order, pipe: int | None, work: Any, *arguments: Any) -> int:
    """A process for this task that runs `work`; `pipe` stays open in it. Its id. Raises `OSError`."""
    pid = os.fork()
    if pid == 0:
        become(order, pipe, work, *arguments)
    return pid


def become(order: Order, pipe: int | None, work: Any, *arguments: Any) -> NoReturn:
    code = 1
    try:
        _detach()
        order.keep_only(*([] if pipe is None else [pipe]))
        work(*arguments)
        code = 0
    except OSError as error:
        if pipe is not None:
            report(pipe, outcome="failed", error=str(error))
    finally:
        os._exit(code)


def _detach() -> None:
    """A session of its own, deaf to whatever stops services, holding nothing that others wait to see closed."""
    os.setsid()
    signal.set_wakeup_fd(-1)
    for ignored in DEAF_TO:
        signal.signal(ignored, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _libc.prctl(PR_SET_NAME, b"ucloud-waiter", 0, 0, 0)
    _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
