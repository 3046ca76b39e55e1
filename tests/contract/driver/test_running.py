"""A task runs its program once, tells how it ended, and its log files are whole."""

from __future__ import annotations

import pytest

from runtimes.driver import Driver
from runtimes.errors import InvalidTask, TaskNotFound
from runtimes.types import ExitResult, TaskState
from tests.contract.driver.kits import DriverKit
from tests.contract.driver.programs import Program
from tests.contract.driver.waiting import has_printed, stderr, stdout


@pytest.mark.parametrize("code", [0, 1, 3, 255])
async def test_the_exit_code_is_told(driver_kit: DriverKit, driver: Driver, code: int) -> None:
    """LC-10."""
    spec = driver_kit.make_spec(Program(exit=code))
    result = await driver.wait(await driver.start(spec))
    assert (result.code, result.signal, result.out_of_memory) == (code, None, False)
    assert result.finished_at is not None


async def test_an_image_or_machine_that_can_run_the_task_is_prepared_without_starting_it(
    driver_kit: DriverKit, driver: Driver
) -> None:
    spec = driver_kit.make_spec(Program(out="hello"))
    await driver.prepare(spec)
    assert stdout(spec) == ""
    with pytest.raises(TaskNotFound):
        await driver.recover(spec.id)


async def test_output_is_in_the_log_files_when_wait_returns(driver_kit: DriverKit, driver: Driver) -> None:
    """LOG-4, LOG-15: two streams, kept apart."""
    spec = driver_kit.make_spec(Program(out="to stdout", err="to stderr"))
    handle = await driver.start(spec)
    await driver.wait(handle)
    assert (stdout(spec), stderr(spec)) == ("to stdout\n", "to stderr\n")
    assert await driver.logs(handle) == spec.logs


async def test_much_output_is_whole_when_wait_returns(real_kit: DriverKit, real_driver: Driver) -> None:
    spec = real_kit.make_spec(("sh", "-c", "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done"))
    await real_driver.wait(await real_driver.start(spec))
    assert stdout(spec) == "".join(f"line {i}\n" for i in range(20000))


async def test_output_is_appended_to_a_log_file_that_exists(driver_kit: DriverKit, driver: Driver) -> None:
    """LOG-15: what an earlier attempt wrote stays."""
    spec = driver_kit.make_spec(Program(out="second"))
    spec.logs.stdout.write_text("first\n")
    await driver.wait(await driver.start(spec))
    assert stdout(spec) == "first\nsecond\n"


async def test_a_program_that_does_not_exist_ends_with_127(driver_kit: DriverKit, driver: Driver) -> None:
    """LC-12: not an error of the start."""
    spec = driver_kit.make_spec(("no-such-program", "argument"))
    result = await driver.wait(await driver.start(spec))
    assert (result.code, result.signal) == (127, None)


async def test_a_program_that_is_not_executable_ends_with_126(real_kit: DriverKit, real_driver: Driver) -> None:
    """LC-12."""
    spec = real_kit.make_spec(("./data.txt",))
    (spec.job_folder / "data.txt").write_text("not a program")
    result = await real_driver.wait(await real_driver.start(spec))
    assert (result.code, result.signal) == (126, None)


async def test_a_task_is_running_until_it_has_ended(driver_kit: DriverKit, driver: Driver) -> None:
    spec = driver_kit.make_spec(Program(seconds=None))
    handle = await driver.start(spec)
    running = await driver.inspect(handle)
    assert (running.state, running.exit) == (TaskState.RUNNING, None)
    await driver.stop(handle, 0)
    ended = await driver.inspect(handle)
    assert (ended.state, ended.started_at) == (TaskState.ENDED, running.started_at)
    assert ended.exit == await driver.wait(handle)


async def test_usage_is_measured_while_a_task_runs_and_unknown_afterwards(
    driver_kit: DriverKit, driver: Driver
) -> None:
    spec = driver_kit.make_spec(Program(out="ready", seconds=None))
    handle = await driver.start(spec)
    await has_printed(spec, "ready")
    usage = await driver.usage(handle)
    assert usage.cpu_seconds >= 0
    assert usage.memory_bytes > 0
    assert usage.processes >= 1
    await driver.stop(handle, 0)
    with pytest.raises(TaskNotFound):
        await driver.usage(handle)


async def test_a_task_gets_the_variables_that_were_given_and_none_of_ours(
    real_kit: DriverKit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENV-32, INV-23: values are neither expanded nor cut."""
    monkeypatch.setenv("RAY_ADDRESS", "10.0.0.1:6379")
    monkeypatch.setenv("A_SECRET_OF_OURS", "x")
    driver = real_kit.make_driver()
    given = {"UCLOUD_RANK": "0", "PLAIN": "with $HOME and 'quotes'"}
    spec = real_kit.make_spec(("env",), environment=given)
    await driver.wait(await driver.start(spec))
    await driver.close()
    seen = dict(line.split("=", 1) for line in stdout(spec).splitlines())
    assert {name: seen.get(name) for name in given} == given
    assert set(seen) - set(given) <= real_kit.own_variables


async def test_given_variables_win_over_the_drivers_own(real_kit: DriverKit, real_driver: Driver) -> None:
    spec = real_kit.make_spec(("env",), environment={"HOME": "/elsewhere"})
    await real_driver.wait(await real_driver.start(spec))
    assert "HOME=/elsewhere\n" in stdout(spec)


async def test_arguments_reach_the_program_unchanged(real_kit: DriverKit, real_driver: Driver) -> None:
    """INV-23: no shell in between."""
    argv = ("printf", "[%s]", "", "a b", "$HOME", "*", "'", '"', "\\", "ø", "new\nline")
    spec = real_kit.make_spec(argv)
    await real_driver.wait(await real_driver.start(spec))
    assert stdout(spec) == "".join(f"[{argument}]" for argument in argv[2:])


async def test_a_task_starts_in_its_job_folder_with_nothing_to_read(real_kit: DriverKit, real_driver: Driver) -> None:
    """ENV-7."""
    spec = real_kit.make_spec(("sh", "-c", "cat; ls; echo made > result.txt"))
    (spec.job_folder / "input.txt").write_text("")
    await real_driver.wait(await real_driver.start(spec))
    assert "input.txt" in stdout(spec)
    assert (spec.job_folder / "result.txt").read_text() == "made\n"


async def test_a_task_cannot_gain_privileges_and_hears_every_signal(real_kit: DriverKit, real_driver: Driver) -> None:
    """ENV-34, D12. Signals that we ignore or block ourselves would be ignored or blocked in the task too."""
    spec = real_kit.make_spec(("cat", "/proc/self/status"))
    await real_driver.wait(await real_driver.start(spec))
    status = dict(line.split(":", 1) for line in stdout(spec).splitlines())
    assert status["NoNewPrivs"].strip() == "1"
    assert int(status["SigIgn"], 16) == int(status["SigBlk"], 16) == 0


async def test_what_a_program_leaves_running_ends_with_it(real_kit: DriverKit, real_driver: Driver) -> None:
    """An ended task writes no more: its log files are final. Also for one that made a session of its own."""
    script = "(while :; do echo tick; sleep 0.01; done) & setsid sleep 1000 & exit 5"
    spec = real_kit.make_spec(("sh", "-c", script))
    handle = await real_driver.start(spec)
    assert (await real_driver.wait(handle)).code == 5
    assert [found for found in await real_kit.leftovers() if found.startswith("process")] == []


async def test_a_task_without_its_job_folder_is_refused_and_leaves_nothing(
    driver_kit: DriverKit, driver: Driver
) -> None:
    before = await driver_kit.leftovers()
    spec = driver_kit.make_spec(Program())
    spec.job_folder.rmdir()
    with pytest.raises(InvalidTask, match="folder"):
        await driver.prepare(spec)
    with pytest.raises(InvalidTask):
        await driver.start(spec)
    assert await driver_kit.leftovers() == before


async def test_a_machine_that_can_run_tasks_says_so(driver: Driver) -> None:
    capabilities = await driver.capabilities()
    assert (capabilities.available, capabilities.reason) == (True, "")


@pytest.mark.parametrize("signal", [9, 15, 11])
async def test_the_signal_that_ended_a_task_is_told(driver_kit: DriverKit, driver: Driver, signal: int) -> None:
    """LC-12. A container's init may translate the signal to 128 + its number, as a shell does."""
    spec = driver_kit.make_spec(Program(signal=signal))
    result = await driver.wait(await driver.start(spec))
    assert _signal_of(result) == signal


def _signal_of(result: ExitResult) -> int | None:
    return result.signal if result.code is None else result.code - 128
