"""What may be sent together, and what becomes superfluous while it waits."""

from __future__ import annotations

from tests.unit.core_client.rig import RUNNING, SUCCESS, text
from ucloud_ray.control.ports import OutboxRow
from ucloud_ray.core_client.backoff import Backoff
from ucloud_ray.core_client.lanes import Lane, Lanes
from ucloud_ray.domain.effects import Announce
from ucloud_ray.domain.ids import JobId, JobUid, Millis


def row(seq: int, job: str, update: Announce = RUNNING, uid: str | None = None) -> OutboxRow:
    return OutboxRow(seq, JobUid(uid or f"uid-{job}"), JobId(job), update, Millis(seq * 10))


def lanes_of(*rows: OutboxRow) -> Lanes:
    lanes = Lanes()
    for each in rows:
        assert lanes.add(each) == []
    return lanes


def names(taken: list[Lane]) -> list[str]:
    return [lane.job_id for lane in taken]


def test_each_job_is_taken_once_and_not_again_before_it_is_released() -> None:
    """LC-20."""
    lanes = lanes_of(row(1, "a"), row(2, "b"), row(3, "a", SUCCESS))
    taken = lanes.take(500)
    assert names(taken) == ["a", "b"]
    assert lanes.take(500) == []
    assert not lanes.ready
    lanes.pop(taken[0], taken[0].rows[0])
    lanes.release(taken[0])
    assert [lane.rows[0].seq for lane in lanes.take(500)] == [3]


def test_those_that_are_ready_longest_go_first() -> None:
    lanes = lanes_of(row(1, "a"), row(2, "b"), row(3, "c"))
    first = lanes.take(1)
    lanes.add(row(4, "d"))
    lanes.release(first[0])
    assert names(lanes.take(3)) == ["b", "c", "d"]


def test_a_lane_that_failed_alone_shares_no_request() -> None:
    lanes = lanes_of(row(1, "a"), row(2, "b"), row(3, "c"))
    for lane in lanes.take(3):
        lane.alone = lane.job_id in ("a", "c")
        lanes.release(lane)
    assert [names(lanes.take(500)) for _ in range(4)] == [["a"], ["b"], ["c"], []]


def test_the_backlog_counts_rows_and_knows_the_oldest() -> None:
    lanes = lanes_of(row(1, "a"), row(2, "b"), row(3, "b"))
    assert lanes.backlog() == (3, 10)
    (lane,) = lanes.take(1)
    lanes.pop(lane, lane.rows[0])
    assert lanes.backlog() == (2, 20)
    assert not lanes.waits(JobUid("uid-a"))
    assert lanes.waits(JobUid("uid-b"))


def test_of_mere_texts_the_oldest_beyond_64_go_and_states_stay() -> None:
    """REC-22."""
    lanes = lanes_of(row(1, "a", RUNNING), *(row(n, "a", text(str(n))) for n in range(2, 66)))
    assert [each.seq for each in lanes.add(row(66, "a", text("66")))] == [2]
    assert lanes.add(row(67, "a", SUCCESS)) == []
    (lane,) = lanes.take(1)
    assert [each.seq for each in lane.rows] == [1, *range(3, 68)]


def test_a_text_that_is_being_sent_is_not_dropped() -> None:
    lanes = lanes_of(*(row(n, "a", text(str(n))) for n in range(1, 65)))
    lanes.take(1)
    assert [each.seq for each in lanes.add(row(65, "a", text("65")))] == [2]


def test_a_passing_text_that_was_not_sent_yields_to_a_state_and_to_nothing_else() -> None:
    """REC-21: what is left keeps its order."""
    placed = Announce(status="placed", passing=True)
    lanes = lanes_of(row(1, "a", text("1")), row(2, "a", placed), row(3, "a", text("2")))
    assert lanes.backlog()[0] == 3
    assert [old.seq for old in lanes.add(row(4, "a", RUNNING))] == [2]
    assert [waiting.seq for waiting in lanes.take(1)[0].rows] == [1, 3, 4]


def test_a_passing_text_that_is_being_sent_is_not_dropped() -> None:
    lanes = lanes_of(row(1, "a", Announce(status="placed", passing=True)))
    lanes.take(1)
    assert lanes.add(row(2, "a", RUNNING)) == []


def test_rows_of_a_job_that_lost_its_id_go_even_while_one_is_being_sent() -> None:
    """O3."""
    old = [row(1, "a", uid="old"), row(2, "a", uid="old")]
    lanes = lanes_of(*old)
    (lane,) = lanes.take(1)
    assert lanes.add(row(3, "a", uid="new")) == old
    assert lanes.take(1) == []
    lanes.pop(lane, old[0])
    lanes.release(lane)
    assert [each.rows[0].seq for each in lanes.take(1)] == [3]
    assert not lanes.waits(JobUid("old"))


def test_an_empty_lane_is_forgotten() -> None:
    lanes = lanes_of(row(1, "a"))
    (lane,) = lanes.take(1)
    lanes.pop(lane, lane.rows[0])
    lanes.release(lane)
    assert lanes.backlog() == (0, None)
    lanes.add(row(2, "a"))
    assert lanes.take(1) != [lane]


def test_waits_double_up_to_a_minute_and_chance_shortens_them() -> None:
    """REC-7."""
    whole = Backoff(chance=lambda: 0.0)
    assert [whole.delay(n) for n in (1, 2, 3, 6, 7, 1000)] == [1, 2, 4, 32, 60, 60]
    assert Backoff(chance=lambda: 1.0).delay(3) == 2
