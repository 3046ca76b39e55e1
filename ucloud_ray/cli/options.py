"""Options that several commands share, defined once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DEFAULT_DATA = Path("ucloud-ray-data")

Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help="Configuration; else $UCLOUD_RAY_CONFIG, else ./ucloud-ray.yaml."),
]
Data = Annotated[
    Path, typer.Option("--data", metavar="DIR", envvar="UCLOUD_RAY_DATA", help="Folder of the local installation.")
]
Host = Annotated[
    str | None,
    typer.Option(
        "--host",
        metavar="URL",
        envvar=["UCLOUD_RAY_URL", "UCLOUD_RAY_HOST"],
        help="UCloud/Core; else the local orchestrator.",
    ),
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="TOKEN",
        envvar="UCLOUD_RAY_TOKEN",
        show_envvar=True,
        help="Access token; else one of the local orchestrator.",
    ),
]
Project = Annotated[
    str | None, typer.Option("--project", metavar="ID", envvar="UCLOUD_RAY_PROJECT", help="Workspace; else your own.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
