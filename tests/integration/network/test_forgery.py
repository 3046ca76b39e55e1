"""Tasks that lie about who they are (ENV-44). Ours have no right to (no CAP_NET_RAW, no CAP_NET_ADMIN); these tests
send from inside a task's network with every right there is. Each forgery is shown to arrive when it is honest.
"""

from __future__ import annotations

import sys

from runtimes.network import names
from tests.support.frames import arp_frame, udp_frame
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
    """Neither a free one of the subnet nor one outside of it; not towards tasks, not to the world."""
    bed.apply([("a1", "a2"), ("a2", "a3")])
    a3 = bed.tasks["a3"]
    target = f"{bed.outside.address}:{SERVED}"
    with bed.serving_outside():
        for stolen in (bed.tasks["a1"].address, "10.83.1.99", STRANGER):
            a3.run("ip", "address", "replace", f"{stolen}/32", "dev", "eth0")
            try:
                a3.run("ip", "route", "replace", bed.outside.address, "via", "10.83.1.1", "src", stolen)
                assert a3.reach(target) == {}, stolen
            finally:
                a3.run("ip", "address", "delete", f"{stolen}/32", "dev", "eth0")
                a3.run("ip", "route", "flush", bed.outside.address, check=False)
        assert set(a3.reach(target)) == {target}


def test_the_way_over_the_gateway_is_no_way_round(bed: Bed) -> None:
    """To a neighbour without a pair, by a route that the task gives itself."""
    bed.apply([("a2", "a3")])
    a1, a2 = bed.tasks["a1"], bed.tasks["a2"]
    a1.run("ip", "route", "add", a2.address, "via", "10.83.1.1")
    try:
        assert a1.reach(f"{a2.address}:{SERVED}") == {}
    finally:
        a1.run("ip", "route", "delete", a2.address)
    bed.apply([("a1", "a2")])
    assert set(a1.reach(f"{a2.address}:{SERVED}")) == {f"{a2.address}:{SERVED}"}


def test_version_6_of_the_protocol_leads_nowhere(bed: Bed) -> None:
    """ENV-46: not between tasks, with or without a pair, and not to the machine."""
    bed.apply([("a1", "a2")])
    a1, a2 = bed.tasks["a1"], bed.tasks["a2"]
    for number, task in enumerate((a1, a2), start=1):
        task.run("sysctl", "-w", "net.ipv6.conf.all.disable_ipv6=0")
        task.run("ip", "address", "add", f"fd00::{number}/64", "dev", "eth0", "nodad")
    machine = bed.a.host.run("ip", "-6", "-brief", "address", "show", "dev", f"br-{NAME}").stdout.split()[2]
    reached = {"fd00::1": True, "fd00::2": False, f"{machine.split('/')[0]}%eth0": False}
    try:
        for target, answers in reached.items():
            ping = a1.run("busybox", "ping", "-6", "-c1", "-W1", target, check=False)
            assert (ping.returncode == 0) is answers, target
    finally:
        for task in (a1, a2):
            task.run("sysctl", "-w", "net.ipv6.conf.all.disable_ipv6=1")


def test_only_machines_of_the_cluster_can_put_packets_into_the_tunnel(bed: Bed) -> None:
    """A stranger on the same wire wraps what b1 might have said; then b's machine, which may, does."""
    bed.apply([("a1", "b1")])
    a1, b1 = bed.tasks["a1"], bed.tasks["b1"]
    plan = bed.plan(bed.a)
    ends = [names.tunnel_mac(names.subnet(site.subnet)) for site in (bed.b, bed.a)]
    inner = bytes.fromhex(udp_frame((ends[0], ends[1]), (b1.address, a1.address), SERVED))
    wrapped = (b"\x08\x00\x00\x00" + plan.vxlan_id.to_bytes(3, "big") + b"\x00" + inner).hex()
    heard = _heard(a1)
    send = (sys.executable, PROBE, "throw", bed.a.host.address, str(plan.vxlan_port), wrapped)
    bed.outside.run(*send)
    assert _arrived_before_an_honest_one(b1, a1, heard) == []
    bed.b.host.run(*send)
    wait_until(lambda: _heard(a1)[len(heard) + 1 :] == [f"6 bytes from {b1.address}"], "what b's machine wrapped")


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
