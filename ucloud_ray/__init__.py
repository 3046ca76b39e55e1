"""A UCloud compute provider on a Ray cluster, and a small UCloud/Core to go with it. See docs/architecture.md."""

__version__ = "0.1.0"
