"""A secret that all front ends of one data folder share, made by whoever needs it first. For `operator` and files."""

from __future__ import annotations

import os
import secrets
import threading
from pathlib import Path


def secret_of(file: Path) -> str:
    """Made at the first call and readable by its owner alone. Raises `OSError`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    if not file.exists():
        _make(file)
    return file.read_text().strip()


def _make(file: Path) -> None:
    draft = file.with_name(f"{file.name}.{os.getpid()}.{threading.get_ident()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(secrets.token_urlsafe(32))
    try:
        os.link(draft, file)  # whoever is first decides; a half-written file is never seen
    except FileExistsError:
        pass
    finally:
        draft.unlink()
