"""Alembic scripts of the job store, in `versions`. Applied by `db.open_database`; never edited once released."""
