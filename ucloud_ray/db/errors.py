"""What can go wrong with a database, in words for the person who runs it. No message carries a password."""

from __future__ import annotations


class StoreError(Exception):
    """Any failure of a database. `retryable`: the same call may work later, and nothing of it was written."""

    retryable = False


class StoreUnavailable(StoreError):
    """Disk full, server gone, locked, closed."""

    retryable = True


class StoreConflict(StoreError):
    """A rule of the schema (unique, not null, foreign key) refused the write; nothing of it was written."""


class StoreDamaged(StoreError):
    """The content is not what a database wrote. Never repaired or overwritten by us."""


class StoreTooNew(StoreError):
    """Written by a newer version of this program than the running one."""


class StoreMisconfigured(StoreError):
    """The URL, its rights or what is installed does not allow to open it."""


class StoreInUse(StoreMisconfigured):
    """Another process writes to it; there may be one writer."""
