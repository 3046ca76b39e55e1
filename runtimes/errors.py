"""What a driver may raise.

    DriverError                 retryable: whether the same call may succeed later
    ├── RuntimeUnavailable      yes   the daemon or kernel facility does not answer: state unknown, not gone (D4)
    ├── ImageUnavailable        per case: a registry that is down (yes), a name that does not exist (no)
    ├── StartFailed             no    the runtime refused to create or launch the task
    ├── InvalidTask             no    the specification can never work here (image runs as root, missing mount)
    ├── NameTaken               no    another incarnation holds the name
    └── TaskNotFound            no    this machine surely has no such task

Messages are for users: no secrets, no internals. The library's error is kept as `__cause__`. All of them survive
pickling, because they cross Ray actors.
"""

from __future__ import annotations


class DriverError(Exception):
    """Base of everything a driver raises on purpose."""

    retryable = False

    def __init__(self, message: str, *, retryable: bool | None = None) -> None:
        super().__init__(message)
        self.message = message
        if retryable is not None:
            self.retryable = retryable

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.retryable))


def _rebuild(kind: type[DriverError], message: str, retryable: bool) -> DriverError:
    return kind(message, retryable=retryable)


class RuntimeUnavailable(DriverError):
    retryable = True


class ImageUnavailable(DriverError):
    pass


class StartFailed(DriverError):
    pass


class InvalidTask(DriverError):
    pass


class NameTaken(DriverError):
    pass


class TaskNotFound(DriverError):
    pass
