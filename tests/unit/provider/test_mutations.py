"""Whatever is done to a recorded `create`, the answer is never a 5xx and nothing half accepted."""

from __future__ import annotations

import json
from typing import Any

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.provider.conftest import World
from tests.unit.provider.recordings import example, recorded_create

BASES = [
    recorded_create(),
    recorded_create("create-vm"),
    recorded_create("create-all-resources"),
    example("provider-create-batch.request"),
]

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8) | st.sampled_from(["\0", "../..", "type", "file", "NATIVE", "jinja", 2**63, 10**400])
)  # fmt: skip
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner))


def _places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something can be changed."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place] * bool(place) + [found for name, inner in inside for found in _places(inner, (*place, name))]


@st.composite
def mutated_creates(draw: st.DrawFn) -> Any:
    body = json.loads(json.dumps(draw(st.sampled_from(BASES))))
    for _ in range(draw(st.integers(1, 3))):
        places = _places(body)
        if places:
            _change(draw, body, draw(st.sampled_from(places)))
    return body


def _change(draw: st.DrawFn, body: Any, place: tuple[Any, ...]) -> None:
    inner = body
    for name in place[:-1]:
        inner = inner[name]
    match draw(st.sampled_from(["replace", "remove", "add"])):
        case "replace":
            inner[place[-1]] = draw(JSON)
        case "remove":
            del inner[place[-1]]
        case _ if isinstance(inner, dict):
            inner[draw(st.text(max_size=5))] = draw(JSON)
        case _:
            inner.append(draw(JSON))


@settings(max_examples=150, deadline=None)
@given(body=mutated_creates())
async def test_a_damaged_create_is_accepted_whole_or_refused_with_a_reason(
    body: Any, world: World, core_headers: dict[str, str]
) -> None:
    world.service.reset()
    transport = httpx.ASGITransport(world.app)
    async with httpx.AsyncClient(transport=transport, base_url="http://provider", headers=core_headers) as core:
        answer = await core.post("/ucloud/example/jobs", content=json.dumps(body).encode())
    assert answer.status_code in (200, 400), answer.text
    if answer.status_code == 400:
        assert answer.json()["why"]
        assert world.service.calls == []
    else:
        assert len(answer.json()["responses"]) == len(world.service.submitted) == len(body.get("items") or [])
