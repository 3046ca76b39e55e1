"""What a shell is offered: by typer's protocol, which the scripts of `completion` speak."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import ucloud_ray
from tests.unit.cli.conftest import Cli
from tests.unit.cli.fake_core import BATCH, FakeCore, job

Offered = Callable[[str], list[str]]
ROOT = Path(ucloud_ray.__file__).parents[1]
PARAMETERS = [
    {"type": "text", "name": "var"},
    {"type": "boolean", "name": "fast"},
    {
        "type": "enumeration",
        "name": "shell",
        "options": [{"name": "zsh", "value": "z"}, {"name": "bash", "value": "b"}],
    },
]


@pytest.fixture
def offered(cli: Cli, core: FakeCore, monkeypatch: pytest.MonkeyPatch) -> Offered:
    core.jobs = {"7": job("7", "RUNNING"), "12": job("12", "SUCCESS")}
    core.applications = [BATCH, BATCH | {"metadata": BATCH["metadata"] | {"name": "other"}}]
    core.applications[1]["invocation"] = BATCH["invocation"] | {"parameters": PARAMETERS}

    def ask(line: str) -> list[str]:
        words = line.split()
        monkeypatch.setenv("_UCLOUD_RAY_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - (not line.endswith(" "))))
        outcome = cli()
        assert outcome.err == ""
        return outcome.out.split()

    return ask


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("ucloud-ray uti", ["utilization"]),
        ("ucloud-ray run ", ["a-batch-application", "other"]),
        ("ucloud-ray run oth", ["other"]),
        ("ucloud-ray run other@", ["other@1.0.0"]),
        ("ucloud-ray run other ", ["var=", "fast=", "shell="]),
        ("ucloud-ray run other fast=", ["fast=true", "fast=false"]),
        ("ucloud-ray run other shell=b", ["shell=bash"]),
        ("ucloud-ray run other --product ex", ["example-compute"]),
        ("ucloud-ray jobs show ", ["7", "12"]),
        ("ucloud-ray jobs stop 1", ["12"]),
        ("ucloud-ray jobs list --state run", ["running"]),
        ("ucloud-ray jobs list --state S", ["SUSPENDED", "SUCCESS"]),
    ],
)
def test_what_fits_is_offered(offered: Offered, line: str, words: list[str]) -> None:
    assert offered(line) == words


def test_a_server_that_refuses_or_is_strange_offers_nothing_and_says_nothing(offered: Offered, core: FakeCore) -> None:
    for refusal in ((401, {"why": "expired"}), (503, "busy"), (200, "<html>"), (200, {"items": [{}]})):
        core.refuse = refusal
        assert offered("ucloud-ray jobs show ") == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_completes_with_the_script(cli: Cli, tmp_path: Path) -> None:
    """The part after `=` or `:` is all that bash replaces."""
    program = tmp_path / "ucloud-ray"
    program.write_text('#!/bin/sh\nprintf "%s\\n" fast=true fast=false "$COMP_CWORD"\n')
    program.chmod(0o755)
    script = cli("completion", "bash").out
    line = "ucloud-ray run other fast="
    typed = f"COMP_LINE='{line}' COMP_POINT={len(line)}"
    asked = f'{script}\n{typed}\n_ucloud_ray {program}\nprintf "[%s]" "${{COMPREPLY[@]}}"'
    said = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, timeout=20, check=True)
    assert (said.stdout, said.stderr) == ("[true][false][3]", "")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script_that_it_can_read(cli: Cli, shell: str, tmp_path: Path) -> None:
    outcome = cli("completion", shell)
    assert outcome.status == 0
    assert "_UCLOUD_RAY_COMPLETE" in outcome.out
    if shutil.which(shell):
        (tmp_path / "script").write_text(outcome.out)
        checked = subprocess.run([shell, "-n", str(tmp_path / "script")], capture_output=True, text=True, timeout=20)
        assert (checked.returncode, checked.stderr) == (0, "")


def test_a_shell_that_is_not_known_is_wrong_usage(cli: Cli) -> None:
    assert cli("completion", "tcsh").status == 2


def test_nothing_heavy_is_imported_for_a_help() -> None:
    program = "import sys; from ucloud_ray.cli import main; print(*sys.modules)"
    said = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert not {"ray", "fastapi", "httpx", "pydantic", "sqlalchemy"} & set(said.stdout.split())
