"""`ucloud-ray jobs logs -f` shows every line once, whatever of ours is killed while the job writes (LOG-5, D9)."""

from __future__ import annotations

import subprocess
import threading

import pytest

from tests.faults.conftest import Gated, run_script
from tests.faults.victims import Victims
from tests.support import dockerd
from tests.support.stack import Stack
from tests.support.wait import wait_until

pytestmark = pytest.mark.timeout(240)

NUMBERS = """
echo start >> starts-$UCLOUD_RANK.txt
i=0
while [ ! -e gate ]; do
  i=$((i+1)); echo "line $i"
  [ $((i % 500)) = 0 ] && sleep 0.02
done
echo "the end"
exit 7
"""


class Shown:
    """What the command prints, as it prints it."""

    def __init__(self, command: subprocess.Popen[str]) -> None:
        self.lines: list[str] = []
        self._command = command
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def _read(self) -> None:
        assert self._command.stdout is not None
        self.lines.extend(iter(self._command.stdout.readline, ""))

    def wait_for_more(self) -> None:
        seen = len(self.lines)
        wait_until(lambda: len(self.lines) > seen + 1000, "lines written meanwhile to be shown", timeout=60.0)

    def end(self) -> int:
        status = self._command.wait(timeout=60)
        self._reading.join()
        return status


@pytest.mark.parametrize("kind", ["native", "docker"])
def test_every_line_is_shown_once_through_every_restart(stack: Stack, victims: Victims, kind: str) -> None:
    if kind == "docker" and (reason := dockerd.missing()):
        pytest.skip(reason)
    job = Gated(stack, run_script(stack, kind, NUMBERS))
    job.wait_running()
    with stack.spawn("jobs", "logs", "-f", job.id, f"--data={stack.data}") as command:
        try:
            shown = Shown(command)
            shown.wait_for_more()
            for part in ("orchestrator", "provider"):
                old = stack.pid(part)
                stack.kill(part)
                stack.wait_restarted(part, old)
                shown.wait_for_more()
            for kill in (victims.node_agents, victims.replica_actors):
                victims.kill(kill())
                shown.wait_for_more()
            job.open_gate()
            assert shown.end() == 0
        finally:
            command.kill()
    written = (job.folder / "stdout-0.log").read_text().splitlines(keepends=True)
    assert written[-1] == "the end\n"
    assert written[:-1] == [f"line {number}\n" for number in range(1, len(written))]
    first = written.index(shown.lines[0])
    assert shown.lines == written[first:]
    assert job.starts() == 1
