"""The durable truth about jobs and what is still to be told (D2). Implements `control.ports.JobStore`.

SQLite by default, PostgreSQL by URL, one suite of tests over both. Knows no HTTP and no Ray.
"""

from ucloud_ray.store.job_store import SqlJobStore
from ucloud_ray.store.open import open_store

__all__ = ["SqlJobStore", "open_store"]
