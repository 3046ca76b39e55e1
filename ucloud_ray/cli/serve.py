"""`ucloud-ray provider serve`, `orchestrator serve` and `db upgrade`: one part each, for operators."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from ucloud_ray.cli import options, output
from ucloud_ray.cli.errors import CliError, UsageMistake
from ucloud_ray.cli.settings_of import read_settings

provider = typer.Typer(no_args_is_help=True, help="Only the provider, for a real UCloud/Core.", rich_markup_mode=None)
orchestrator = typer.Typer(no_args_is_help=True, help="Only the orchestrator.", rich_markup_mode=None)
database = typer.Typer(no_args_is_help=True, help="The provider's database.", rich_markup_mode=None)

LogLevel = Annotated[str, typer.Option("--log-level", metavar="LEVEL", help="debug, info, warning or error.")]


@provider.command("serve")
def serve_provider(config: options.Config = None, log_level: LogLevel = "info") -> None:
    """Run the provider: the HTTP interface that UCloud/Core calls, and the supervisor on the Ray cluster.

    Ends with SIGTERM or Ctrl-C; jobs go on.

    \b
    Example:
      ucloud-ray provider serve --config /etc/ucloud-ray.yaml
    """
    _configure_logging("provider", log_level)
    settings = read_settings(config)
    if not settings.products:
        raise CliError("the configuration sells nothing", "add `products` (see docs/configuration.md)")
    from ucloud_ray import bootstrap

    bootstrap.serve_provider(settings)


@provider.command("check")
def check_provider(config: options.Config = None, as_json: options.AsJson = False) -> None:
    """Read the configuration, say whether it can be used, and start nothing.

    \b
    Example:
      ucloud-ray provider check --config /etc/ucloud-ray.yaml
    """
    settings = read_settings(config)
    if as_json:
        output.show_json({"provider": settings.provider.id, "products": [item.name for item in settings.products]})
    else:
        output.say(
            f"provider {settings.provider.id}: {len(settings.products)} product(s), UCloud/Core at {settings.core.url}"
        )


@orchestrator.command("serve")
def serve_orchestrator(config: options.Config = None, log_level: LogLevel = "info") -> None:
    """Run the orchestrator: a UCloud/Core in miniature that listens at core.url and calls provider.publicUrl.

    \b
    Example:
      ucloud-ray orchestrator serve --config ucloud-ray.yaml
    """
    _configure_logging("orchestrator", log_level)
    settings = read_settings(config)
    from ucloud_ray import bootstrap

    bootstrap.serve_orchestrator(settings)


@database.command("upgrade")
def upgrade_database(config: options.Config = None, as_json: options.AsJson = False) -> None:
    """Bring the provider's database to the schema of this version. Stop the provider first, and make a backup.

    \b
    Example:
      ucloud-ray db upgrade --config /etc/ucloud-ray.yaml
    """
    settings = read_settings(config)
    asyncio.run(_upgrade(settings.store_url))
    if as_json:
        output.show_json({"upgraded": True})
    else:
        output.say("the database has the schema of this version")


async def _upgrade(url: str) -> None:
    """Opening a store brings its schema up to date, or refuses without touching it."""
    from ucloud_ray.db.errors import StoreError
    from ucloud_ray.store.open import open_store

    try:
        store = await open_store(url)
    except StoreError as error:
        raise CliError(str(error)) from error
    await store.close()


def _configure_logging(part: str, level: str) -> None:
    from ucloud_ray import telemetry

    try:
        telemetry.configure_logging(part, level)
    except ValueError as error:
        raise UsageMistake(str(error)) from error
