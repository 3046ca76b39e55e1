"""Every status line that the life cycle writes (LC-12, section 1.5), and the filter for text that is not ours.

The web client reads some status lines as commands (W2), so nothing from a user, a program or an image may reach one
unfiltered: pass it through `one_line` first.
"""

from __future__ import annotations

import re
import unicodedata

WAITING = "Your job is now waiting in the queue!"
NO_MACHINE = (
    "There are currently no machines available to run your job. It starts as soon as there is room; "
    "a smaller machine may be available sooner."
)
RUNNING = "Your job is now running!"
FOLDER_READY = "The folder of your job is ready."
FINISHED = "The job has finished processing!"
OUT_OF_MEMORY = "The job was stopped because it used more memory than the machine has"
EXPIRED = "Your job has expired"
CANCELLING = "Your job is being cancelled"
CANCELLED = "Your job has been cancelled!"
NO_CREDITS = "Your job has been terminated (No more credits)"
UNCHARGED = "Your job waits until this provider can reach the accounting of UCloud again"
LOST_PERMISSIONS = "Your job has been terminated (Lost permissions)"
SUSPENDED_NO_CREDITS = "Your machine has been suspended (No more credits)"
SUSPENDED_LOST_PERMISSIONS = "Your machine has been suspended (Lost permissions)"
MACHINE_LOST = "Your job failed because the machine it was running on is no longer available"
UNKNOWN_JOB = "Your job is no longer available"
POWERED_OFF = "The virtual machine is powered off."

MAX_REASON = 200
"""Characters of foreign text in one status line."""

_COMMANDS = re.compile(r"\b(target|ssh access|ssh)\s*:", re.IGNORECASE)


def scheduled(hosts: tuple[str, ...]) -> str:
    """The text on placement (SCH-13); each machine is named once."""
    return f"Your job has been scheduled and is starting soon (Assigned to {one_line(', '.join(dict.fromkeys(hosts)))})"


def not_started(reason: str) -> str:
    """The text of T4."""
    return f"Your job could not be started: {one_line(reason) or 'unknown reason'}"


def try_again(reason: str) -> str:
    """A start that failed for a passing reason (SCH-11)."""
    words = one_line(reason).removesuffix(".") or "unknown reason"
    return f"Your job could not be started yet: {words}. It will be tried again"


def maintenance(host: str, message: str) -> str:
    """To the users of a machine that is drained (SCH-15)."""
    words = f"The machine {one_line(host)} that your job runs on is going into maintenance; your job goes on until then"
    return f"{words} ({one_line(message)})" if message else words


def maintenance_over(host: str) -> str:
    """SCH-15."""
    return f"The maintenance of the machine {one_line(host)} that your job runs on is over"


def peer_missing(hostname: str, job_id: str) -> str:
    """ENV-49."""
    return (
        f"The job {one_line(job_id)}, which your job was to reach as {one_line(hostname)}, is not running; "
        "your job goes on without it"
    )


def file_unseen(path: str) -> str:
    """RES-24."""
    return f"Your job does not see the file {one_line(path)} that it was to open; add its folder to the job's files"


def starting(doing: str, host: str, detail: str) -> str:
    """What a start is busy with (ENV-54): `Fetching the image acme/batch:1.0 on node-a: 45 % of 1.2 GB`."""
    words = f"{doing} on {host}"
    return one_line(f"{words}: {detail}" if detail else words)


def extended(by: int) -> str:
    """`by` in milliseconds (TIME-6)."""
    return f"Your job has been extended by {duration(by)}"


def expires_soon(left: int) -> str:
    """To the user of a suspended machine. `left` in milliseconds (TIME-4)."""
    return (
        f"The time of your suspended machine ends in {duration(left)}, and its data goes with it; "
        "extend it, or resume it and save what you need"
    )


def duration(millis: int) -> str:
    """`1 hour`, `2 hours and 30 minutes`, `1 hour, 2 minutes and 3 seconds`; less than a second counts as none."""
    seconds = millis // 1000
    amounts = ((seconds // 3600, "hour"), (seconds // 60 % 60, "minute"), (seconds % 60, "second"))
    parts = [f"{n} {unit}{'' if n == 1 else 's'}" for n, unit in amounts if n]
    return " and ".join(filter(None, (", ".join(parts[:-1]), *parts[-1:]))) or "0 seconds"


def one_line(foreign: str) -> str:
    """Text that cannot be taken for a command of the web client: one line, no control characters, at most
    `MAX_REASON` characters, and `Target:` or `SSH:` without their colon (W2)."""
    spaced = "".join(" " if char.isspace() else char for char in foreign)
    printable = "".join(char for char in spaced if not unicodedata.category(char).startswith("C"))
    harmless = _COMMANDS.sub(r"\1", " ".join(printable.split()))
    return harmless if len(harmless) <= MAX_REASON else harmless[: MAX_REASON - 1] + "…"
