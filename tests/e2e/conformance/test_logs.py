"""Conformance point 9: logs as they were written, live and afterwards."""

from __future__ import annotations

from tests.support.follow import following, printed
from tests.support.stack import Stack

HALVES = r"printf 'a\303'; sleep 0.2; printf '\251b\377\376c\360\237\230'; sleep 0.2; printf '\200 end'"
CLEAN = "aébc😀 end"


def test_point_9_both_logs_of_each_rank_come_whole_live_and_again_afterwards(
    catalogue: Stack, shell: dict[str, str]
) -> None:
    """LOG-2 to LOG-5, LOG-7, LOG-8: characters that were cut are whole, bytes that are none are skipped, the last ones
    come although the program is gone, and whoever comes later gets the same."""
    script = f"{{ {HALVES}; printf \" out $UCLOUD_RANK\"; }}; {{ {HALVES}; printf ' err'; }} >&2"
    job_id = catalogue.create(shell, var=script, replicas=2)
    with following(catalogue, job_id) as frames:
        live = list(frames)
    with following(catalogue, job_id) as frames:
        again = list(frames)
    for seen in (live, again):
        for rank in range(2):
            assert printed(seen, rank) == f"{CLEAN} out {rank}"
            assert printed(seen, rank, "stderr") == f"{CLEAN} err"
    assert catalogue.job(job_id)["status"]["state"] == "SUCCESS"
