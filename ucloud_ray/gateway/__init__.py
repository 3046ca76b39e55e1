"""Bytes between a browser and a replica (D8). Without UCloud's tokens: a session's secret is the permission."""
