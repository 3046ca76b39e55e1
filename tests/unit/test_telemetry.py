"""Log lines of the serving processes."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from ucloud_ray.telemetry import configure_logging


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, str]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_json_that_names_its_part_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("provider")
    structlog.get_logger("a").info("accepted", job="7")
    logging.getLogger("b").warning("from a library")
    ours, theirs = lines(capsys)
    assert (ours["part"], ours["event"], ours["job"], ours["level"]) == ("provider", "accepted", "7", "info")
    assert "timestamp" in ours
    assert (theirs["part"], theirs["event"]) == ("provider", "from a library")


def test_secrets_are_never_written(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("provider")
    structlog.get_logger("a").info(
        "refreshed", refresh_token="hunter2", Authorization="Bearer hunter2", ticket="hunter2"
    )
    assert "hunter2" not in json.dumps(lines(capsys))


def test_lines_below_the_level_and_chatter_of_libraries_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("provider", "info")
    structlog.get_logger("a").debug("detail")
    logging.getLogger("httpx").info("HTTP Request: GET")
    assert lines(capsys) == []


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="choose from debug, info"):
        configure_logging("provider", "loud")
