"""How far a pull has come, from the lines that the daemon sends about each layer of the image.

Called by `pulling` (feeds) and `fetch` (reads). Pure. The daemon tells a layer's size only once it begins to download
it, three at a time, so that the size of the whole image is often not known before the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_UNITS = ((10**9, "GB"), (10**6, "MB"), (10**3, "kB"))


@dataclass(slots=True)
class Layer:
    size: int | None = None
    """Bytes as downloaded; None until the daemon begins with it."""
    fetched: int = 0
    arrived: bool = False
    unpacked: bool = False


class Layers:
    """The layers of one image that this machine did not have. Fed in one thread, read in another: every answer is made
    of one look at each layer, and an outdated one is harmless."""

    def __init__(self) -> None:
        self._layers: dict[str, Layer] = {}
        self._most = -1
        self.struggling = False
        """The daemon waits before it asks the registry for a layer again."""
        self.advances = 0
        """Grows whenever the image comes further than it ever was. Not when a broken download is repeated."""

    def begin(self) -> None:
        """Another attempt, which may begin with nothing."""
        self._layers = {}
        self.struggling = False

    def hear(self, line: Mapping[str, Any]) -> None:
        status, detail = str(line.get("status", "")), line.get("progressDetail") or {}
        if status == "Pulling fs layer":
            self._layers[str(line.get("id"))] = Layer()
        elif (layer := self._layers.get(str(line.get("id")))) is not None:
            self._about(layer, status, detail)

    def _about(self, layer: Layer, status: str, detail: Mapping[str, Any]) -> None:
        self.struggling = status.startswith("Retrying")
        if status == "Downloading" and "current" in detail:
            layer.size, layer.fetched = detail.get("total") or layer.size, int(detail["current"])
        elif status in ("Verifying Checksum", "Download complete", "Extracting"):
            layer.arrived, layer.fetched = True, layer.size or layer.fetched
        elif status == "Pull complete":
            layer.arrived = layer.unpacked = True
        self._mark()

    def _mark(self) -> None:
        far = self.fetched + sum(layer.arrived + layer.unpacked for layer in self._layers.values())
        if far > self._most:
            self._most = far
            self.advances += 1

    @property
    def fetched(self) -> int:
        """Bytes."""
        return sum(layer.fetched for layer in self._layers.values())

    @property
    def unpacking(self) -> bool:
        """Everything is here and not yet in its place."""
        layers = list(self._layers.values())
        return bool(layers) and all(layer.arrived for layer in layers)

    def so_far(self) -> str:
        """`45 % of 1.2 GB`, `540 MB so far` while the whole size is not known, or nothing."""
        layers = list(self._layers.values())
        fetched = sum(layer.fetched for layer in layers)
        if not fetched:
            return ""
        if any(layer.size is None and not layer.arrived for layer in layers):
            return f"{size(fetched)} so far"
        total = sum(layer.size or 0 for layer in layers)
        return f"{100 * fetched // total} % of {size(total)}" if total else ""


def size(count: int) -> str:
    """`1.2 GB`, `540 MB`: decimal units, two digits where that tells more."""
    for unit, name in _UNITS:
        if count >= unit:
            amount = count / unit
            return f"{amount:.1f} {name}" if amount < 10 else f"{amount:.0f} {name}"
    return f"{count} bytes"
