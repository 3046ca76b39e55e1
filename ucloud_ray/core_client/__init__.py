"""We call UCloud/Core: tokens, job updates, reading jobs, charging (`spec` control-api).

The only package that speaks the control API. Knows no Ray, no SQL and no HTTP server.
"""

from ucloud_ray.core_client.client import CoreClient
from ucloud_ray.core_client.publisher import Publisher

__all__ = ["CoreClient", "Publisher"]
