"""Reads examples out of the mission document: its curl commands with their sample answers, and its messages.

Knows the layout of the document and nothing about what the examples mean.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).parents[1] / "data/mission/jobs-api-excerpt.txt"
BATCH = "Creating a simple batch Job"
FOLLOW = "Following the progress of a Job"
CONNECT = "Connecting two Jobs together"
TERMINAL = "Starting an interactive terminal session"
LINK = "Starting a Job with a public link (Ingress)"
LICENCE = "Using licensed software"
DESKTOP = "Using a remote desktop Application (VNC)"
WEB = "Using a web Application"
EXTEND = "Extending a Job and terminating it early"
AN_ID = {"responses[0].id": "ids are given one after another"}
"""In what the answer to an order may differ from the document's."""
LOSE_ACCESS = "Losing access to resources"
NO_CREDITS = "Running out of compute credits"


@dataclass(frozen=True)
class Step:
    """One command of an example and what the document says it answers."""

    command: str
    sample: Any


def titles() -> list[str]:
    """Of all examples, as the table of contents has them."""
    _, _, text = DOCUMENT.read_text().partition("\n1. Examples\nDescription\n")
    return text.partition("\n2. ")[0].splitlines()


def commands(title: str) -> list[str]:
    """The curl commands of an example, in order, letter by letter; none of one that the document lists and forgets to
    show, or shows without any."""
    if f"\nExample: {title}\n" not in DOCUMENT.read_text():
        return []
    return [command for command, _ in _blocks(_flow(title, "Curl"))]


def call(command: str) -> str:
    """Method and path of a command, without its query."""
    found = re.match(r'curl -X([A-Z]+) .*?"\$host(/[^"?]*)', command, re.DOTALL)
    assert found, f"no call in {command!r}"
    return f"{found[1]} {found[2]}"


def steps(title: str) -> list[Step]:
    """The curl commands of an example with their answers."""
    found = []
    for block in _blocks(_flow(title, "Curl")):
        command, comment = block
        found.append(Step(command, json.loads(_json_of(comment))))
    return found


@dataclass(frozen=True)
class Message:
    """One message of a followed job, as far as the document's notation can be read without a Kotlin compiler."""

    state: str
    updates: list[str]
    """States of its updates."""
    logs: int
    status_fields: frozenset[str]
    update_fields: frozenset[str]


def curl(command: str, host: str, token: str) -> Any:
    """What the command answers, run as it stands there; only the two variables that the document names are set."""
    environment = {"PATH": os.environ["PATH"], "host": host, "accessToken": token}
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def messages(title: str) -> list[Message]:
    """What the example receives, in order."""
    blocks = re.findall(r"/\*\n(JobsFollowResponse\(.*?\n\))\n\*/", _flow(title, "Kotlin"), re.DOTALL)
    return [_message(block) for block in blocks]


def _message(block: str) -> Message:
    status = _inside(block, "JobStatus(")
    updates = [_inside(block[at:], "JobUpdate(") for at in _places(block, "JobUpdate(")]
    return Message(
        state=_state(status),
        updates=[_state(update) for update in updates],
        logs=len(_places(block, "JobsLog(")),
        status_fields=_fields(status),
        update_fields=frozenset().union(*(_fields(update) for update in updates)),
    )


def _flow(title: str, language: str) -> str:
    """The text below `Communication Flow: <language>` of that example."""
    _, found, text = DOCUMENT.read_text().partition(f"\nExample: {title}\n")
    assert found, f"the document has no example {title!r}"
    example = text.partition("\nExample: ")[0]
    _, found, text = example.partition(f"Communication Flow: {language}\n")
    assert found, f"the example {title!r} is not shown in {language}"
    return text.partition("\nCommunication Flow: ")[0]


def _blocks(text: str) -> Iterator[tuple[str, str]]:
    """Each command with the comment below it."""
    command, comment, open_quote = "", "", False
    for line in text.splitlines():
        if line.startswith("curl") or open_quote:
            if comment:
                yield command, comment
                command, comment = "", ""
            command += line + "\n"
            open_quote = command.count("'") % 2 == 1
        elif command and line.startswith("#"):
            comment += line.removeprefix("#").removeprefix(" ") + "\n"
    if command:
        yield command, comment


def _json_of(comment: str) -> str:
    """From the first brace at the beginning of a line to the one that closes it there."""
    start = re.search(r"^\{", comment, re.MULTILINE)
    end = re.search(r"^\}", comment, re.MULTILINE)
    assert start, f"no sample answer in {comment!r}"
    assert end, f"no end of the sample answer in {comment!r}"
    return comment[start.start() : end.end()]


def _inside(text: str, opening: str) -> str:
    """Between `opening` and the bracket that closes it."""
    start = text.index(opening) + len(opening)
    depth = 1
    for at in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return text[start:at]
    raise AssertionError(f"{opening} is not closed")


def _places(text: str, word: str) -> list[int]:
    return [match.start() for match in re.finditer(re.escape(word), text)]


def _state(text: str) -> str:
    found = re.search(r"state = JobState\.(\w+)", text)
    assert found, f"no state in {text!r}"
    return found[1]


def _fields(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"(\w+) = ", text))
