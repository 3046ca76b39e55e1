"""Asks the provider of this machine what only its operator may know or order. Called by `status`, `nodes`, `jobs`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ucloud_ray.cli import state_file
from ucloud_ray.cli.errors import CliError
from ucloud_ray.cli.settings_of import read_settings

PATH = "/ucloud-ray"
TOKEN_FILE = "operator-token"
SECONDS = 15.0
ORDER_SECONDS = 130.0
"""What is ordered may take as long as the machines need for it."""


def status(config: Path | None, data: Path) -> dict[str, Any]:
    """The provider's report. Raises `CliError` that says which part is missing."""
    report: dict[str, Any] = call("GET", "/status", config, data)
    return report


def call(method: str, path: str, config: Path | None, data: Path, body: object = None) -> Any:
    """Any call of `provider.operator`. Raises `CliError`."""
    url, folder = _provider(config, data)
    return ask(method, url, path, _token(folder), body)


def ask(method: str, url: str, path: str, token: str, body: object = None) -> Any:
    import httpx

    headers = {"Authorization": f"Bearer {token}"}
    timeout = SECONDS if method == "GET" else ORDER_SECONDS
    try:
        answer = httpx.request(method, f"{url}{PATH}{path}", headers=headers, json=body, timeout=timeout)
    except httpx.HTTPError as error:
        raise CliError(f"the provider does not answer at {url}", "start it, or see its log") from error
    if not answer.is_success:
        raise CliError(f"the provider at {url} answered {answer.status_code}: {_why(answer.text)}")
    return answer.json()


def _token(folder: Path) -> str:
    try:
        return (folder / TOKEN_FILE).read_text().strip()
    except FileNotFoundError:
        raise CliError(f"{folder} belongs to no provider", "run this where the provider runs, or set --data") from None
    except OSError as error:
        raise CliError(f"{error.filename} cannot be read ({error.strerror})", "run as the provider's user") from error


def _provider(config: Path | None, data: Path) -> tuple[str, Path]:
    """Address and data folder: those of `up` on this data folder, else those of the configuration."""
    state = state_file.read(data)
    if config is None and state is not None:
        return state.provider_url, data
    settings = read_settings(config)
    return f"http://{settings.provider.listen}", settings.data_dir


def _why(text: str) -> str:
    import json

    try:
        return str(json.loads(text)["why"])
    except (ValueError, KeyError, TypeError):
        return "no reason given"
