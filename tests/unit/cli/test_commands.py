"""The commands of `design` surface against a Core in memory: what they ask, print, and leave with."""

from __future__ import annotations

import json
import re
from pathlib import Path

import httpx
import pytest

from tests.unit.cli.conftest import Cli
from tests.unit.cli.fake_core import FakeCore, job, product
from tests.unit.cli.registered import own_options, registered
from ucloud_ray.orchestrator.keys import UserKey

MANUAL = Path(__file__).parents[3] / "docs" / "command-line.md"


def test_run_creates_exactly_the_job_of_the_mission_document(cli: Cli, core: FakeCore) -> None:
    outcome = cli("run", "a-batch-application", "var=Example", "--detach")
    assert (outcome.status, outcome.out) == (0, "48920\n")
    assert core.authorization == "Bearer t0ken"
    [(path, body)] = core.changes()
    [created] = body["items"]
    assert path == "/api/jobs"
    assert created["application"] == {"name": "a-batch-application", "version": "1.0.0"}
    assert created["parameters"] == {"var": {"type": "text", "value": "Example"}}
    assert created["product"] == {"id": "example-compute", "category": "example-compute", "provider": "example"}
    assert (created["replicas"], "timeAllocation" in created) == (1, False)


def test_run_passes_nodes_time_name_and_mounts_on(cli: Cli, core: FakeCore) -> None:
    cli(
        "run",
        "a-batch-application",
        "var=x",
        "--nodes",
        "2",
        "--time",
        "90m",
        "--name",
        "n",
        "--mount",
        "1/a",
        "--mount",
        "1/b:ro",
        "--detach",
    )
    [(_, body)] = core.changes()
    created = body["items"][0]
    assert (created["replicas"], created["name"]) == (2, "n")
    assert created["timeAllocation"] == {"hours": 1, "minutes": 30, "seconds": 0}
    assert created["resources"] == [
        {"type": "file", "path": "/1/a", "readOnly": False},
        {"type": "file", "path": "/1/b", "readOnly": True},
    ]


def test_run_takes_the_first_machine_that_can_run_the_application(cli: Cli, core: FakeCore) -> None:
    core.products = [product("virtual", "virtualMachine"), product("fits", "docker")]
    cli("run", "a-batch-application", "var=x", "--detach")
    assert core.changes()[0][1]["items"][0]["product"]["id"] == "fits"


@pytest.mark.parametrize(
    ("words", "status", "says"),
    [
        (["a-batch-aplication"], 2, "did you mean 'a-batch-application'?"),
        (["zzz"], 2, "see `ucloud-ray apps list`"),
        (["a-batch-application"], 2, "needs var"),
        (["a-batch-application", "vor=1"], 2, "did you mean 'var'?"),
        (["a-batch-application", "var=1", "--product", "exemple-compute"], 2, "did you mean 'example-compute'?"),
        (["a-batch-application", "var=1", "--time", "5"], 2, "write it like 30s"),
        (["a-batch-application", "var=1", "--nodes", "0"], 2, "--nodes"),
        (["a-batch-application", "var"], 2, "'var' is not NAME=VALUE"),
        (["a-batch-application", "var=1", "var=2"], 2, "'var' is given twice"),
        (["a-batch-application", "var=1", "--product", "zzz"], 2, "see `ucloud-ray products`"),
        (["a-batch-application", "var=1", "--mount", "/"], 2, "names no drive"),
    ],
)
def test_run_refuses_a_mistake_and_creates_nothing(
    cli: Cli, core: FakeCore, words: list[str], status: int, says: str
) -> None:
    outcome = cli("run", *words)
    assert (outcome.status, outcome.out) == (status, "")
    assert says in outcome.err
    assert core.changes() == []


def test_run_says_when_no_machine_can_run_the_application(cli: Cli, core: FakeCore) -> None:
    core.products = [product("example-compute", "native")]
    outcome = cli("run", "a-batch-application", "var=1")
    assert (outcome.status, core.changes()) == (1, [])
    assert "no machine can run this application (DOCKER); see `ucloud-ray doctor`" in outcome.err


def test_jobs_are_listed_with_their_state_and_last_words(cli: Cli, core: FakeCore) -> None:
    core.jobs = {"7": job("7", "SUCCESS", ("RUNNING", "running"), ("SUCCESS", "ended well"))}
    header, row = cli("jobs", "list").out.splitlines()
    assert header.split() == ["ID", "STATE", "APPLICATION", "PRODUCT", "NODES", "CREATED", "STATUS"]
    assert row.startswith("7   SUCCESS  a-batch-application@1.0.0  example-compute")
    assert row.endswith("ended well")


def test_json_output_is_what_the_core_said(cli: Cli, core: FakeCore) -> None:
    core.jobs = {"7": job("7", "RUNNING")}
    assert json.loads(cli("jobs", "list", "--json").out) == [core.jobs["7"]]
    assert json.loads(cli("jobs", "show", "7", "--json").out) == core.jobs["7"]
    assert json.loads(cli("products", "--json").out) == core.products
    assert json.loads(cli("apps", "show", "a-batch-application", "--json").out) == core.applications[0]


def test_nothing_but_data_goes_to_standard_output_when_there_is_none(cli: Cli, core: FakeCore) -> None:
    outcome = cli("jobs", "list")
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "no jobs\n")


def test_a_job_is_shown_with_everything_that_was_told(cli: Cli, core: FakeCore) -> None:
    core.jobs = {"7": job("7", "RUNNING", ("IN_QUEUE", "waiting"), ("RUNNING", "it runs"))}
    shown = cli("jobs", "show", "7").out
    assert "state:       RUNNING" in shown
    assert "/51231/Jobs/1" in shown
    assert shown.index("waiting") < shown.index("it runs")


def test_an_unknown_job_is_one_line_with_the_reason(cli: Cli, core: FakeCore) -> None:
    outcome = cli("jobs", "show", "nope")
    assert (outcome.status, outcome.err) == (1, "ucloud-ray: Job not found\n")


def test_what_is_done_with_jobs_is_asked_for_exactly(cli: Cli, core: FakeCore) -> None:
    for words in ("stop 7 8", "extend 7 1h", "suspend 7", "unsuspend 7", "rename 7 x"):
        assert cli("jobs", *words.split()).status == 0
    assert core.changes() == [
        ("/api/jobs/terminate", {"items": [{"id": "7"}, {"id": "8"}]}),
        ("/api/jobs/extend", {"items": [{"jobId": "7", "requestedTime": {"hours": 1, "minutes": 0, "seconds": 0}}]}),
        ("/api/jobs/suspend", {"items": [{"id": "7"}]}),
        ("/api/jobs/unsuspend", {"items": [{"id": "7"}]}),
        ("/api/jobs/rename", {"items": [{"id": "7", "newTitle": "x"}]}),
    ]


def test_utilization_of_a_jobs_machines_is_what_the_core_says(cli: Cli, core: FakeCore) -> None:
    core.jobs = {"7": job("7", "RUNNING")}
    used, capacity = {"cpu": 3, "memory": 2_000_000_000}, {"cpu": 10, "memory": 20_000_000_000}
    core.utilization = {"capacity": capacity, "usedCapacity": used, "queueStatus": {"running": 2, "pending": 1}}
    assert cli("utilization", "--job", "7").out.splitlines()[1].split() == [
        *("example-compute", "3", "10", "2", "GB", "20", "GB", "2", "1")
    ]
    assert json.loads(cli("utilization", "--job", "7", "--json").out) == core.utilization


def test_a_name_that_is_taken_says_which_option_replaces_it(cli: Cli, core: FakeCore, tmp_path: Path) -> None:
    (tmp_path / "a. b.txt").write_text("x")
    core.refuse = (409, {"why": "/1/a. b.txt exists already. Choose another name, or another conflictPolicy."})
    for words in (("put", "a. b.txt", "1/"), ("mv", "1/x", "1/a. b.txt")):
        outcome = cli("files", *words)
        said = "ucloud-ray: /1/a. b.txt exists already; name another, or add --replace\n"
        assert (outcome.status, outcome.out, outcome.err) == (1, "", said)


def test_an_unknown_state_is_refused_before_anything_is_asked(cli: Cli, core: FakeCore) -> None:
    outcome = cli("jobs", "list", "--state", "done")
    assert (outcome.status, core.asked) == (2, [])
    assert "SUCCESS" in outcome.err


def test_an_expired_token_says_how_to_get_a_new_one(cli: Cli, core: FakeCore) -> None:
    core.refuse = (401, {"why": "expired"})
    outcome = cli("jobs", "list")
    assert (outcome.status, len(outcome.err.splitlines())) == (1, 1)
    assert "ucloud-ray token" in outcome.err
    assert "t0ken" not in outcome.err


def test_the_servers_reason_is_shown_as_it_is(cli: Cli, core: FakeCore) -> None:
    core.refuse = (402, {"why": "You have no credits for this machine"})
    assert cli("jobs", "list").err == "ucloud-ray: You have no credits for this machine\n"


def test_a_server_that_is_no_core_is_recognised(cli: Cli, core: FakeCore) -> None:
    core.refuse = (200, "<html>")
    assert "does not answer like UCloud/Core" in cli("jobs", "list").err
    core.refuse = (500, "<html>")
    assert "answered 500" in cli("jobs", "list").err


def test_a_server_that_does_not_answer_says_what_to_do(
    cli: Cli, core: FakeCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(core, "_route", lambda request, body: away(request))
    outcome = cli("jobs", "list")
    assert outcome.status == 1
    assert outcome.err.startswith("ucloud-ray: nothing answers at http://core.invalid; start it with `ucloud-ray up`")
    assert len(core.asked) == 1, "whoever waits at the keyboard is told at once"


def test_without_an_installation_or_an_address_the_remedy_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UCLOUD_RAY_HOST")
    outcome = cli("jobs", "list")
    assert outcome.status == 1
    assert "nothing was started in ucloud-ray-data; run `ucloud-ray up --detach`" in outcome.err


def test_an_address_without_a_token_asks_for_one(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UCLOUD_RAY_TOKEN")
    assert "no token for http://core.invalid" in cli("jobs", "list").err


def test_a_mistake_in_the_configuration_is_wrong_usage(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "ucloud-ray.yaml").write_text("core: {uri: x}")
    outcome = cli("provider", "serve")
    assert (outcome.status, outcome.out) == (2, "")
    assert outcome.err.startswith("ucloud-ray: ucloud-ray.yaml, line 1: unknown key 'uri' in 'core'")


def test_a_provider_without_products_does_not_start(cli: Cli) -> None:
    outcome = cli("provider", "serve")
    assert outcome.status == 1
    assert "sells nothing" in outcome.err


def test_token_needs_an_orchestrator_and_makes_no_folder(cli: Cli, tmp_path: Path) -> None:
    outcome = cli("token")
    assert outcome.status == 1
    assert "holds no orchestrator" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_token_prints_the_token_alone(cli: Cli, tmp_path: Path) -> None:
    UserKey(tmp_path / "ucloud-ray-data")
    outcome = cli("token", "--user", "alice")
    assert (outcome.status, outcome.err) == (0, "")
    assert len(outcome.out.strip().split(".")) == 3


def test_down_without_anything_running_is_no_failure(cli: Cli) -> None:
    outcome = cli("down")
    assert outcome.status == 0
    assert "nothing runs" in outcome.err


def test_nothing_to_do_shows_the_help(cli: Cli) -> None:
    assert "ucloud-ray run a-batch-application var=Example" in cli("--help").out


@pytest.mark.parametrize("command", registered(), ids=" ".join)
def test_every_command_has_a_help_with_an_example(cli: Cli, command: tuple[str, ...]) -> None:
    outcome = cli(*command, "--help")
    assert outcome.status == 0
    assert "Example" in outcome.out
    assert f"ucloud-ray {' '.join(command)}" in outcome.out.split("Example", 1)[1]


def test_every_command_is_in_the_manual(cli: Cli) -> None:
    """And nothing else is: each has its heading in docs/command-line.md."""
    told = re.findall(r"^### `ucloud-ray ([a-z -]+?)`", MANUAL.read_text(), re.MULTILINE)
    assert sorted(told) == sorted(" ".join(command) for command in registered())


@pytest.mark.parametrize("command", registered(), ids=" ".join)
def test_every_option_of_its_own_is_in_the_manual(command: tuple[str, ...]) -> None:
    section = MANUAL.read_text().partition(f"### `ucloud-ray {' '.join(command)}`")[2].partition("\n## ")[0]
    section = section.partition("\n### ")[0]
    missing = [option for option in own_options(command) if f"`{option}" not in section and f" {option}" not in section]
    assert missing == []
