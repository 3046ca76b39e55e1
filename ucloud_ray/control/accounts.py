"""Which account of the machines a process runs as (ENV-28, ENV-34). Used by `task_spec`; looks into the accounts of the
supervisor's machine, which must agree with those of the others.

`shared`: every process is the job user, who owns the drives. Users must then trust each other, because a process can
reach the files and processes of every other one. `own`: the creator's account, by the configured name or their own.
"""

from __future__ import annotations

import pwd
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ucloud_ray.control.errors import BadRequest
from ucloud_ray.domain.texts import one_line

FIRST_OF_PEOPLE = 1000
"""Below are the system's own accounts, which no job may run as without being named."""


@dataclass(frozen=True, slots=True)
class Accounts:
    job_user: tuple[int, int] | None
    """uid and gid of the job user; None where we may not change users: then everything runs as we do."""
    mode: Literal["shared", "own"] = "shared"
    named: Mapping[str, str] = field(default_factory=dict)
    """UCloud user to account, where they differ."""

    def of(self, user: str) -> tuple[int, int] | None:
        """uid and gid of this user's processes. Raises `BadRequest` if there is no account for them."""
        if self.job_user is None or self.mode == "shared":
            return self.job_user
        account = self._find(user)
        if account is None or account.pw_uid == 0:
            raise BadRequest(
                f"The user {one_line(user)} has no account on this provider's machines, which applications without a "
                "container need. Ask its operator for one, or choose an application that runs in a container."
            )
        return account.pw_uid, account.pw_gid

    def login(self, user: str) -> str | None:
        """Name of the account whose groups a process gets; None for the job user, who has no others."""
        account = self._find(user) if self.mode == "own" and self.job_user is not None else None
        return None if account is None else account.pw_name

    def _find(self, user: str) -> pwd.struct_passwd | None:
        try:
            account = pwd.getpwnam(self.named.get(user, user))
        except (KeyError, ValueError):  # no such account, or nothing that could be the name of one
            return None
        return account if user in self.named or account.pw_uid >= FIRST_OF_PEOPLE else None
