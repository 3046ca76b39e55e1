"""Alembic scripts of the orchestrator, in `versions`. Applied by `db.open_database`; never edited once released."""
