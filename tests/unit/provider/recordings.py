"""The recorded and documented calls in `tests/data`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[2] / "data"


@dataclass(frozen=True)
class Recording:
    name: str
    method: str
    path: str
    body: bytes
    answer_status: int
    answer: Any
    """What the provider answered that was there when it was recorded."""

    def __str__(self) -> str:
        return self.name


def observed() -> list[Recording]:
    """Every recorded call, one per file."""
    files = sorted((DATA / "observed").glob("*.json"))
    return [_recording(file.stem, json.loads(file.read_text())) for file in files]


def _recording(name: str, content: dict[str, Any]) -> Recording:
    if "request" in content:
        request, answer = content["request"], content["response"]
        status, body = answer["status"], json.loads(answer["bodyVerbatim"])
        return Recording(name, request["method"], request["path"], request["bodyVerbatim"].encode(), status, body)
    bulk = content.get("body", {"items": [content]})
    return Recording(name, "POST", "/ucloud/example/jobs", json.dumps(bulk).encode(), 200, None)


def recorded_create(name: str = "POST_jobs_create") -> dict[str, Any]:
    """The body of a recorded `create`, to be changed at will."""
    found: dict[str, Any] = json.loads(next(call.body for call in observed() if call.name == name))
    return found


def example(name: str) -> Any:
    """A payload of the documentation."""
    return json.loads((DATA / "examples" / f"{name}.json").read_text())
