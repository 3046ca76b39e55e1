"""Structured logging of the serving processes. Called once by each, before anything else.

One JSON object a line, or coloured columns on a terminal. Values of keys that name a secret are never written.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

SECRET_WORDS = ("token", "secret", "password", "authorization", "bearer", "privatekey", "private_key", "ticket")
QUIET_LIBRARIES = ("httpx", "httpcore", "docker", "urllib3", "websockets", "alembic", "uvicorn.access", "uvicorn.error")
"""They log every call, or what has a better line of ours."""


def configure_logging(part: str, level: str = "info") -> None:
    """`part` is `provider`, `orchestrator` or `supervisor`, and stands in every line. May be called twice.

    Raises `ValueError` for an unknown level.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"'{level}' is no log level; choose from debug, info, warning, error")
    shared = _processors(part)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=_renderers()))
    root = logging.getLogger()
    root.handlers, root.level = [handler], number
    for library in QUIET_LIBRARIES:
        logging.getLogger(library).setLevel(max(number, logging.WARNING))


def _processors(part: str) -> list[structlog.typing.Processor]:
    def name_part(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("part", part)
        return event

    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        name_part,
        hide_secrets,
    ]


def _renderers() -> list[structlog.typing.Processor]:
    remove = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    if sys.stderr.isatty():
        return [remove, structlog.dev.ConsoleRenderer()]
    return [remove, structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]


def hide_secrets(logger: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A processor: the value of a key that names a secret becomes `***`."""
    for key in event:
        if any(word in key.lower() for word in SECRET_WORDS):
            event[key] = "***"
    return event
