"""A machine's `NodeNetwork` in a process of its own, inside that host's network: this file is also its program.

Requests and answers are lines of JSON over its pipes. Killing it is the death of the machine's agent.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runtimes.errors import DriverError
from runtimes.network.node_network import NodeNetwork
from runtimes.network.plan import Neighbour, NetworkPlan
from tests.support.hosts import Host

REPOSITORY = Path(__file__).parents[2]


class NetworkAgent:
    """The test's side of it."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._process = self._spawn()

    def apply(self, plan: NetworkPlan) -> str:
        """Digest of what is in force afterwards. An error of the driver's tree is raised as `Refused`."""
        return str(self._ask("apply", asdict(plan)))

    def recall(self, name: str) -> str | None:
        found: str | None = self._ask("recall", name)
        return found

    def tidy(self, name: str) -> list[str]:
        """Devices that were taken away."""
        return list(self._ask("tidy", name))

    def remove(self, name: str) -> None:
        self._ask("remove", name)

    def possible(self) -> str:
        """Why not; empty if it is."""
        return str(self._ask("possible", None))

    def restart(self) -> None:
        self.kill()
        self._process = self._spawn()

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _spawn(self) -> subprocess.Popen[str]:
        # Its own path is not searched (-P) but the repository is, as for the tests themselves.
        words = ("env", f"PYTHONPATH={REPOSITORY}", sys.executable, "-P", "-m", "tests.support.network_agent")
        return self._host.spawn(*words, self._host.docker_url)

    def _ask(self, call: str, argument: Any) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([call, argument]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the agent of {self._host.name} died: {self._process.communicate()[1]}"
        answer = json.loads(line)
        if "error" in answer:
            raise Refused(*answer["error"])
        return answer["ok"]


class Refused(Exception):
    """Name of the error's class, and its message."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(f"{kind}: {message}")
        self.kind, self.message = kind, message


async def _answer(network: NodeNetwork, call: str, argument: Any) -> Any:
    if call == "apply":
        await network.apply(_plan(argument))
        return network.applied
    if call == "recall":
        return await network.recall(argument)
    if call == "tidy":
        return await network.tidy(argument)
    if call == "possible":
        return (await network.possible()).reason
    await network.remove(argument)
    return None


def _plan(content: dict[str, Any]) -> NetworkPlan:
    near = tuple(Neighbour(**one) for one in content.pop("neighbours"))
    pairs = tuple((one, other) for one, other in content.pop("pairs"))
    ranges = {key: tuple(content.pop(key)) for key in ("outbound", "denied")}
    return NetworkPlan(**content, **ranges, neighbours=near, pairs=pairs)


def _serve(docker_url: str) -> None:
    network = NodeNetwork(docker_url)
    for line in sys.stdin:
        try:
            answer = {"ok": asyncio.run(_answer(network, *json.loads(line)))}
        except DriverError as error:
            answer = {"error": [type(error).__name__, error.message]}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve(sys.argv[1])
