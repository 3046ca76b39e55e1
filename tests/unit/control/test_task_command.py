"""Command and variables of a rank, with exact values (INV-16, INV-22, INV-26, INV-35, INV-42)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from runtimes import variables
from runtimes.types import Limits, LogPaths, TaskId, TaskSpec, Template, VariableRef
from tests.support.bash import words_received
from ucloud_ray.control.task_command import Command, command_of
from ucloud_ray.domain.ids import JobId, JobUid, Millis, ProductId
from ucloud_ray.domain.invocation import build_command
from ucloud_ray.domain.job import Backend, EnvRef, Job, JobSpec, Launch, Machine, Owner, Rank, Starting

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
MACHINE = Machine(ProductId("u1-2", "u1", "example"), 2_500, 6 * 10**9, 1, "Xeon", "DDR5", "H100")
PROVIDED = {"UCLOUD_RANK": "1", "UCLOUD_JOB_ID": "41"}
UCLOUD = {
    "jobId": "41",
    "machine": {
        "name": "u1-2",
        "category": "u1",
        "cpu": 2.5,
        "cpuModel": "Xeon",
        "memoryInGigs": 6,
        "memoryModel": "DDR5",
        "gpu": 1,
        "gpuModel": "H100",
    },
    "nodes": 2,
    "rank": 1,
    "application": {"name": "acme", "version": "1.0"},
    "initScript": None,
}


def command(launch: Launch) -> Command:
    spec = JobSpec(Owner("alice"), "acme", "1.0", "Acme", MACHINE, Backend.DOCKER, 2, launch)
    ranks = (Rank(0, "node-a"), Rank(1, "node-b"))
    return command_of(Job(JobUid("uid"), JobId("41"), Millis(1), spec, Starting(ranks)), 1, PROVIDED)


@settings(max_examples=100, deadline=None)
@given(TEXT, TEXT, TEXT)
def test_every_text_reaches_the_program_byte_for_byte(value: str, affix: str, image: str) -> None:
    """INV-8, INV-13 to INV-16, INV-18, INV-25: as a word, as a value with affixes, as a variable of image and
    application; from the request to a real program."""
    glued = {"isPrefixVariablePartOfArg": True, "isSuffixVariablePartOfArg": True}
    var = {
        "type": "var",
        "variableNames": ["a"],
        "prefixGlobal": "-g",
        "prefixVariable": affix,
        "suffixVariable": affix,
    }
    entries = [{"type": "word", "word": affix}, var, {**var, **glued}]
    references = [{"type": "env", "variable": name} for name in ("MINE", "OF_IMAGE", "NOWHERE")]
    made = build_command(
        parameters=[{"name": "a", "type": "text", "optional": True}],
        invocation=[*entries, *references],
        environment={"MINE": {"type": "var", "variableNames": ["a"]}},
        values={"a": {"type": "text", "value": value}},
        map_path=lambda path: None,
    )
    told = command(Launch("i", made.argv, made.environment.variables))
    task = variables.resolve(_task(told), {"OF_IMAGE": image})
    trimmed = affix.strip()
    alone = [trimmed] if trimmed else []
    words = [affix, "-g", *alone, value, *alone, "-g", trimmed + value + trimmed, value, image, ""]
    assert words_received(list(task.words), dict(task.environment), "MINE") == (words, value)


def _task(made: Command) -> TaskSpec:
    logs, limits = LogPaths(Path("/out"), Path("/err")), Limits(1, 1)
    return TaskSpec(TaskId("t", "1"), {}, made.argv, made.environment, Path("/job"), logs, limits, "h")


def test_variables_of_the_provider_win_over_all_kinds_of_the_application() -> None:
    """INV-22."""
    launch = Launch(
        "i",
        (),
        {"UCLOUD_RANK": "forged", "MINE": "own"},
        references={"UCLOUD_JOB_ID": "HOME"},
        environment_templates={"UCLOUD_RANK": "forged too"},
    )
    made = command(launch)
    assert made.environment == {"MINE": "own", **PROVIDED}
    assert (made.references, made.environment_templates) == ({}, {})


def test_a_reference_is_known_here_or_left_for_the_machine() -> None:
    """INV-16: of the application's own map nothing can be referenced, its own name means the image's variable."""
    launch = Launch(
        "i",
        ("x", EnvRef("HOME")),
        {"OWN": "own"},
        references={"A": "UCLOUD_RANK", "B": "OWN", "C": "HOME", "PATH": "PATH", "D": "A", "E": "T"},
        environment_templates={"T": "t"},
    )
    made = command(launch)
    assert made.environment == {"OWN": "own", "A": "1", "B": "", "D": "", "E": "", **PROVIDED}
    assert made.references == {"C": "HOME", "PATH": "PATH"}
    assert made.argv == ("x", VariableRef("HOME"))


def test_a_template_knows_the_job_its_machine_and_its_rank() -> None:
    """INV-35, INV-42; a parameter cannot take the name."""
    launch = Launch("i", (), {}, template="t", template_context={"n": 3, "ucloud": "forged"})
    made = command(launch)
    assert made == Command((), PROVIDED, template=Template("t", {"n": 3, "ucloud": UCLOUD}))


def test_a_variable_has_the_same_context() -> None:
    launch = Launch("i", ("x",), {}, environment_templates={"A": "a"}, template_context={"n": 3})
    assert command(launch).environment_templates == {"A": Template("a", {"n": 3, "ucloud": UCLOUD})}


def test_a_script_runs_before_the_command_whatever_it_ends_with() -> None:
    """INV-26."""
    launch = Launch("i", ("acme", EnvRef("HOME")), {}, init_script="/work/it's.sh")
    made = command(launch)
    assert made.argv == ("bash", "-c", 'bash "$0"; exec "$@"', "/work/it's.sh", "acme", VariableRef("HOME"))
    assert made.requires == "bash"


def test_a_script_runs_before_a_template_too() -> None:
    launch = Launch("i", (), {}, template="{#- x #} run", init_script="/work/s.sh")
    made = command(replace(launch))
    assert made.argv == ()
    assert made.template is not None
    assert made.template.text == "bash {{ ucloud.initScript }};\n{#- x #} run"
    assert made.template.context["ucloud"]["initScript"] == "/work/s.sh"
