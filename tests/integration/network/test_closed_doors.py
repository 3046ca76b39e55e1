"""What a task can reach beside its pairs (D12, D14, ENV-44): nothing of the machine or the cluster, and of the rest
what the operator allows. Each target is shown to be alive by somebody who may reach it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest

from runtimes.network.names import Names
from tests.support.hosts import Host
from tests.support.network_bed import NAME, OTHER, SERVED, Bed, from_host, output_of, stranger

METADATA = "169.254.169.254"
PROVIDER, RAY, POSTGRES, DOCKER = 8889, 6380, 5432, 2375
FAKES = (PROVIDER, RAY, POSTGRES)


@pytest.fixture(scope="module")
def doors(bed: Bed) -> Iterator[Bed]:
    """Servers on both machines, and outside, which also plays the metadata service of a cloud."""
    for site in bed.sites:
        bed.listen(site.host.command(), site.host.folder, "machine", *FAKES)
    bed.outside.run("ip", "address", "add", f"{METADATA}/32", "dev", "eth0")
    bed.a.host.run("ip", "route", "add", METADATA, "via", bed.outside.address)
    with bed.serving(bed.outside):
        yield bed


def test_a_task_reaches_no_port_of_its_machine_under_any_of_its_addresses(doors: Bed) -> None:
    """Docker's, the provider's, Ray's and the database's, on the cluster's address, the bridge's and the tunnel's."""
    doors.apply()
    ports = (*FAKES, DOCKER)
    addresses = (doors.a.host.address, doors.a.subnet.replace(".0/24", ".1"))
    targets = [f"{address}:{port}" for address in addresses for port in ports]
    assert set(from_host(doors.a.host, *targets)) == {target for target in targets if not target.endswith(f":{DOCKER}")}
    assert set(from_host(doors.outside, f"{doors.a.host.address}:{PROVIDER}")) == {f"{doors.a.host.address}:{PROVIDER}"}
    assert doors.a.host.run("busybox", "nc", "-w", "1", "127.0.0.1", str(DOCKER), check=False).returncode == 0
    assert doors.tasks["a1"].reach(*targets) == {}


def test_a_task_reaches_no_port_of_another_machine(doors: Bed) -> None:
    doors.apply([("a1", "b1")])
    bridge = doors.b.subnet.replace(".0/24", ".1")
    targets = [f"{address}:{port}" for address in (doors.b.host.address, bridge) for port in FAKES]
    assert set(from_host(doors.b.host, *targets)) == set(targets)
    assert doors.tasks["a1"].reach(*targets) == {}


def test_a_task_reaches_no_metadata_service(doors: Bed) -> None:
    """Whatever `outbound` and `denied` say."""
    doors.apply(denied=())
    assert from_host(doors.a.host, f"{METADATA}:{SERVED}") == {
        f"{METADATA}:{SERVED}": f"outside {doors.a.host.address}"
    }
    assert doors.tasks["a1"].reach(f"{METADATA}:{SERVED}") == {}


def test_a_pair_opens_nothing_but_the_pair(doors: Bed) -> None:
    """Another task's ports stay shut, each of them."""
    doors.apply([("a1", "a2")])
    allowed = [f"{doors.tasks['a2'].address}:{port}" for port in (SERVED, OTHER)]
    others = [f"{doors.tasks[name].address}:{port}" for name in ("a3", "b1", "b2") for port in (SERVED, OTHER)]
    assert set(doors.tasks["a1"].reach(*allowed, *others)) == set(allowed)


def test_the_machine_itself_reaches_its_tasks(doors: Bed) -> None:
    """Relay and gateway do (D8), also where nothing is allowed outbound."""
    doors.apply(outbound=())
    targets = [f"{doors.tasks[name].address}:{SERVED}" for name in ("a1", "a2")]
    assert set(from_host(doors.a.host, *targets)) == set(targets)


def test_nobody_outside_reaches_a_task(doors: Bed) -> None:
    """Not the other machines of the cluster either, nor a stranger who knows the way."""
    doors.apply([("a1", "b1")])
    target = f"{doors.tasks['a1'].address}:{SERVED}"
    with _route(doors.outside, doors.a.subnet, doors.a.host.address):
        assert from_host(doors.outside, target) == {}
    assert from_host(doors.b.host, target) == {}


def test_outbound_traffic_is_what_the_operator_allows(doors: Bed) -> None:
    """ENV-44; it leaves under the machine's own address."""
    target = f"{doors.outside.address}:{SERVED}"
    task = doors.tasks["a1"]
    doors.apply()
    assert task.reach(target) == {target: f"outside {doors.a.host.address}"}
    doors.apply(outbound=(f"{doors.outside.address}/32",))
    assert set(task.reach(target)) == {target}
    doors.apply(outbound=("203.0.113.0/24",))
    assert task.reach(target) == {}
    doors.apply(outbound=())
    assert task.reach(target) == {}
    doors.apply(denied=(f"{doors.outside.address}/32",))
    assert task.reach(target) == {}


def test_denied_places_are_not_even_sent_to(doors: Bed) -> None:
    """Not only answers are kept away."""
    outside, port = doors.outside.address, str(PROVIDER)
    with doors.serving(doors.outside, PROVIDER) as listener:
        doors.apply(denied=(f"{outside}/32",))
        doors.tasks["a1"].probe("throw", outside, port, "00" * 6)
        doors.apply()
        assert doors.tasks["a1"].probe("datagram", outside, port, "7") == "arrived"
        assert listener.heard() == [f"7 bytes from {doors.a.host.address}"]


@pytest.mark.parametrize(
    ("place", "port", "rule"),
    [
        ("machine", 8099, "tcp dport 8099 dnat to {outside}:80"),
        ("outside", 8098, "tcp dport 8098 redirect to :8889"),
    ],
)
def test_what_the_machine_hands_on_for_others_it_does_not_hand_on_for_tasks(
    doors: Bed, place: str, port: int, rule: str
) -> None:
    """An operator's load balancer is a port of the machine, though none of its processes answers; one who takes up
    what goes elsewhere leads to the machine. Another machine may use both."""
    doors.apply()
    addresses = {"machine": doors.b.host.address, "outside": doors.outside.address}
    target = f"{addresses[place]}:{port}"
    with _operators_rule(doors.b.host, rule.format(**addresses)):
        with _route(doors.a.host, addresses["outside"], addresses["machine"]):
            assert set(from_host(doors.a.host, target)) == {target}
        assert doors.tasks["b1"].reach(target) == {}


def test_nobody_tells_a_task_the_names_of_others(doors: Bed) -> None:
    """Docker has a name server in every container of a bridge, which knows them all. One that is not ours shows it."""
    doors.apply()
    asked = ["nslookup", "a2", "127.0.0.11"]
    with stranger(doors.a) as name:
        doors.a.api.connect_container_to_network(name, Names(NAME).docker, ipv4_address="10.83.1.200")
        assert doors.tasks["a2"].address in output_of(doors.a, name, asked)
        doors.a.api.disconnect_container_from_network(name, Names(NAME).docker, force=True)
    assert doors.tasks["a2"].address not in output_of(doors.a, "a1", asked)
    assert "127.0.0.11" not in output_of(doors.a, "a1", ["cat", "/etc/resolv.conf"])


@contextlib.contextmanager
def _operators_rule(host: Host, rule: str) -> Iterator[None]:
    """With the answers coming back the same way."""
    table = f"""table ip operators {{
      chain arriving {{ type nat hook prerouting priority dstnat; {rule}; }}
      chain leaving {{ type nat hook postrouting priority srcnat; tcp dport {SERVED} masquerade; }}
    }}"""
    host.run("sh", "-c", f"echo '{table}' | nft -f -")
    try:
        yield
    finally:
        host.run("nft", "delete", "table", "ip", "operators")


@contextlib.contextmanager
def _route(host: Host, to: str, through: str) -> Iterator[None]:
    host.run("ip", "route", "add", to, "via", through)
    try:
        yield
    finally:
        host.run("ip", "route", "delete", to)
