"""Jobs with ranks on several hosts: together or not at all, reachable for each other and for nobody else."""

from __future__ import annotations

import os
import signal
import socket
import struct
from collections.abc import Callable, Iterable

from tests.e2e.cluster.talk import SERVE, reached
from tests.support.hosts import Host
from tests.support.ray_hosts import NAMES, SLOTS, WHOLE, RayHosts
from tests.support.stack import DOCKER_SHELL, NATIVE_SHELL, states, texts
from tests.support.wait import wait_until

Start = Callable[..., str]

# Each rank serves its number on a port, and asks every rank, itself included, in a ring that begins after itself: as an
# all-to-all of MPI does. It waits for the others, which may start later, and stays until all have been answered.
ALL_TO_ALL = """
cd {folder}
me=$(cat rank.txt); n=$(cat number_of_nodes.txt); port=$((7100 + me))
while :; do echo "rank $me" | {nc} -l -p $port >/dev/null; done &
server=$!
for step in $(seq 1 $n); do
  r=$(( (me + step) % n )); name=$(cat node-$r.txt); answer=
  until [ -n "$answer" ]; do answer=$({nc} -w 1 $name $((7100 + r)) </dev/null 2>/dev/null); done
  echo "$me got $answer from $name"
done
touch {work}/done-$me
until [ $(ls {work}/done-* | wc -l) = $n ]; do sleep 0.1; done
kill $server
"""

IN_CONTAINER = ALL_TO_ALL.format(folder="/etc/ucloud", nc="nc", work="/work")
IN_PROCESS = ALL_TO_ALL.format(folder='"$UCLOUD_CONFIG_DIR"', nc="busybox nc", work='"$OLDPWD"')

WAIT = "exec sleep 600"


def test_containers_on_three_hosts_exchange_data_by_their_names(cluster: RayHosts) -> None:
    """ENV-8, ENV-43; every rank runs the same (LC-9)."""
    job = cluster.stack.run(DOCKER_SHELL, var=IN_CONTAINER, replicas=3, **WHOLE)
    assert states(job) == ["IN_QUEUE", "RUNNING", "SUCCESS"]
    assigned = next(text for text in texts(job) if "Assigned to" in text)
    assert all(name in assigned for name in NAMES)
    # The follow joins the output of all ranks from all hosts (LOG-2).
    printed = cluster.stack.output(job["id"])
    for me in range(3):
        for other in range(3):
            assert f"{me} got rank {other} from j-{job['id']}-job-{other}\n" in printed


def test_processes_on_three_hosts_exchange_data_by_the_addresses_of_their_hosts(cluster: RayHosts) -> None:
    """ENV-8."""
    job = cluster.stack.run(NATIVE_SHELL, var=IN_PROCESS, replicas=3, **WHOLE)
    assert states(job) == ["IN_QUEUE", "RUNNING", "SUCCESS"]
    printed = cluster.stack.output(job["id"])
    addresses = {host.address for host in cluster.segment.hosts}
    for me in range(3):
        heard = [line.split(" got ")[1] for line in printed.splitlines() if f"{me} got " in line]
        assert {line.split()[1] for line in heard} == {"0", "1", "2"}
        assert {line.split()[-1] for line in heard} == addresses


def address_inside(cluster: RayHosts, job_id: str, rank: int) -> str:
    """A machine in a hurry may run the question before the container knows its own name."""
    found = wait_until(lambda: cluster.inside(job_id, rank, "hostname -i").split(), "the container's address")
    return str(found[-1])


def test_the_ranks_of_another_job_cannot_be_reached(cluster: RayHosts, start: Start) -> None:
    """ENV-44: neither on the same host nor across hosts, by address; its own ranks can."""
    one = start(DOCKER_SHELL, var=SERVE, replicas=3)
    other = start(DOCKER_SHELL, var=SERVE, replicas=3)
    for job_id in (one, other):
        cluster.stack.wait_state(job_id, "RUNNING")
    places = cluster.containers(one), cluster.containers(other)
    assert set(places[0].values()) & set(places[1].values()), "some rank of each is on one host"
    addresses = [address_inside(cluster, one, rank) for rank in range(3)]
    assert reached(cluster, one, 0, *addresses[1:]) == [f"j-{one}-job-1", f"j-{one}-job-2"]
    assert [reached(cluster, other, rank, *addresses) for rank in range(3)] == [[]] * 3


def test_nothing_of_the_installation_can_be_reached_from_a_container(cluster: RayHosts, start: Start) -> None:
    """ENV-44: whatever listens on any host, under each of its addresses. Hosts reach that, and a rank its other one."""
    job_id = start(DOCKER_SHELL, var=SERVE, replicas=2)
    cluster.stack.wait_state(job_id, "RUNNING")
    doors = [door for host in cluster.segment.hosts for door in listening(host)]
    first = cluster.segment[0].address
    ours = {f"{first}:{port}" for port in (PROVIDER, CORE, RAY)}
    assert ours <= set(cluster.segment[1].run("sh", "-c", knock(doors, "busybox nc")).stdout.split())
    allowed = f"j-{job_id}-job-1:7000"
    assert cluster.inside(job_id, 0, knock([*doors, allowed], "nc")).split() == [allowed]


PROVIDER, CORE, RAY = 8889, 8080, 6379
LISTEN = "0A"


def listening(host: Host) -> set[str]:
    """`address:port` of every TCP socket on that host that others may try, of both versions of the protocol."""
    addresses = [address for address in host.run("hostname", "-I").stdout.split() if ":" not in address]
    rows = [line.split() for line in host.run("cat", "/proc/net/tcp", "/proc/net/tcp6").stdout.splitlines()]
    places = {row[1].partition(":")[::2] for row in rows if row[3] == LISTEN}
    bound = {f"{ipv4(place)}:{int(port, 16)}" for place, port in places if len(place) == 8 and int(place, 16)}
    anywhere = {int(port, 16) for place, port in places if not int(place, 16)}
    everywhere = {f"{address}:{port}" for address in addresses for port in anywhere}
    return everywhere | {door for door in bound if not door.startswith("127.")}


def ipv4(place: str) -> str:
    """The kernel writes it as a number of this machine."""
    return socket.inet_ntoa(struct.pack("=I", int(place, 16)))


def knock(doors: Iterable[str], nc: str) -> str:
    """A script that says behind which of them somebody answers. All are tried at once."""
    tries = [f"({nc} -w 1 {door.replace(':', ' ')} </dev/null >/dev/null 2>&1 && echo {door}) &" for door in doors]
    return "\n".join([*tries, "wait"])


def test_a_job_that_lacks_one_slot_starts_nothing_and_holds_nothing(cluster: RayHosts, start: Start) -> None:
    """SCH-11: another one takes the room that it could not use whole."""
    slots = SLOTS * len(NAMES)
    first = start(DOCKER_SHELL, var=WAIT)
    cluster.stack.wait_state(first, "RUNNING")
    gang = start(DOCKER_SHELL, var=WAIT, replicas=slots)
    wait_until(lambda: len(texts(cluster.stack.job(gang))) > 1, "the gang to hear that there is no room")
    rest = start(DOCKER_SHELL, var=WAIT, replicas=slots - 1)
    cluster.stack.wait_state(rest, "RUNNING")
    assert states(cluster.stack.job(gang)) == ["IN_QUEUE"]
    assert cluster.containers(gang) == {}
    cluster.stack.stop(first, rest)
    cluster.stack.wait_state(gang, "RUNNING")
    assert len(cluster.containers(gang)) == slots


def test_a_job_runs_when_the_last_of_its_ranks_does(cluster: RayHosts, start: Start) -> None:
    """LC-5: one host is slow to start its rank."""
    slow = cluster.pids(2, "ray::ReplicaActor")
    for pid in slow:
        os.kill(pid, signal.SIGSTOP)
    try:
        job_id = start(DOCKER_SHELL, var=WAIT, replicas=3, **WHOLE)
        wait_until(lambda: set(cluster.containers(job_id).values()) == {0, 1}, "the ranks on the other hosts to run")
        assert states(cluster.stack.job(job_id)) == ["IN_QUEUE"]
    finally:
        for pid in slow:
            os.kill(pid, signal.SIGCONT)
    cluster.stack.wait_state(job_id, "RUNNING")
    assert len(cluster.containers(job_id)) == 3


def test_the_first_rank_that_ends_ends_all_of_them(cluster: RayHosts) -> None:
    """LC-7, LC-8: after the linger, and told once."""
    script = '[ "$UCLOUD_RANK" = 1 ] && exit 0; exec sleep 600'
    job = cluster.stack.run(DOCKER_SHELL, var=script, replicas=3, **WHOLE)
    assert states(job) == ["IN_QUEUE", "RUNNING", "SUCCESS"]
    assert cluster.containers(job["id"]) == {}


def test_ranks_that_end_a_little_later_are_not_cut_off(cluster: RayHosts) -> None:
    """LC-7: within the linger each comes to its own end, and what it wrote last is there."""
    job = cluster.stack.run(DOCKER_SHELL, var='sleep 0.$UCLOUD_RANK; echo "end of $UCLOUD_RANK"', replicas=3, **WHOLE)
    assert job["status"]["state"] == "SUCCESS"
    printed = cluster.stack.output(job["id"])
    assert all(f"end of {rank}\n" in printed for rank in range(3))
