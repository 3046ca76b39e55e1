"""Templates in the process of their own, with real bash at the end (INV-33 to INV-42)."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from runtimes.errors import InvalidTask, StartFailed
from runtimes.templating import process
from runtimes.templating.render import SCRIPT, render
from runtimes.templating.rendered import Interfaces, RenderLimits, Target
from runtimes.types import FileRef, Limits, LogPaths, TaskId, TaskSpec, Template
from tests.support.bash import words_of
from tests.support.wait import wait_until
from ucloud_ray.domain.invocation import build_template, template_context
from ucloud_ray.domain.mounts import path_in_container, plan_mounts, wished_files

CASES = json.loads((Path(__file__).parents[3] / "data/invocation-cases.json").read_text())
TEMPLATED = [case for case in CASES if case["invocation"][0]["type"] == "jinja"]

TIGHT = RenderLimits(cpu_seconds=1, text_characters=100_000)
ENDLESS = "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}"


def task(template: str | None, context: dict[str, Any] | None = None, **variables: str) -> TaskSpec:
    context = context or {}
    return TaskSpec(
        TaskId("j-1-job-0", "u.1"),
        {},
        () if template is not None else ("x",),
        {"KEPT": "as it was"},
        Path("/job"),
        LogPaths(Path("/logs/out"), Path("/logs/err")),
        Limits(1000, 10**9),
        "host",
        files={"rank.txt": b"0\n"},
        template=None if template is None else Template(template, context),
        environment_templates={name: Template(text, context) for name, text in variables.items()},
    )


async def script_of(template: str, context: dict[str, Any] | None = None, limits: RenderLimits = TIGHT) -> str:
    spec, _ = await render(task(template, context), limits)
    return spec.files[SCRIPT].decode()


def complaint(script: str) -> str:
    """What a script that took the place of a failed template says; it does nothing else and succeeds (INV-41)."""
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    first, rest = done.stderr.split("\n", 1)
    assert first == "The command of this application could not be made from its template. Its author must correct it."
    return rest


@pytest.mark.parametrize("case", TEMPLATED, ids=[case["name"] for case in TEMPLATED])
async def test_a_templated_case_of_the_table_gives_its_words(case: dict[str, Any]) -> None:
    map_path = path_in_container(plan_mounts(wished_files([], case["values"])))
    template = build_template(case["parameters"], case["invocation"], case["values"])
    assert template is not None
    context = template_context(case["parameters"], case["values"], map_path)
    assert words_of(await script_of(template, context)) == case["expected_argv"]


async def test_a_template_becomes_a_script_that_bash_runs() -> None:
    """INV-33."""
    spec, interfaces = await render(task("mycmd {{ a }}\n{% if b %}x{% endif %}", {"a": "it's", "b": True}))
    assert spec == replace(
        task(None),
        argv=("bash", FileRef("job.sh")),
        files={"rank.txt": b"0\n", "job.sh": b"#!/usr/bin/env bash\nmycmd 'it'\"'\"'s'\nx"},
        requires="bash",
    )
    assert interfaces == Interfaces()


async def test_a_task_without_templates_stays_the_very_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "ask", None)
    spec = task(None)
    assert (await render(spec))[0] is spec


async def test_variables_are_rendered_without_quotes() -> None:
    """INV-21."""
    spec, _ = await render(task(None, {"a": "it's $HOME"}, GREETING="<{{ a }}>", EMPTY="{{ nope }}"))
    assert spec.environment == {"KEPT": "as it was", "GREETING": "<it's $HOME>", "EMPTY": ""}
    assert (spec.argv, spec.environment_templates, list(spec.files)) == (("x",), {}, ["rank.txt"])


async def test_declared_interfaces_come_back_as_data() -> None:
    """IS-30."""
    template = "{{ dynamicInterface(ucloud.rank, 'WEB', 'Monitor', 8080) }}{{ setInterfaceName('Main') }}run"
    _, interfaces = await render(task(template, {"ucloud": {"rank": 2}}))
    assert interfaces == Interfaces((Target(2, "WEB", "Monitor", 8080),), "Main")


async def test_filters_that_need_more_of_python_work_in_there() -> None:
    template = (
        "{{ [1] | pprint }} {{ 'http://x.y' | urlize }} {{ 'a b' | wordwrap(1) }} {{ [1] | random }} {{ '<b>' |"
        " striptags }} {{ 'a b' | urlencode }} {{ 3 | tojson }} {{ {'a': 1} | xmlattr }} {{ 5 | filesizeformat }}"
    )
    assert "printf" not in await script_of(template)


# ------------------------------------------------------------------------------------------- mistakes and attacks


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("a\n{{ b", "line 2: unexpected end of template"),
        ("a\nb {{ nope + 1 }}", "line 2: 'nope' is undefined"),
        ("{{ 'x' | nope }}", "line 1: No filter named 'nope'."),
        ("{% include '/etc/passwd' %}", "'include' is not available in applications"),
        ("{{ 1 / 0 }}", "line 1: division by zero"),
        ("{{ ().__class__.__bases__[0].__subclasses__() }}", "'__class__' is not available in applications"),
        ("{{ cycler.__init__.__globals__.os.environ }}", "'__init__' is not available in applications"),
        ("{{ range(10**9) }}", "Range too big"),
        ("{{ 'a' * 10**10 }}", "it needs too much memory"),
        ("{{ 'a' * 10**6 }}", "more than 100000 characters"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "nested too deeply"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "nested too deeply"),
        ("{{ " + "-" * 3000 + "1 }}", "nested too deeply"),
        ("{{ 'x'.encode('idna') }}", "unknown encoding: idna"),
        ("{{ ('a' * 40) is match('(a+)+b') }}", "more than 1 seconds of processor time"),
    ],
    ids=lambda value: value[:40],
)
async def test_a_wrong_or_greedy_template_becomes_a_script_that_says_so(template: str, why: str) -> None:
    """INV-34, INV-41."""
    said = complaint(await script_of(template))
    assert why in said
    assert "Traceback" not in said
    assert "/" not in said.replace("1 / 0", ""), "no path of the machine"


async def test_the_renderer_is_ended_after_its_time() -> None:
    limits = RenderLimits(wall_seconds=0.3, cpu_seconds=1000)
    assert "more than 0.3 seconds" in complaint(await script_of(ENDLESS, limits=limits))
    assert renderers() == []


async def test_the_renderer_ends_with_its_caller() -> None:
    """A destroy cancels a start that is under way (REC-18)."""
    rendering = asyncio.create_task(render(task(ENDLESS), RenderLimits(cpu_seconds=1000)))
    await asyncio.to_thread(wait_until, _confined, "a confined renderer")
    rendering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await rendering
    assert renderers() == []


async def test_a_variable_that_cannot_be_rendered_is_told_where_nothing_would_print_it() -> None:
    with pytest.raises(InvalidTask, match="The variable A: line 1: 'nope' is undefined"):
        await render(task(None, A="{{ nope + 1 }}"))
    spec, _ = await render(task("run", A="{{ nope + 1 }}"))
    assert "The variable A: line 1: 'nope' is undefined" in complaint(spec.files[SCRIPT].decode())


async def test_a_machine_that_cannot_render_is_not_the_templates_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_code_folders", lambda: ("/nonexistent",))
    with pytest.raises(StartFailed, match="cannot be rendered on this machine") as failed:
        await render(task("run"))
    assert failed.value.retryable


@pytest.mark.parametrize(
    "answer",
    [b"", b"x", b"3", b"[]", b"{}", b'{"body": 3, "variables": {}, "targets": [], "defaultName": null}',
     b'{"body": "a\\u0000", "variables": {}, "targets": [], "defaultName": null}',
     b'{"body": "a", "variables": [], "targets": [], "defaultName": null}',
     b'{"body": "a", "variables": {}, "targets": [1], "defaultName": null}'],
)  # fmt: skip
def test_a_senseless_answer_of_the_renderer_is_the_templates_fault(answer: bytes) -> None:
    with pytest.raises(process.TemplateFailed, match="senseless"):
        process._checked(answer)


# ------------------------------------------------------------------------------------------------- confinement


@pytest.fixture
async def renderer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A renderer in the middle of its work; our process has secrets and open files that it could inherit."""
    monkeypatch.setenv("RAY_AUTH_TOKEN", "secret")
    inheritable = os.open("/", os.O_RDONLY)
    os.set_inheritable(inheritable, True)
    rendering = asyncio.create_task(render(task(ENDLESS)))
    await asyncio.to_thread(wait_until, _confined, "a confined renderer")
    yield renderers()[0]
    rendering.cancel()
    await asyncio.gather(rendering, return_exceptions=True)
    os.close(inheritable)


def _confined() -> bool:
    return any(_limits(child)["Max open files"] == "3" for child in renderers())


def renderers() -> list[psutil.Process]:
    """Of this process; other tests may have left it children that serve the whole run."""
    return [child for child in psutil.Process().children() if _is_renderer(child)]


def _is_renderer(child: psutil.Process) -> bool:
    try:
        return any("templating" in word for word in child.cmdline())
    except psutil.NoSuchProcess:
        return False


def _limits(of: psutil.Process) -> dict[str, str]:
    """Name to hard limit."""
    lines = Path(f"/proc/{of.pid}/limits").read_text().splitlines()[1:]
    return {line[:25].strip(): line[47:67].strip() for line in lines}


def _status(of: psutil.Process) -> dict[str, str]:
    lines = Path(f"/proc/{of.pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


async def test_the_renderer_has_nothing_of_ours_and_may_do_nothing(renderer: psutil.Process) -> None:
    """INV-34: whatever a template finds in the sandbox of Jinja."""
    proc = Path(f"/proc/{renderer.pid}")
    status = _status(renderer)
    assert proc.joinpath("environ").read_bytes() == b""
    assert sorted(file.name for file in proc.joinpath("fd").iterdir()) == ["0", "1", "2"]
    kinds = [os.readlink(proc / "fd" / number).split(":")[0] for number in "012"]
    assert all(kind in ("pipe", "socket", "/dev/null") for kind in kinds), kinds
    assert status["NoNewPrivs"] == "1"
    limits = _limits(renderer)
    assert [limits[f"Max {what}"] for what in ("processes", "file size", "core file size")] == ["0", "0", "0"]
    assert (limits["Max cpu time"], limits["Max address space"]) == ("3", str(256 * 1024 * 1024))


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user cannot become another one")
async def test_a_renderer_of_root_is_nobody_in_an_empty_folder_without_a_network(renderer: psutil.Process) -> None:
    proc = Path(f"/proc/{renderer.pid}")
    status = _status(renderer)
    assert (status["Uid"].split(), status["Gid"].split(), status["Groups"]) == (["65534"] * 4, ["65534"] * 4, "")
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert list(proc.joinpath("root").iterdir()) == []
    assert "(deleted)" in os.readlink(proc / "root")
    assert os.readlink(proc / "ns/net") != os.readlink("/proc/self/ns/net")
