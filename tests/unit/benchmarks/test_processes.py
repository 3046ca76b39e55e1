from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from benchmarks import processes


@pytest.mark.parametrize(
    ("command", "part"),
    [
        ("python -P -m ucloud_ray orchestrator serve --config x", "orchestrator"),
        ("python -P -m ucloud_ray provider serve --config x", "provider front end"),
        ("python -P -m ucloud_ray up --port 0", "minder"),
        ("ray::JobSupervisor", "supervisor"),
        ("ray::ReplicaActor.wait", "replica actors"),
        ("ray/core/src/ray/gcs/gcs_server --log_dir=x", "Ray: gcs"),
        ("ray/core/src/ray/raylet/raylet --raylet_socket_name=x", "Ray: raylet"),
        ("python -I -S runtimes/native/program.py 52", "native launchers"),
        ("ray::DashboardAgent", "Ray: other"),
    ],
)
def test_a_part_is_known_by_its_command_line(command: str, part: str) -> None:
    assert processes.part_of(command) == part


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """Waits for the end of its standard input."""
    environment = {**os.environ, processes.MARK: "a-test"}
    code = "import sys; print('ready', flush=True); sys.stdin.read()"
    command = [sys.executable, "-S", "-E", "-c", code]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        yield process


def test_processes_are_found_by_the_mark_that_they_inherit(child: subprocess.Popen[bytes]) -> None:
    assert list(processes.marked("a-test")) == [child.pid]
    assert processes.marked("another-test") == {}


def test_memory_of_a_process_that_is_gone_is_unknown(child: subprocess.Popen[bytes]) -> None:
    before = processes.memory_mib(child.pid)
    assert before is not None
    resident, proportional = before
    assert 0 < proportional <= resident
    child.communicate()
    assert processes.memory_mib(child.pid) is None
