"""An orchestrator alone, as a process that a test may kill: `python -m tests.support.bare_orchestrator DATA PORT
GRANT`.

It has no provider; whoever tests plays one with its token.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from ucloud_ray.orchestrator.serve import serve
from ucloud_ray.orchestrator.settings import OrchestratorSettings
from ucloud_ray.settings import OrchestratorOptions


def main(data: str, port: str, grant: str) -> None:
    settings = OrchestratorSettings(
        listen=f"127.0.0.1:{port}",
        data_dir=Path(data),
        provider_url="http://127.0.0.1:9",
        support_wait_seconds=0.0,
        options=OrchestratorOptions(initial_grant=int(grant)),
    )
    asyncio.run(serve(settings))


if __name__ == "__main__":
    main(*sys.argv[1:])
