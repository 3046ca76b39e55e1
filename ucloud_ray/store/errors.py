"""What callers of the store may catch. The tree itself belongs to `db`, which translates the library's errors."""

from ucloud_ray.db.errors import (
    StoreConflict,
    StoreDamaged,
    StoreError,
    StoreInUse,
    StoreMisconfigured,
    StoreTooNew,
    StoreUnavailable,
)

__all__ = [
    "StoreConflict",
    "StoreDamaged",
    "StoreError",
    "StoreInUse",
    "StoreMisconfigured",
    "StoreTooNew",
    "StoreUnavailable",
]
