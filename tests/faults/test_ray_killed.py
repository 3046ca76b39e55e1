"""All of Ray of one machine, with its GCS, killed ten times while about twenty jobs run."""

from __future__ import annotations

import pytest

from tests.faults import parts
from tests.faults.broken import break_and_inspect
from tests.faults.conftest import Seen
from tests.faults.report import fault
from tests.support.stack import Stack

pytestmark = [pytest.mark.timeout(600), pytest.mark.docker, pytest.mark.postgres]


@fault(
    "all of Ray on one machine, with its GCS, killed ten times",
    "jobs go on without it; supervisor, placements and actors are made anew from the store (D1, D2, REC-2 to REC-5)",
)
def test_killing_all_of_ray_again_and_again_leaves_every_job_as_planned(
    installed: Stack, seed: int, seen: Seen
) -> None:
    found = break_and_inspect(installed, [parts.all_of_ray(installed)], seed)
    seen("all of Ray on one machine, with its GCS, killed ten times", found.words())
