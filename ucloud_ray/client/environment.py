"""Where to connect to, and as whom, from the environment or the folder of a local installation."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

from ucloud_ray.client import local
from ucloud_ray.client.errors import ClientError


def found(data: str | Path | None = None) -> dict[str, Any]:
    """Arguments of a client. Raises `ClientError` when nothing says where to connect to, or as whom."""
    folder = Path(data or os.environ.get("UCLOUD_RAY_DATA") or local.DEFAULT_DATA)
    given: dict[str, Any] = {
        "url": os.environ.get("UCLOUD_RAY_URL") or os.environ.get("UCLOUD_RAY_HOST"),
        "token": os.environ.get("UCLOUD_RAY_TOKEN") or "",
        "refresh_token": os.environ.get("UCLOUD_RAY_REFRESH_TOKEN") or None,
        "project": os.environ.get("UCLOUD_RAY_PROJECT") or None,
    }
    if data is not None or given["url"] is None:
        return local_installation(folder, given)
    if not given["token"] and given["refresh_token"] is None:
        raise ClientError(f"no token for {given['url']}; set UCLOUD_RAY_TOKEN or UCLOUD_RAY_REFRESH_TOKEN")
    return given


def local_installation(folder: Path, given: dict[str, Any]) -> dict[str, Any]:
    """Tokens for the local orchestrator are made when they are needed, so that a notebook outlives them."""
    make = None if given["token"] or given["refresh_token"] else partial(local.access_token, folder.absolute())
    return {**given, "url": local.address(folder), "make_token": make}
