"""The settings that a serving command runs with: its file, the environment, the defaults. Called by the commands."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from ucloud_ray import config
from ucloud_ray.settings import Settings


def read_settings(file: Path | None, base: Settings | None = None) -> Settings:
    """Raises `config.ConfigError`."""
    folder = Path.cwd()
    found = config.find_file(file, os.environ, folder)
    settings = config.load(found, os.environ, folder, base)
    return replace(settings, data_dir=settings.data_dir.absolute())
