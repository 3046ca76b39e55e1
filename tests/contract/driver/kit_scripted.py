"""The scripted driver under the contract: a program is said in its own words, on the machine's clock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import ClassVar

from tests.contract.driver.kits import DriverKit
from tests.contract.driver.programs import Program


class ScriptedKit(DriverKit):
    name: ClassVar[str] = "scripted"
    real: ClassVar[bool] = False

    def argv(self, program: Program) -> tuple[str, ...]:
        words = ["run=forever" if program.seconds is None else f"run={program.seconds}s", f"exit={program.exit}"]
        words += [f"signal={program.signal}"] if program.signal else []
        words += ["ignore-term"] if program.ignores_term else []
        words += [f"goodbye={program.says_goodbye}"] if program.says_goodbye else []
        words += [f"stdout={program.out}"] if program.out else []
        words += [f"stderr={program.err}"] if program.err else []
        return ("scripted", *words)

    async def leftovers(self) -> list[str]:
        return sorted(path.name for path in self._state_dir.glob("*.json"))

    async def cleanup(self) -> None:
        for path in self._state_dir.glob("*.json"):
            json.loads(path.read_text())  # whatever a test did, no file is half written
            path.unlink()

    @property
    def _state_dir(self) -> Path:
        return self.folder / "scripted"
