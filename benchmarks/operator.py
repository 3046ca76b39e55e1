"""Asks a stack's provider what only its operator may know. Used by scenarios; a provider that starts is no answer."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, NamedTuple

from ucloud_ray.cli import state_file

SECONDS = 5.0


class Watched(NamedTuple):
    ranks: int
    """That run, by the supervisor's books."""
    watched: int
    """Whose end is waited for, as the machines say."""


def watched(data: Path) -> Watched | None:
    """None while nobody answers."""
    answer = _ask(data, "/ucloud-ray/watched")
    return None if answer is None else Watched(answer["ranks"], answer["watched"])


def _ask(data: Path, path: str) -> Any:
    state = state_file.read(data)
    if state is None:
        return None
    token = (data / "operator-token").read_text().strip()
    request = urllib.request.Request(f"{state.provider_url}{path}", headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            return json.load(answer)
    except (OSError, urllib.error.URLError, ValueError):
        return None
