"""What a notebook user needs: not Ray, no server, no command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import ucloud_ray

ROOT = Path(ucloud_ray.__file__).parents[1]
HEAVY = {"ray", "fastapi", "starlette", "uvicorn", "sqlalchemy", "alembic", "docker", "typer", "jwt", "yaml", "psutil"}
OURS = {"ucloud_ray", "ucloud_ray.client", "ucloud_ray.wire"}


def test_the_client_imports_nothing_of_the_servers() -> None:
    program = "import sys, ucloud_ray.client; print(*sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    modules = said.stdout.split()
    assert not HEAVY & {module.partition(".")[0] for module in modules}
    ours = {".".join(module.split(".")[:2]) for module in modules if module.split(".")[0] == "ucloud_ray"}
    assert ours == OURS
