"""What the operator of this provider may ask: one call, `GET /ucloud-ray/status`, for the command line.

Not part of UCloud's API. The caller shows the content of `<dataDir>/operator-token`: whoever may read the provider's
files may ask. `bootstrap` installs it beside the provider API.
"""

from __future__ import annotations

import hmac
import os
import secrets
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from ucloud_ray.control.errors import Refused
from ucloud_ray.control.service import JobService
from ucloud_ray.provider.errors import JsonResponse, failure, refused

PATH = "/ucloud-ray/status"
TOKEN_FILE = "operator-token"


def install(app: FastAPI, service: JobService, token: str) -> None:
    """Serve the call on the provider's application."""

    async def status(request: Request) -> Response:
        scheme, _, shown = (request.headers.get("authorization") or "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(shown.strip().encode(), token.encode()):
            return failure(401, "This call needs the provider's operator token as 'Authorization: Bearer <token>'")
        try:
            return JsonResponse(await _report(service))
        except Refused as error:
            return refused(error)

    app.add_api_route(PATH, status, methods=["GET"], response_model=None, include_in_schema=False)


async def _report(service: JobService) -> dict[str, Any]:
    """The service's status, and the utilization of each category once the service is ready."""
    report = dict(await service.status())
    report["categories"] = {}
    if report.get("ready"):
        for category in dict.fromkeys(entry.product.category for entry in await service.support()):
            report["categories"][category] = asdict(await service.utilization(category))
    return report


def operator_token(data_dir: Path) -> str:
    """The token of this data folder, made at the first call and readable by its owner alone."""
    file = data_dir / TOKEN_FILE
    data_dir.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{TOKEN_FILE}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    if not file.exists():
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(secrets.token_urlsafe(32))
        try:
            os.link(draft, file)  # whoever is first decides; a half-written file is never seen
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return file.read_text().strip()
