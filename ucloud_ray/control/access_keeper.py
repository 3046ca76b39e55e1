"""Keeps jobs away from drives of others that they may not use, at the start and as long as they live (ACC-19).

    create ─▶ drives of others? ─ no ─▶ (nothing is asked)
                   │ yes: ask the Core, for all of the request at once
                   ▼
              refused, or accepted ─▶ looked at every `accessCheckSeconds`, and soon after the Core spoke of a change
                                          │ the right is gone, or the drive
                                          ▼
                                      the job is stopped (Lost permissions)

"Unknown" ends nothing (D4). A drive that is configured no more is gone without asking anybody.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog

from ucloud_ray.control.drives import Drives, Standing
from ucloud_ray.control.errors import BadRequest, NotReady
from ucloud_ray.control.ports import Access, AccessUnknown
from ucloud_ray.domain.events import Event, StopCause, StopRequested
from ucloud_ray.domain.ids import JobUid
from ucloud_ray.domain.job import Job, JobSpec
from ucloud_ray.domain.requests import is_ending
from ucloud_ray.domain.sharing import DRIVE_GONE, DriveUse, Share, drives_used, refuse_use

log = structlog.get_logger(__name__)

AFTER_A_CHANGE = (0.3, 1.5, 8.0)
"""Seconds. The Core tells of a change before it makes it: whoever looks at once may see the old state (ACC-21)."""

FRESH_SECONDS = 5.0
"""So long an answer of the Core serves the next `create`."""

ANSWER_SECONDS = 3.0
"""For the Core, while it waits for us (provider-api 1.2)."""


class AccessKeeper:
    def __init__(
        self,
        access: Access,
        drives: Drives,
        jobs: Callable[[], list[Job]],
        post: Callable[[JobUid, Event], None],
        seconds: float,
    ) -> None:
        """`seconds`: `accessCheckSeconds`."""
        self._access = access
        self._drives = drives
        self._jobs = jobs
        self._post = post
        self._seconds = seconds
        self._known: dict[str, tuple[float, Share | None]] = {}
        self._looks: list[float] = []
        self._wake = asyncio.Event()

    async def admit(self, specs: Sequence[JobSpec]) -> None:
        """Raises `BadRequest` if one of them may not use a drive; `NotReady` while the Core does not say."""
        wanted = [(spec, use) for spec in specs for use in drives_used(spec) if self._is_foreign(spec, use)]
        open_questions = [item for item in wanted if not self._was_allowed(*item)]
        if not open_questions:
            return
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                shares = await self._ask({use.drive for _, use in open_questions})
        except (AccessUnknown, TimeoutError):
            raise NotReady("It is not known at the moment who may use the drives. Try again in a minute.") from None
        for spec, use in open_questions:
            if refuse_use(shares.get(use.drive), spec.owner, use.writes) is not None:
                _refuse(spec, use, shares.get(use.drive))

    def changed(self) -> None:
        """The Core speaks of other permissions: look soon, and again when it surely has written them down."""
        now = asyncio.get_running_loop().time()
        self._looks = sorted([*self._looks[:1], *(now + seconds for seconds in AFTER_A_CHANGE)])
        self._wake.set()

    async def run(self) -> None:
        """For ever; ends only by cancellation."""
        while True:
            try:
                await self.look()
            except Exception:  # a fault of ours must not keep others from losing what they may not have
                log.exception("a look at permissions failed")
            await self._pause()

    async def look(self) -> None:
        """Stop every job that uses what it may not use. Costs nothing unless somebody uses a drive of others."""
        foreign: list[tuple[Job, DriveUse]] = []
        for job, use in self._uses():
            standing = self._drives.standing(use.drive, job.spec.owner)
            if standing is Standing.GONE:
                self._stop(job, DRIVE_GONE)
            elif standing is Standing.FOREIGN:
                foreign.append((job, use))
        if not foreign:
            return
        try:
            shares = await self._ask({use.drive for _, use in foreign})
        except AccessUnknown as problem:
            log.info("who may use which drive is not known at the moment", problem=str(problem))
            return
        for job, use in foreign:
            if (why := refuse_use(shares.get(use.drive), job.spec.owner, use.writes)) is not None:
                self._stop(job, why)

    # ------------------------------------------------------------------------------------------------ internal

    def _uses(self) -> list[tuple[Job, DriveUse]]:
        return [(job, use) for job in self._jobs() if not is_ending(job) for use in drives_used(job.spec)]

    def _is_foreign(self, spec: JobSpec, use: DriveUse) -> bool:
        return self._drives.standing(use.drive, spec.owner) is Standing.FOREIGN

    def _was_allowed(self, spec: JobSpec, use: DriveUse) -> bool:
        """A moment ago. Nobody is refused by an old answer: the drive may just have been shared."""
        asked, share = self._known.get(use.drive, (0.0, None))
        fresh = asked > asyncio.get_running_loop().time() - FRESH_SECONDS
        return fresh and refuse_use(share, spec.owner, use.writes) is None

    async def _ask(self, drives: set[str]) -> Mapping[str, Share]:
        shares = await self._access.shares(sorted(drives))
        now = asyncio.get_running_loop().time()
        self._known = {drive: known for drive, known in self._known.items() if known[0] > now - FRESH_SECONDS}
        self._known.update({drive: (now, shares.get(drive)) for drive in drives})
        return shares

    def _stop(self, job: Job, why: str) -> None:
        log.info("a job lost what it uses", job=job.id, why=why)
        self._post(job.uid, StopRequested(StopCause.LOST_PERMISSIONS, why))

    async def _pause(self) -> None:
        loop = asyncio.get_running_loop()
        periodic = loop.time() + self._seconds
        while (left := min([periodic, *self._looks[:1]]) - loop.time()) > 0:
            self._wake.clear()
            try:
                async with asyncio.timeout(left):
                    await self._wake.wait()
            except TimeoutError:
                continue
        self._looks = [moment for moment in self._looks if moment > loop.time()]


def _refuse(spec: JobSpec, use: DriveUse, share: Share | None) -> None:
    """One who may not even read learns nothing of the drive."""
    path = next(mount.ucloud_path for mount in spec.launch.mounts if mount.ucloud_path.split("/")[1] == use.drive)
    if use.writes and refuse_use(share, spec.owner, writes=False) is None:
        raise BadRequest(f"The file {path} may only be read. Ask for it read-only.")
    raise BadRequest(f"The file {path} is not on a drive of this workspace, nor on one that you may use.")
