"""Tasks that lie about who they are (ENV-44). Ours have no right to (no CAP_NET_RAW, no CAP_NET_ADMIN); these tests
send from inside a task's network with every right there is. Each forgery is shown to arrive when it is honest.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from runtimes.network import names
from tests.support.frames import arp_frame, udp_frame
from tests.support.hosts import Host
from tests.support.network_bed import NAME, PROBE, SERVED, Bed, Task
from tests.support.wait import wait_until

STRANGER = "198.51.100.7"


def test_a_datagram_arrives_only_under_the_senders_own_address(bed: Bed) -> None:
    """a2 may talk to a1, a3 may not: not under its own address, not under a2's, not under a stranger's."""
    bed.apply([("a1", "a2")])
    a1, a2, a3 = (bed.tasks[name] for name in ("a1", "a2", "a3"))
    heard = _heard(a1)
    for source in (a3.address, a2.address, STRANGER, bed.tasks["b1"].address, "10.83.1.1"):
        _send(a3, udp_frame((mac(a3), mac(a1)), (source, a1.address), SERVED))
    _send(a3, udp_frame(("02:99:00:00:00:01", mac(a1)), (STRANGER, a1.address), SERVED))
    _send(a3, udp_frame((mac(a3), "ff:ff:ff:ff:ff:ff"), (STRANGER, "255.255.255.255"), SERVED))
    _send(a2, udp_frame((mac(a2), mac(a1)), (a2.address, a1.address), SERVED))
    assert _arrived_before_an_honest_one(a2, a1, heard) == [f"6 bytes from {a2.address}"]


def test_nobody_can_be_reached_at_an_address_that_is_not_its_own(bed: Bed) -> None:
    """a3 tells a1 that a2's address is at its own link; a1 goes on to find a2."""
    bed.apply([("a1", "a2"), ("a1", "a3")])
    a1, a2, a3 = (bed.tasks[name] for name in ("a1", "a2", "a3"))
    target = f"{a2.address}:{SERVED}"
    assert a1.reach(target)[target].startswith("a2")
    for link in (mac(a3), mac(a2)):
        _send(a3, arp_frame((link, mac(a1)), a2.address, a1.address, mac(a3)))
        assert a1.reach(target) == {target: f"a2 {a1.address}"}
        assert mac(a3) not in _neighbours(a1, a2.address)


def test_an_address_that_a_task_gives_itself_is_of_no_use(bed: Bed) -> None:
    """Towards the world: neither another task's, nor a free one of the subnet, nor one from elsewhere."""
    bed.apply()
    a3, outside = bed.tasks["a3"], bed.outside.address
    gateway = _mac_of(bed.a.host, f"br-{NAME}")
    with bed.serving(bed.outside) as listener:
        for stolen in (bed.tasks["a1"].address, "10.83.1.99", STRANGER):
            _send(a3, udp_frame((mac(a3), gateway), (stolen, outside), SERVED))
        _send(a3, udp_frame((mac(a3), gateway), (a3.address, outside), SERVED))
        machine = bed.a.host.address
        wait_until(lambda: f"6 bytes from {machine}" in listener.heard(), "the honest datagram")
        assert listener.heard() == [f"6 bytes from {machine}"]


def test_the_way_over_the_gateway_is_no_way_round(bed: Bed) -> None:
    """To a neighbour without a pair, by a route that the task gives itself; one way would be enough."""
    bed.apply([("a2", "a3")])
    a1, a2, a3 = (bed.tasks[name] for name in ("a1", "a2", "a3"))
    heard = _heard(a2)
    a1.run("ip", "route", "add", a2.address, "via", "10.83.1.1")
    try:
        a1.probe("throw", a2.address, str(SERVED), "00" * 6)
        assert _arrived_before_an_honest_one(a3, a2, heard) == []
    finally:
        a1.run("ip", "route", "delete", a2.address)
    bed.apply([("a2", "a3"), ("a1", "a2")])
    a1.probe("throw", a2.address, str(SERVED), "00" * 6)
    wait_until(lambda: _heard(a2)[-1] == f"6 bytes from {a1.address}", "what may go the straight way")


def test_version_6_of_the_protocol_leads_nowhere(bed: Bed) -> None:
    """ENV-46: not between tasks, with or without a pair, and not to the machine, under whatever link address."""
    bed.apply([("a1", "a2")])
    a1, a2 = bed.tasks["a1"], bed.tasks["a2"]
    shown = bed.a.host.run("ip", "-6", "-brief", "address", "show", "dev", f"br-{NAME}").stdout
    machine = f"{shown.split()[2].partition('/')[0]}%eth0"
    with _version_6(a1, 1), _version_6(a2, 2):
        assert [_pings(a1, target) for target in ("fd00::1", "fd00::2", machine)] == [True, False, False]
        a1.run("ip", "link", "set", "eth0", "address", "02:99:00:00:00:01")
        try:
            assert [_pings(a1, target) for target in ("fd00::1", "fd00::2", machine)] == [True, False, False]
        finally:
            a1.run("ip", "link", "set", "eth0", "address", mac(a1))


def test_only_machines_of_the_cluster_can_put_packets_into_the_tunnel(bed: Bed) -> None:
    """A stranger on the same wire wraps what b1 might have said; then b's machine, which may, does."""
    bed.apply([("a1", "b1")])
    a1, b1 = bed.tasks["a1"], bed.tasks["b1"]
    heard, wrapped = _heard(a1), _wrapped(bed, b1.address, a1.address)
    bed.outside.run(sys.executable, PROBE, "throw", bed.a.host.address, _tunnel_port(bed), wrapped)
    assert _arrived_before_an_honest_one(b1, a1, heard) == []
    bed.b.host.run(sys.executable, PROBE, "throw", bed.a.host.address, _tunnel_port(bed), wrapped)
    wait_until(lambda: _heard(a1)[len(heard) + 1 :] == [f"6 bytes from {b1.address}"], "what b's machine wrapped")


def test_a_stranger_on_the_wire_is_not_taken_for_a_task_of_another_machine(bed: Bed) -> None:
    """Where there is a tunnel. With plain routes nobody can tell, which shows that the datagram is a good one."""
    a1, b1 = bed.tasks["a1"], bed.tasks["b1"]
    frame = udp_frame((_mac_of(bed.outside), _mac_of(bed.a.host)), (b1.address, a1.address), SERVED)
    for between, arrives in (("vxlan", []), ("routes", [f"6 bytes from {b1.address}"])):
        bed.apply([("a1", "b1")], between=between)
        heard = _heard(a1)
        bed.outside.run(sys.executable, PROBE, "frame", "eth0", frame)
        assert _arrived_before_an_honest_one(b1, a1, heard) == arrives


def test_the_tunnel_leads_to_tasks_and_not_to_the_machine_or_through_it(bed: Bed) -> None:
    """Even where the other machine let its tasks send."""
    bed.apply([("a1", "b1")])
    a1, b1 = bed.tasks["a1"], bed.tasks["b1"]
    with bed.serving(bed.a.host, 8890) as machine, bed.serving(bed.outside, 8890) as outside:
        for target in (bed.a.host.address, "10.83.1.1", bed.outside.address):
            wrapped = _wrapped(bed, b1.address, target, 8890)
            bed.b.host.run(sys.executable, PROBE, "throw", bed.a.host.address, _tunnel_port(bed), wrapped)
        assert b1.probe("datagram", a1.address, str(SERVED), "7") == "arrived"
        for target in (bed.a.host.address, bed.outside.address):
            bed.b.host.run(sys.executable, PROBE, "throw", target, "8890", "00" * 6)
        for listener in (machine, outside):
            wait_until(listener.heard, "what b's machine says itself")
            assert listener.heard() == [f"6 bytes from {bed.b.host.address}"]


@pytest.mark.parametrize("only", ["a", "b"])
def test_one_machine_is_enough_to_keep_tasks_apart(bed: Bed, only: str) -> None:
    """The other one may be behind with its plan. One way would be enough to do harm."""
    bed.apply([("a1", "b1"), ("a2", "b1")])
    a1, a2, b1 = (bed.tasks[name] for name in ("a1", "a2", "b1"))
    site = getattr(bed, only)
    site.agent.apply(bed.plan(site, [("a2", "b1")]))
    heard = _heard(b1)
    a1.probe("throw", b1.address, str(SERVED), "00" * 6)
    assert _arrived_before_an_honest_one(a2, b1, heard) == []


@contextmanager
def _version_6(task: Task, number: int) -> Iterator[None]:
    task.run("sysctl", "-w", "net.ipv6.conf.all.disable_ipv6=0")
    task.run("ip", "address", "add", f"fd00::{number}/64", "dev", "eth0", "nodad")
    try:
        yield
    finally:
        task.run("sysctl", "-w", "net.ipv6.conf.all.disable_ipv6=1")


def _pings(task: Task, target: str) -> bool:
    return task.run("busybox", "ping", "-6", "-c1", "-W1", target, check=False).returncode == 0


def _tunnel_port(bed: Bed) -> str:
    return str(bed.plan(bed.a).vxlan_port)


def _wrapped(bed: Bed, source: str, target: str, port: int = SERVED) -> str:
    """What b's machine would send through the tunnel to a's."""
    ends = [names.tunnel_mac(names.subnet(site.subnet)) for site in (bed.b, bed.a)]
    inner = udp_frame((ends[0], ends[1]), (source, target), port)
    return f"08000000{bed.plan(bed.a).vxlan_id:06x}00{inner}"


def _mac_of(host: Host, device: str = "eth0") -> str:
    return host.run("ip", "-brief", "link", "show", "dev", device).stdout.split()[2]


def mac(task: Task) -> str:
    return names.task_mac(names.address(task.address))


def _send(task: Task, frame: str) -> None:
    task.probe("frame", "eth0", frame)


def _heard(task: Task) -> list[str]:
    assert task.listener is not None
    return task.listener.heard()


def _arrived_before_an_honest_one(sender: Task, receiver: Task, before: list[str]) -> list[str]:
    """What `receiver` heard up to a datagram of `sender` that was sent after everything else."""
    assert sender.probe("datagram", receiver.address, str(SERVED), "7") == "arrived"
    honest = f"7 bytes from {sender.address}"
    new = wait_until(lambda: _heard(receiver)[len(before) :], "the honest datagram")
    assert new[-1] == honest
    return new[:-1]


def _neighbours(task: Task, address: str) -> str:
    return task.run("ip", "neigh", "show", address).stdout
