"""What code could do that got out of Jinja's sandbox: nothing (INV-34)."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

PROBE = """
import json, os, signal, socket, sys, traceback
from runtimes.templating.confinement import confine

confine(5, 256 * 1024 * 1024)
attempts = {
    "open": lambda: open("/etc/passwd"),
    "list": lambda: os.listdir("/"),
    "write": lambda: open("/tmp/escaped", "w"),
    "socket": lambda: socket.socket(),
    "pipe": lambda: os.pipe(),
    "fork": lambda: os.fork(),
    "signal": lambda: os.kill(os.getppid(), 0),
    "become root": lambda: os.setuid(0),
    "raise a limit": lambda: __import__("resource").setrlimit(7, (1024, 1024)),
    "memory": lambda: bytearray(10**9),
}
done = []
for name, attempt in attempts.items():
    try:
        attempt()
        done.append(name)
    except (OSError, ValueError, MemoryError):
        pass
sys.stdout.write(json.dumps(done))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user keeps its own identity")
def test_confined_code_of_root_can_do_nothing_at_all() -> None:
    assert _succeeded() == []


def test_confined_code_of_anybody_opens_and_starts_nothing() -> None:
    assert not {"open", "list", "write", "socket", "pipe", "fork", "raise a limit", "memory"} & set(_succeeded())


def _succeeded() -> list[str]:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout)
    return found
