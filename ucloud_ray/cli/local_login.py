"""Access tokens of the local orchestrator, made from its key in the data folder: whoever can read that may log in.

Used by `token` and by every client command that is given none.
"""

from __future__ import annotations

from pathlib import Path

from ucloud_ray.cli.errors import CliError, UsageMistake

DEFAULT_USER = "user"
"""The user of the mission document's examples."""


def access_token(data: Path, user: str, admin: bool = False) -> str:
    """Raises `CliError` when the folder holds no orchestrator, `UsageMistake` for an impossible name."""
    from ucloud_ray.orchestrator.credentials import issue_user_token

    if not (data / "orchestrator").is_dir():
        raise CliError(f"{data} holds no orchestrator", "run `ucloud-ray up` first, or set --data or $UCLOUD_RAY_DATA")
    try:
        return issue_user_token(data, user, admin=admin)
    except ValueError as error:
        raise UsageMistake(str(error), "choose another with --user") from error
    except OSError as error:
        raise CliError(f"{error.filename} cannot be read ({error.strerror})", "run as the user who ran `up`") from error
