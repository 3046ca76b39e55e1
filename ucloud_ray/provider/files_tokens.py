"""What lets a browser or a program send or fetch the bytes of one file, without being anybody here.

`files_calls` makes one after the Core has said who asks; whoever shows it may do that one thing until it expires.
Signed with a key of this provider alone, in `<dataDir>/files-key`, which all its front ends share.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import jwt

from ucloud_ray.provider.errors import Unauthenticated
from ucloud_ray.provider.secret_file import secret_of

KEY_FILE = "files-key"
LIFETIME_SECONDS = 3600
"""How long somebody whose right was taken back may go on. A transfer that has begun ends; one that is resumed later
takes a new token."""
_ALGORITHM = "HS256"


@dataclass(frozen=True, slots=True)
class Permit:
    """For one file."""

    what: str
    """`upload` or `download`."""
    path: str
    """Of UCloud."""
    created_by: str
    """With the project: whose drive it is, for those that are made on demand."""
    project: str | None
    user: str = ""
    """Who asked."""
    policy: str = ""
    upload_id: str = ""


class FileTokens:
    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def give(self, permit: Permit) -> str:
        claims = {
            "what": permit.what,
            "path": permit.path,
            "createdBy": permit.created_by,
            "project": permit.project,
            "user": permit.user,
            "policy": permit.policy,
            "upload": permit.upload_id,
            "exp": int(time.time()) + LIFETIME_SECONDS,
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)

    def read(self, token: str, what: str) -> Permit:
        """Raises `Unauthenticated`."""
        try:
            claims = jwt.decode(token, self._key, algorithms=[_ALGORITHM], options={"require": ["exp", "what"]})
        except (jwt.PyJWTError, ValueError) as error:
            raise Unauthenticated(f"This {what} is not valid any more. Ask for a new one.") from error
        if claims["what"] != what:
            raise Unauthenticated(f"This token is not for {what}s.")
        return Permit(
            what,
            claims["path"],
            claims["createdBy"],
            claims["project"],
            claims["user"],
            claims["policy"],
            claims["upload"],
        )

    @cached_property
    def _key(self) -> str:
        return secret_of(self._data_dir / KEY_FILE)
