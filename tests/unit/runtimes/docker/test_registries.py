"""Which login is sent for which image (ENV-55)."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtimes.docker.registries import has_login, login_for, registry_of
from runtimes.errors import ImageUnavailable
from runtimes.settings import RegistryLogin


@pytest.mark.parametrize(
    ("reference", "host"),
    [
        ("busybox", "docker.io"),
        ("acme/batch:1.0", "docker.io"),
        ("index.docker.io/acme/batch", "docker.io"),
        ("localhost/batch", "localhost"),
        ("Registry.Example.com/acme/batch", "registry.example.com"),
        ("registry:5000/acme/batch@sha256:12", "registry:5000"),
        ("batch:1.0", "docker.io"),
    ],
)
def test_the_registry_of_an_image_is_found_as_docker_finds_it(reference: str, host: str) -> None:
    assert registry_of(reference) == host


def test_a_login_is_sent_to_its_own_registry_only() -> None:
    logins = (
        RegistryLogin("one.example.com", "me", "secret-1"),
        RegistryLogin("two.example.com:5000", "you", "secret-2"),
    )
    assert login_for("two.example.com:5000/a:1", logins)["password"] == "secret-2"
    assert login_for("two.example.com/a:1", logins) == {}
    assert login_for("one.example.com.evil.org/a:1", logins) == {}
    assert login_for("a:1", logins) == {}
    assert has_login("one.example.com/a", logins)
    assert not has_login("a", logins)


def test_a_registry_without_a_name_is_asked_without_a_login() -> None:
    assert login_for("one.example.com/a", (RegistryLogin("one.example.com"),)) == {}


def test_a_password_file_is_read_each_time(tmp_path: Path) -> None:
    file = tmp_path / "password"
    logins = (RegistryLogin("h.example.com", "me", password_file=file),)
    for password in ("first", "second"):
        file.write_text(f"{password}\n")
        assert login_for("h.example.com/a", logins)["password"] == password


def test_a_password_file_that_is_not_there_is_told_without_its_path(tmp_path: Path) -> None:
    logins = (RegistryLogin("h.example.com", "me", password_file=tmp_path / "nowhere"),)
    with pytest.raises(ImageUnavailable) as caught:
        login_for("h.example.com/a:1", logins)
    assert "The image h.example.com/a:1 could not be fetched" in caught.value.message
    assert str(tmp_path) not in caught.value.message


def test_a_password_is_not_shown_with_the_settings() -> None:
    assert "secret" not in repr(RegistryLogin("h", "me", "secret"))
