"""Each part of an installation as a victim of `kills`: how it is killed, and when it is back."""

from __future__ import annotations

import random
from collections.abc import Callable

import httpx

from tests.faults.kills import Victim
from tests.faults.victims import Victims
from tests.support import postgres
from tests.support.dockerd import PrivateDaemon
from tests.support.stack import PROVIDER, Stack
from tests.support.wait import wait_until

BACK_SECONDS = 90.0


class Database:
    """A PostgreSQL that may be started again, as another process on the same data."""

    def __init__(self, server: postgres.Server) -> None:
        self.server = server

    def victim(self) -> Victim:
        return Victim("PostgreSQL", self._kill)

    def _kill(self) -> Callable[[], None]:
        self.server.kill()
        return self._start

    def _start(self) -> None:
        self.server = postgres.start(self.server.folder, self.server.port)


def front_end(stack: Stack) -> Victim:
    condition = f"{stack.provider_url}/ucloud/{PROVIDER}/integration/retrieveCondition"
    return Victim("front end", lambda: _kill_server(stack, "provider", condition))


def orchestrator(stack: Stack) -> Victim:
    url = f"{stack.url}/api/jobs/browse?itemsPerPage=10"
    return Victim("orchestrator", lambda: _kill_server(stack, "orchestrator", url))


def _kill_server(stack: Stack, part: str, url: str) -> Callable[[], None]:
    old = wait_until(lambda: _pid(stack, part), f"{part} to be started")
    Victims(stack).kill([old])
    return lambda: wait_until(
        lambda: _pid(stack, part) not in (None, old) and _answers(url), f"{part} to answer again", BACK_SECONDS
    )


def _pid(stack: Stack, part: str) -> int | None:
    """None while it is down."""
    mark = stack.state.parts.get(part)
    return mark.pid if mark is not None else None


def _answers(url: str) -> bool:
    """Anything at all, a refusal too."""
    try:
        httpx.get(url, timeout=5.0)
    except httpx.TransportError:
        return False
    return True


def replica_actor(stack: Stack, seed: int) -> Victim:
    """One of them, any. It is back when every rank that runs is watched. Not by the number of actors: fewer are needed
    when jobs have ended meanwhile."""
    chance, victims = random.Random(seed), Victims(stack)

    def kill() -> Callable[[], None]:
        victims.kill([chance.choice(wait_until(victims.replica_actors, "a replica actor"))])
        return lambda: wait_until(lambda: _all_watched(stack), "every rank that runs to be watched", BACK_SECONDS)

    return Victim("replica actor", kill)


def _all_watched(stack: Stack) -> bool:
    """As the machines say; False while nobody answers, for the front end may be down."""
    token = (stack.data / "operator-token").read_text().strip()
    headers = {"Authorization": f"Bearer {token}"}
    try:
        answer = httpx.get(f"{stack.provider_url}/ucloud-ray/watched", headers=headers, timeout=10.0)
    except httpx.TransportError:
        return False
    found = answer.json() if answer.is_success else {"ranks": 0, "watched": -1}
    return bool(found["watched"] >= found["ranks"])


def supervisor(stack: Stack) -> Victim:
    victims = Victims(stack)

    def kill() -> Callable[[], None]:
        killed = victims.supervisor()
        victims.kill(killed)
        return lambda: victims.wait_supervised(killed)

    return Victim("supervisor", kill)


def all_of_ray(stack: Stack) -> Victim:
    victims = Victims(stack)

    def kill() -> Callable[[], None]:
        killed = victims.all_of_ray()
        victims.kill(killed)
        return lambda: victims.wait_supervised(killed)

    return Victim("all of Ray", kill)


def dockerd(daemon: PrivateDaemon) -> Victim:
    def kill() -> Callable[[], None]:
        daemon.kill()
        return daemon.start

    return Victim("dockerd", kill)


def native_waiter(stack: Stack, seed: int) -> Victim:
    """Of any process: there are as many as processes, and none needs to come back before the next one is killed."""
    return _any_of("native waiter", Victims(stack).native_waiters, stack, seed)


def pump(stack: Stack, seed: int) -> Victim:
    """Who carries the output of any container."""
    return _any_of("pump", Victims(stack).pumps, stack, seed)


def _any_of(name: str, living: Callable[[], list[int]], stack: Stack, seed: int) -> Victim:
    chance = random.Random(f"{name} {seed}")

    def kill() -> Callable[[], None]:
        Victims(stack).kill([chance.choice(wait_until(living, f"a {name}"))])
        return lambda: None

    return Victim(name, kill)


def node_agent(stack: Stack) -> Victim:
    """The relay of logs, networks and images of this machine."""
    victims = Victims(stack)

    def kill() -> Callable[[], None]:
        killed = wait_until(victims.node_agents, "a node agent")
        victims.kill(killed)
        return lambda: wait_until(lambda: set(victims.node_agents()) - set(killed), "a new node agent", BACK_SECONDS)

    return Victim("node agent", kill)
