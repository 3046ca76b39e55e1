"""The end-user API for programs and notebooks: submit jobs, follow them, wait, fetch what they made (docs/client.md).

    from ucloud_ray.client import Client

    with Client.from_environment() as client:
        job = client.jobs.submit("a-batch-application", parameters={"var": "Example"})
        job.wait()
        print(job.logs())

Works against UCloud/Core of both eras and our own orchestrator. Imports nothing of the servers, and no Ray.
"""

from __future__ import annotations

from ucloud_ray.client.client import AsyncClient, Client
from ucloud_ray.client.errors import (
    AnswerLost,
    BadRequest,
    ClientError,
    Mistake,
    NoMachine,
    NotFound,
    NotLoggedIn,
    NotPermitted,
    OutOfCredits,
    Refused,
    StillRunning,
    StrangeAnswer,
    Taken,
    TooMuch,
    Unavailable,
    Unreachable,
)
from ucloud_ray.client.following import FINAL_STATES, OutputSeen, Seen, StateSeen
from ucloud_ray.client.job import JobHandle
from ucloud_ray.client.log_parts import NoParts
from ucloud_ray.client.retry import Retry
from ucloud_ray.client.values import File, Peer

__all__ = [
    "FINAL_STATES",
    "AnswerLost",
    "AsyncClient",
    "BadRequest",
    "Client",
    "ClientError",
    "File",
    "JobHandle",
    "Mistake",
    "NoMachine",
    "NoParts",
    "NotFound",
    "NotLoggedIn",
    "NotPermitted",
    "OutOfCredits",
    "OutputSeen",
    "Peer",
    "Refused",
    "Retry",
    "Seen",
    "StateSeen",
    "StillRunning",
    "StrangeAnswer",
    "Taken",
    "TooMuch",
    "Unavailable",
    "Unreachable",
]
