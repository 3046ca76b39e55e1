"""Puts the passwords of registries that stand in the configuration of `up` into files of their own (ENV-55).

Called by `embedded`, before it writes the settings in force. So they are in no file that somebody copies or shows, and
in none of the messages between processes; those that pull read them where they are needed.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from ucloud_ray.settings import RegistrySettings, Settings

FOLDER = "registry-passwords"


def put_aside(settings: Settings, data: Path) -> Settings:
    """The same settings, with files in place of passwords. Files of registries that are gone are removed."""
    folder = data.resolve() / FOLDER
    kept = tuple(_put_aside(registry, folder) for registry in settings.registries)
    files = {registry.password_file for registry in kept}
    for file in folder.iterdir() if folder.is_dir() else ():
        if file not in files:
            file.unlink()
    return replace(settings, registries=kept)


def _put_aside(registry: RegistrySettings, folder: Path) -> RegistrySettings:
    if registry.password is None:
        return registry
    folder.mkdir(mode=0o700, exist_ok=True)
    file = folder / hashlib.sha256(registry.host.lower().encode()).hexdigest()[:16]
    draft = file.with_suffix(".new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        out.write(registry.password)
    os.replace(draft, file)  # whoever pulls at this moment reads the old one or the new one
    return replace(registry, password=None, password_file=file)
