"""Reads a file for the catalogue and tells what is wrong with it, as compilers do: `FILE:LINE:COLUMN: what; remedy`.

Called by `apps add`. What is said of a file here and what the orchestrator says of it have one source, `appfile`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from ucloud_ray.appfile.content import Document
from ucloud_ray.appfile.reading import read
from ucloud_ray.cli.errors import CliError, UsageMistake
from ucloud_ray.client import Refused


@dataclass(frozen=True, slots=True)
class Explained:
    """One mistake, as it is shown."""

    line: int
    column: int
    message: str
    remedy: str

    def shown(self, file: str) -> str:
        return f"{file}:{self.line}:{self.column}: {self.message}; {self.remedy}"

    def to_json(self, file: str) -> dict[str, Any]:
        place = {"file": file, "line": self.line, "column": self.column}
        return {**place, "message": self.message, "remedy": self.remedy}


class Mistaken(UsageMistake):
    """The file cannot be used; nothing of it was added."""

    def __init__(self, file: str, mistakes: Sequence[Explained]) -> None:
        count = "a mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__(f"{file} has {count}; nothing was added")
        self.file, self.mistakes = file, mistakes


def load(file: Path) -> tuple[str, list[Document]]:
    """The text and its documents. Raises `Mistaken`, or `CliError` if it cannot be read."""
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise CliError(f"{file} cannot be read ({reason})", "name a YAML file of tools and applications") from error
    reading = read(text)
    if reading.mistakes:
        raise Mistaken(str(file), explained(mistake.to_json() for mistake in reading.mistakes))
    return text, reading.documents


def explained(mistakes: Iterable[Mapping[str, Any]]) -> list[Explained]:
    return [Explained(int(m["line"]), int(m["column"]), str(m["message"]), str(m["remedy"])) for m in mistakes]


def kind_of(documents: Sequence[Document]) -> str:
    """As what the file is sent. UCloud/Core has one address for each kind and takes one document at a time; the
    orchestrator takes whole files."""
    return documents[0].kind if len(documents) == 1 else "application"


def raise_mistakes(refused: Refused, file: str) -> NoReturn:
    """Raises `Mistaken` if the server explained the mistakes of the file, else what it was."""
    mistakes = refused.body.get("mistakes") if isinstance(refused.body, dict) else None
    if not isinstance(mistakes, list):
        raise refused
    try:
        found = explained(mistakes)
    except (KeyError, TypeError, ValueError):
        raise refused from None
    raise Mistaken(file, found) from refused
