"""Passwords of registries stay out of what `up` writes for others to read (ENV-55)."""

from __future__ import annotations

import stat
from pathlib import Path

from ucloud_ray import config
from ucloud_ray.cli.registry_passwords import FOLDER, put_aside
from ucloud_ray.settings import RegistrySettings, Settings

SECRET = "s3cret-of-the-registry"


def test_a_password_goes_into_a_file_for_us_alone(tmp_path: Path) -> None:
    settings = Settings(registries=(RegistrySettings("h:5000", "me", SECRET), RegistrySettings("open.example.com")))
    kept = put_aside(settings, tmp_path)
    file = kept.registries[0].password_file
    assert file is not None
    assert file.read_text() == SECRET
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert kept.registries[1] == settings.registries[1]
    assert SECRET not in config.dump(kept)
    assert config.load(_written(tmp_path, config.dump(kept)), {}, tmp_path).registries == kept.registries


def test_a_new_password_replaces_the_old_one_and_one_that_is_gone_is_removed(tmp_path: Path) -> None:
    for password in ("old", "new"):
        kept = put_aside(Settings(registries=(RegistrySettings("h", "me", password),)), tmp_path)
    [file] = (tmp_path / FOLDER).iterdir()
    assert file == kept.registries[0].password_file
    assert file.read_text() == "new"
    put_aside(Settings(), tmp_path)
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_a_file_of_the_operators_is_left_where_it_is(tmp_path: Path) -> None:
    theirs = RegistrySettings("h", "me", password_file=tmp_path / "password")
    assert put_aside(Settings(registries=(theirs,)), tmp_path).registries == (theirs,)
    assert list(tmp_path.iterdir()) == []


def test_a_password_is_not_shown_with_the_settings() -> None:
    assert SECRET not in repr(Settings(registries=(RegistrySettings("h", "me", SECRET),)))


def _written(folder: Path, text: str) -> Path:
    file = folder / "ucloud-ray.yaml"
    file.write_text(text)
    return file
