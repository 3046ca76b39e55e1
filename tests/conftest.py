"""Shared by all tests; as little as possible. Helpers live in `tests/support` and are imported."""
