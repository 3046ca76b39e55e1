"""What a rank does per second, from two of its samples. Pure; for graphs and for `jobs show`."""

from __future__ import annotations

from typing import NamedTuple

from ucloud_ray.control.usage_file import Sample


class Rates(NamedTuple):
    cores: float
    """Processor time per time; 1 is one core."""
    memory: int
    """Bytes, now."""
    network_received: float | None
    """Bytes per second, as the following ones; None where the kernel does not count them."""
    network_sent: float | None
    disk_read: float | None
    disk_written: float | None


def rates(before: Sample, after: Sample) -> Rates:
    """`after` is later."""
    seconds = (after.at - before.at) / 1000
    return Rates(
        max(0, after.cpu_millis - before.cpu_millis) / 1000 / seconds,
        after.memory,
        _rate(before.network_received, after.network_received, seconds),
        _rate(before.network_sent, after.network_sent, seconds),
        _rate(before.disk_read, after.disk_read, seconds),
        _rate(before.disk_written, after.disk_written, seconds),
    )


def _rate(before: int | None, after: int | None, seconds: float) -> float | None:
    """A counter that began anew, as after a restart of the task, counts as nothing."""
    return None if before is None or after is None else max(0, after - before) / seconds
