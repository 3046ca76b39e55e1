"""The parent's side of the process that renders: starts it with nothing, feeds it, and does not trust its answer.

Called by `render`. A process for every task: what a template does to it ends with it.
"""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import json
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from runtimes.errors import StartFailed
from runtimes.templating.rendered import Interfaces, Rendered, RenderLimits, Target, TemplateFailed

_BOOT = """
import sys
sys.path[:0] = sys.argv[3:]
from runtimes.templating import child
child.main(*map(int, sys.argv[1:3]))
"""
_PIECE = 65536
_BYTES_PER_CHARACTER = 12
"""At most, as JSON writes them."""


async def ask(request: Mapping[str, Any], limits: RenderLimits) -> Rendered:
    """Raises `TemplateFailed`, and `errors.StartFailed` if nothing can be rendered on this machine."""
    child = await _start(limits)
    try:
        async with asyncio.timeout(limits.wall_seconds):
            answer, _ = await asyncio.gather(_read(child, limits), _feed(child, json.dumps(request).encode()))
            await child.wait()
    except TimeoutError:
        raise TemplateFailed(f"it needs more than {limits.wall_seconds:g} seconds") from None
    finally:
        await _end(child)
    if child.returncode != 0:
        raise _death(child.returncode or 0, limits)
    return _checked(answer)


async def _start(limits: RenderLimits) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", "-c", _BOOT, str(limits.cpu_seconds), str(limits.memory_bytes)),
            *_code_folders(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise StartFailed(f"its template cannot be rendered on this machine ({reason})", retryable=True) from problem


@functools.cache
def _code_folders() -> tuple[str, ...]:
    """Where the child finds its code: without `site`, which would run whatever is installed beside it."""
    found = [importlib.util.find_spec(name) for name in ("jinja2", "markupsafe")]
    origins = [spec.origin for spec in found if spec is not None and spec.origin is not None]
    if len(origins) < len(found):
        raise StartFailed("its template cannot be rendered on this machine: Jinja is not installed")
    ours = str(Path(__file__).parents[2])
    return tuple(dict.fromkeys((ours, *(str(Path(origin).parents[1]) for origin in origins))))


async def _feed(child: asyncio.subprocess.Process, data: bytes) -> None:
    assert child.stdin is not None
    try:
        child.stdin.write(data)
        await child.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        return  # it died; its status says why
    child.stdin.close()


async def _read(child: asyncio.subprocess.Process, limits: RenderLimits) -> bytes:
    assert child.stdout is not None
    pieces: list[bytes] = []
    left = limits.text_characters * _BYTES_PER_CHARACTER * 2 + _PIECE
    while piece := await child.stdout.read(_PIECE):
        pieces.append(piece)
        left -= len(piece)
        if left < 0:
            raise TemplateFailed("it makes too much text")
    return b"".join(pieces)


async def _end(child: asyncio.subprocess.Process) -> None:
    """Whatever happened, also when the caller is cancelled: nothing of it is left, and its pipes are empty."""
    with suppress(ProcessLookupError):
        child.kill()
    assert child.stdout is not None
    while await child.stdout.read(_PIECE):
        pass
    await child.wait()


def _death(status: int, limits: RenderLimits) -> Exception:
    if status in (-signal.SIGXCPU, -signal.SIGKILL):
        return TemplateFailed(f"it needs more than {limits.cpu_seconds} seconds of processor time")
    if status < 0:
        return TemplateFailed("it made the renderer crash: it is nested too deeply, or needs too much memory")
    return StartFailed(f"its template cannot be rendered on this machine (exit status {status})", retryable=True)


def _checked(answer: bytes) -> Rendered:
    """What comes from there is foreign, whatever it says."""
    try:
        told = json.loads(answer)
        if "unusable" in told:
            raise StartFailed(f"its template cannot be rendered on this machine ({told['unusable']})", retryable=True)
        if "failed" in told:
            raise TemplateFailed(str(told["failed"]))
        return Rendered(
            body=None if told["body"] is None else _text(told["body"]),
            variables={_text(name): _text(value) for name, value in told["variables"].items()},
            interfaces=_interfaces(told),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise TemplateFailed("it made the renderer give a senseless answer") from problem


def _interfaces(told: Mapping[str, Any]) -> Interfaces:
    targets = tuple(
        Target(int(one["rank"]), _text(one["type"]), _text(one["target"]), int(one["port"])) for one in told["targets"]
    )
    name = told["defaultName"]
    return Interfaces(targets, None if name is None else _text(name))


def _text(value: object) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("not a text")
    return value
