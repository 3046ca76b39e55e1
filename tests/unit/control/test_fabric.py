"""Who may talk to whom, and under which names (ENV-43, ENV-44, ENV-47 to ENV-52)."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.domain.builders import NOW, after, queued, spec, start_all
from ucloud_ray.control import fabric
from ucloud_ray.control.fabric import Ground, Links, Machine
from ucloud_ray.domain.events import CleanedUp, PlacementGranted, ReplicaEnded, StopCause, StopRequested
from ucloud_ray.domain.ids import JobId, JobUid, Millis
from ucloud_ray.domain.job import Backend, Exit, Job, Owner, PeerRequest
from ucloud_ray.settings import NetworkSettings

HOSTS = ("node-a", "node-b", "node-c")
ADDRESSES = {"node-a": "10.83.0.{}", "node-b": "10.83.1.{}", "node-c": "10.83.2.{}"}


def waiting(id: str, *hosts: str, peers: tuple[tuple[str, str], ...] = (), **more: Any) -> Job:
    requests = tuple(PeerRequest(hostname, JobId(peer)) for hostname, peer in peers)
    plain = spec(max(1, len(hosts)))
    plain = replace(plain, launch=replace(plain.launch, peers=requests), **more)
    return replace(queued(plain), uid=JobUid(f"uid-{id}"), id=JobId(id))


def job(id: str, *hosts: str, **more: Any) -> Job:
    """One that runs; rank i is on machine i and has the address with the job's id and the rank at its end."""
    granted = PlacementGranted(1, hosts, tuple(ADDRESSES[host].format(int(id) + n) for n, host in enumerate(hosts)))
    return start_all(after(waiting(id, *hosts, **more), granted))


def links(*jobs: Job) -> Links:
    found = Links()
    for one in jobs:
        found.update(one)
    return found


# ---------------------------------------------------------------------------------------------------------- pairs


def test_the_ranks_of_one_job_may_talk_to_each_other() -> None:
    """Each pair is known on the machines of both."""
    pairs = links(job("10", "node-a", "node-b", "node-b")).pairs()
    across = {("10.83.0.10", "10.83.1.11"), ("10.83.0.10", "10.83.1.12")}
    assert pairs == {"node-a": across, "node-b": across | {("10.83.1.11", "10.83.1.12")}}


def test_two_jobs_do_not_know_each_other() -> None:
    """ENV-44."""
    both = links(job("10", "node-a", "node-a"), job("20", "node-a", "node-a"))
    assert both.pairs() == {"node-a": {("10.83.0.10", "10.83.0.11"), ("10.83.0.20", "10.83.0.21")}}
    assert both.names(job("10", "node-a", "node-a"), 0) == {"j-10-job-1": "10.83.0.11"}


def test_every_rank_may_talk_to_every_rank_of_its_peer() -> None:
    """ENV-47."""
    both = links(job("10", "node-a", "node-b"), job("20", "node-c", "node-c", peers=(("database", "10"),)))
    between = {(one, other) for one in ("10.83.0.10", "10.83.1.11") for other in ("10.83.2.20", "10.83.2.21")}
    assert between <= both.pairs()["node-c"]
    assert both.pairs()["node-c"] - between == {("10.83.2.20", "10.83.2.21")}


def test_peers_of_a_peer_are_strangers() -> None:
    """ENV-52: 10 and 30 are both connected with 20."""
    three = links(
        job("10", "node-a"),
        job("20", "node-a", peers=(("first", "10"),)),
        job("30", "node-a", peers=(("second", "20"),)),
    )
    assert three.pairs() == {"node-a": {("10.83.0.10", "10.83.0.20"), ("10.83.0.20", "10.83.0.30")}}
    assert "j-30-job-0" not in three.names(job("10", "node-a"), 0)


def test_an_end_takes_the_pairs_away_and_nothing_else() -> None:
    """ENV-48, whichever of the two ends."""
    server, guest = job("10", "node-a"), job("20", "node-b", peers=(("database", "10"),))
    other = job("30", "node-b", "node-c")
    for ended in (server, guest):
        all_three = links(server, guest, other)
        assert all_three.update(after(ended, ReplicaEnded(1, 0, Exit(0))))
        assert all_three.pairs() == links(other).pairs()
        assert all_three.missing(guest) == ([] if ended is guest else list(guest.spec.launch.peers))


def test_a_job_that_is_being_stopped_may_still_talk() -> None:
    """Its ranks get time to end in order (ENV-42)."""
    stopping = after(job("10", "node-a", "node-b"), StopRequested(StopCause.CANCELLED))
    assert links(stopping).pairs() == links(job("10", "node-a", "node-b")).pairs()


def test_changes_that_matter_to_nobody_are_told_apart() -> None:
    found = Links()
    assert not found.update(job("10", "node-a"))
    assert found.update(job("20", "node-b", "node-b"))
    assert not found.update(job("20", "node-b", "node-b"))
    assert found.update(job("30", "node-a", peers=(("database", "10"),)))
    assert found.update(after(job("10", "node-a"), ReplicaEnded(1, 0, Exit(0))))


def test_nothing_is_remembered_of_jobs_that_are_over() -> None:
    found = links(job("10", "node-a", "node-b"), job("20", "node-a", peers=(("database", "10"), ("other", "99"))))
    for one in (job("10", "node-a", "node-b"), job("20", "node-a", peers=(("database", "10"), ("other", "99")))):
        found.update(after(one, *(ReplicaEnded(1, rank.rank, Exit(0)) for rank in one.ranks), CleanedUp(1)))
    assert (found._live, found._by_id, found._asking) == ({}, {}, {})


def test_jobs_without_addresses_have_no_part_in_it() -> None:
    """Processes, and containers from before there was a network."""
    processes = job("10", "node-a", "node-b", backend=Backend.NATIVE)
    old = after(waiting("20", "node-a", "node-b"), PlacementGranted(1, ("node-a", "node-b")))
    guest = job("30", "node-a", peers=(("one", "10"), ("two", "20")))
    assert links(processes, old, guest).pairs() == {}
    assert len(links(processes, old, guest).missing(guest)) == 2


# ---------------------------------------------------------------------------------------------- who may be a peer


def test_a_peer_of_another_workspace_is_as_good_as_none() -> None:
    """ENV-49: whatever the Core allowed."""
    theirs = job("10", "node-a", owner=Owner("bob"))
    shared = job("11", "node-a", owner=Owner("bob", "project"))
    guest = job("20", "node-a", peers=(("a", "10"), ("b", "11")))
    assert links(theirs, shared, guest).pairs() == {}
    member = job("20", "node-a", peers=(("a", "10"), ("b", "11")), owner=Owner("alice", "project"))
    assert [peer.hostname for peer in links(theirs, shared, member).missing(member)] == ["a"]


def test_a_later_job_with_the_id_of_the_peer_is_not_the_peer() -> None:
    """O3."""
    guest = job("20", "node-a", peers=(("database", "10"),))
    later = replace(job("10", "node-a"), uid=JobUid("another"), created_at=Millis(NOW + 1))
    assert links(later, guest).pairs() == {}


def test_a_job_is_not_its_own_peer() -> None:
    alone = job("10", "node-a", peers=(("me", "10"),))
    assert links(alone).pairs() == {}
    assert links(alone).names(alone, 0) == {}


# ---------------------------------------------------------------------------------------------------------- names


def test_every_rank_finds_rank_0_of_its_peer_under_the_name_it_asked_for() -> None:
    """ENV-48: every rank, and the peer's ranks under their own names, too."""
    guest = job("20", "node-b", "node-c", peers=(("database", "10"),))
    both = links(job("10", "node-a", "node-b"), guest)
    theirs = {"j-10-job-0": "10.83.0.10", "j-10-job-1": "10.83.1.11", "database": "10.83.0.10"}
    assert both.names(guest, 0) == {"j-20-job-1": "10.83.2.21"} | theirs
    assert both.names(guest, 1) == {"j-20-job-0": "10.83.1.20"} | theirs


def test_the_peer_finds_its_guests_by_their_own_names() -> None:
    """ENV-47: it may connect back."""
    server = job("10", "node-a")
    guests = [job(guest, "node-b", peers=(("database", "10"),)) for guest in ("20", "30")]
    assert links(server, *guests).names(server, 0) == {"j-20-job-0": "10.83.1.20", "j-30-job-0": "10.83.1.30"}


# ---------------------------------------------------------------------------------------------------------- plans

MACHINES = {
    host: Machine(f"10.83.{number}.0/24", f"192.0.2.{number + 1}", (f"192.0.2.{number + 1}", f"198.51.100.{number}"))
    for number, host in enumerate(HOSTS)
}
GROUND = Ground("test", 7, NetworkSettings(outbound=("0.0.0.0/0",), denied=("203.0.113.0/24",)))


def test_a_plan_says_everything_about_a_machine() -> None:
    made = fabric.plan("node-b", MACHINES, {("10.83.0.10", "10.83.1.11")}, GROUND)
    assert (made.name, made.vxlan_id, made.subnet, made.range) == ("test", 7, "10.83.1.0/24", "10.83.0.0/16")
    assert [(near.subnet, near.address) for near in made.neighbours] == [
        ("10.83.0.0/24", "192.0.2.1"),
        ("10.83.2.0/24", "192.0.2.3"),
    ]
    assert made.pairs == (("10.83.0.10", "10.83.1.11"),)
    assert made.address == "192.0.2.2"


def test_no_machine_no_metadata_and_nothing_that_the_operator_names_may_be_reached() -> None:
    """ENV-44: also by machines that are not neighbours."""
    denied = set(fabric.plan("node-a", MACHINES, (), GROUND).denied)
    assert denied >= {"192.0.2.1", "192.0.2.2", "192.0.2.3", "198.51.100.0", "198.51.100.1", "198.51.100.2"}
    assert denied >= {"169.254.0.0/16", "203.0.113.0/24"}


def test_a_machine_alone_needs_no_tunnel() -> None:
    made = fabric.plan("node-a", {"node-a": MACHINES["node-a"]}, (), GROUND)
    assert (made.neighbours, made.address) == ((), None)


@given(st.permutations(range(3)), st.data())
def test_a_plan_does_not_depend_on_the_order_of_events(order: list[int], data: st.DataObject) -> None:
    """Otherwise a restart would change plans that are right."""
    jobs = [job("10", "node-a", "node-b"), job("20", "node-b", peers=(("x", "10"),)), job("30", "node-c", "node-a")]
    host = data.draw(st.sampled_from(HOSTS))
    machines = {name: MACHINES[name] for name in data.draw(st.sampled_from(list(permutations(HOSTS))))}
    shuffled = links(*(jobs[index] for index in order)).pairs()[host]
    assert fabric.plan(host, machines, shuffled, GROUND) == fabric.plan(
        host, MACHINES, links(*jobs).pairs()[host], GROUND
    )
