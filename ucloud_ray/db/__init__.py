"""SQL plumbing without business words: engines, one writer with group commit, migrations, errors.

`store` and `orchestrator` build their databases on it, each with tables and migrations of its own. It knows neither.
"""

from ucloud_ray.db.database import Database
from ucloud_ray.db.open import open_database

__all__ = ["Database", "open_database"]
