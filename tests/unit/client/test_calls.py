"""Jobs, applications, machines, wallets, drives: what is asked and what comes of it, waited for and awaited."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.unit.cli.fake_core import BATCH, FakeCore, job, product
from tests.unit.client.conftest import AT_ONCE, URL, awaited
from ucloud_ray.client import (
    AsyncClient,
    Client,
    File,
    Mistake,
    NoMachine,
    NoParts,
    NotFound,
    Peer,
    StillRunning,
    StrangeAnswer,
    errors,
)
from ucloud_ray.wire.common import ProductReference, to_wire

EXAMPLES = Path(__file__).parents[2] / "data" / "examples"


# ------------------------------------------------------------------------------------------------------ submit


def test_submit_creates_exactly_what_was_said_and_returns_a_handle(client: Client, core: FakeCore) -> None:
    created = client.jobs.submit(
        "a-batch-application",
        "1.0.0",
        {"var": 7},
        "example-compute",
        nodes=2,
        time=timedelta(minutes=90),
        mounts=["home-user/in:ro"],
        resources=[Peer("server", "12"), File("home-user/x")],
        name="Mine",
        labels={"a": "b"},
    )
    [(path, body)] = core.changes()
    assert (created.id, created.specification) == ("48920", body["items"][0])
    assert (path, core.authorization) == ("/api/jobs", "Bearer t0ken")
    assert body == {
        "items": [
            {
                "application": {"name": "a-batch-application", "version": "1.0.0"},
                "product": {"id": "example-compute", "category": "example-compute", "provider": "example"},
                "replicas": 2,
                "parameters": {"var": {"type": "text", "value": "7"}},
                "resources": [
                    {"type": "file", "path": "/home-user/in", "readOnly": True},
                    {"type": "peer", "hostname": "server", "jobId": "12"},
                    {"type": "file", "path": "/home-user/x", "readOnly": False},
                ],
                "allowDuplicateJob": True,
                "timeAllocation": {"hours": 1, "minutes": 30, "seconds": 0},
                "name": "Mine",
                "labels": {"a": "b"},
            }
        ]
    }


def test_what_is_not_said_is_not_sent(client: Client, core: FakeCore) -> None:
    """End-user-api 4.2: `null` for a list is an error in K."""
    client.jobs.submit("a-batch-application", parameters={"var": "x"})
    [item] = core.changes()[0][1]["items"]
    assert None not in item.values()
    assert (item["resources"], "timeAllocation" in item) == ([], False)


def test_a_second_job_of_the_same_version_and_machine_costs_one_request(client: Client, core: FakeCore) -> None:
    machine = "example-compute/example-compute/example"
    client.jobs.submit("a-batch-application@1.0.0", None, {"var": "x"}, machine)
    core.asked.clear()
    reference = ProductReference(id="m", category="c", provider="p")
    client.jobs.submit("a-batch-application", "1.0.0", {"var": "y"}, reference)
    assert [path for _, path, _ in core.asked] == ["/api/jobs"]
    assert core.changes()[0][1]["items"][0]["product"] == to_wire(reference)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"app": "a-batch-aplication"}, "did you mean 'a-batch-application'"),
        ({"parameters": {}}, "needs var"),
        ({"parameters": {"var": 1, "vor": 1}}, "did you mean 'var'"),
        ({"product": "exemple-compute"}, "did you mean 'example-compute'"),
        ({"product": "zzz"}, "there is no machine type 'zzz'"),
        ({"nodes": 0}, "at least one"),
        ({"time": timedelta(0)}, "at least a second"),
        ({"mounts": ["/"]}, "names no drive"),
        ({"resources": ["home-user/x"]}, "is no resource"),
    ],
)
def test_a_mistake_is_told_before_anything_is_created(
    client: Client, core: FakeCore, said: dict[str, Any], why: str
) -> None:
    with pytest.raises(Mistake, match=why):
        client.jobs.submit(**{"app": "a-batch-application", "parameters": {"var": 1}, **said})
    assert core.changes() == []


def test_a_machine_that_cannot_run_it_is_not_chosen(client: Client, core: FakeCore) -> None:
    core.products = [product("virtual", "virtualMachine"), product("fits", "docker")]
    client.jobs.submit("a-batch-application", parameters={"var": 1})
    assert core.changes()[0][1]["items"][0]["product"]["id"] == "fits"
    for wanted in ("virtual", None):
        core.products = core.products[:1]
        with pytest.raises(NoMachine, match=r"cannot run|can run"):
            client.jobs.submit("a-batch-application", parameters={"var": 1}, product=wanted)
    assert len(core.changes()) == 1


def test_a_core_that_does_not_say_what_became_of_a_job_is_told(client: Client, core: FakeCore) -> None:
    """K answers `null` for an item that failed (end-user-api 4.1)."""
    answer = core.answer

    def without_id(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"responses": [None]}) if request.method == "POST" else answer(request)

    with (
        Client(URL, "t", transport=httpx.MockTransport(without_id)) as other,
        pytest.raises(StrangeAnswer, match="what became of"),
    ):
        other.jobs.submit("a-batch-application", parameters={"var": 1})


# ----------------------------------------------------------------------------------------------- handle, lists


def test_waiting_ends_with_the_final_status(core: FakeCore) -> None:
    states = iter(["IN_QUEUE", "RUNNING", "FAILURE"])

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=job("7", next(states)))

    with Client(URL, "t", transport=httpx.MockTransport(answer)) as client:
        assert client.jobs.handle("7").wait().state == "FAILURE"
    assert next(states, None) is None


def test_waiting_for_too_long_says_how_it_stands(client: Client, core: FakeCore) -> None:
    core.jobs = {"7": job("7", "RUNNING")}
    for error in (StillRunning, TimeoutError):
        with pytest.raises(error, match="job 7 is RUNNING after 0 seconds"):
            client.jobs.handle("7").wait(timeout=0)


def test_a_list_is_asked_for_page_by_page_and_no_further_than_wanted() -> None:
    asked: list[dict[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.url.params))
        first = int(request.url.params.get("next", 0))
        items = [job(str(first + number), "SUCCESS") for number in range(2)]
        return httpx.Response(200, json={"items": items, "next": str(first + 2) if first < 4 else None})

    with Client(URL, "t", transport=httpx.MockTransport(answer)) as client:
        found = [entry.id for entry in client.jobs.browse()]
        assert found == ["0", "1", "2", "3", "4", "5"]
        assert [page.get("next") for page in asked] == [None, "2", "4"]
        asked.clear()
        wanted = {"state": "SUCCESS", "labels": {"a": "b"}, "created_after": datetime.fromtimestamp(5, UTC)}
        assert len(list(client.jobs.browse(at_most=2, **wanted))) == 2  # type: ignore[arg-type]
        assert len(asked) == 1
        assert asked[0] == {
            "itemsPerPage": "100",
            "includeUpdates": "true",
            "filterState": "SUCCESS",
            "filterCreatedAfter": "5000",
            "filterLabels.a": "b",
        }


@pytest.mark.parametrize(
    ("use", "path", "body"),
    [
        (lambda c: c.jobs.stop(["7", "8"]), "/api/jobs/terminate", {"items": [{"id": "7"}, {"id": "8"}]}),
        (lambda c: c.jobs.handle("7").stop(), "/api/jobs/terminate", {"items": [{"id": "7"}]}),
        (lambda c: c.jobs.suspend("7"), "/api/jobs/suspend", {"items": [{"id": "7"}]}),
        (lambda c: c.jobs.unsuspend(["7"]), "/api/jobs/unsuspend", {"items": [{"id": "7"}]}),
        (lambda c: c.jobs.delete(["7"]), "/api/jobs/delete", {"items": [{"id": "7"}]}),
        (lambda c: c.jobs.rename("7", "t"), "/api/jobs/rename", {"items": [{"id": "7", "newTitle": "t"}]}),
        (lambda c: c.files.mkdir("a/b"), "/api/files/folder", {"items": [{"id": "/a/b"}]}),
        (lambda c: c.files.trash(["a/b"]), "/api/files/trash", {"items": [{"id": "/a/b"}]}),
        (lambda c: c.files.delete(Path("a/b")), "/api/files", {"items": [{"id": "/a/b"}]}),
        (
            lambda c: c.files.move("a/b", "c/"),
            "/api/files/move",
            {"items": [{"oldId": "/a/b", "newId": "/c/b", "conflictPolicy": "REJECT"}]},
        ),
        (lambda c: c.apps.add("tool: v1", "tool"), "/api/hpc/tools", "tool: v1"),
        (lambda c: c.apps.check("x: y"), "/api/hpc/apps/check", "x: y"),
    ],
)
def test_orders_ask_for_exactly_that_waited_for_and_awaited(
    client: Client, core: FakeCore, use: Callable[[Any], Any], path: str, body: Any
) -> None:
    core.added = []
    use(client)
    awaited(core, use)
    assert core.changes() == [(path, body), (path, body)]


@pytest.mark.parametrize(
    "use", [lambda c: c.jobs.extend("7", timedelta(hours=1)), lambda c: c.jobs.handle("7").extend(timedelta(hours=1))]
)
def test_an_extension_is_not_repeated_when_its_answer_is_lost(use: Callable[[Client], Any]) -> None:
    asked: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(json.loads(request.content))
        raise httpx.ReadTimeout("silence")

    with (
        Client(URL, "t", transport=httpx.MockTransport(answer), retry=AT_ONCE) as client,
        pytest.raises(errors.AnswerLost),
    ):
        use(client)
    assert asked == [{"items": [{"jobId": "7", "requestedTime": {"hours": 1, "minutes": 0, "seconds": 0}}]}]


def test_a_job_that_is_not_there_is_told(client: Client, core: FakeCore) -> None:
    with pytest.raises(NotFound, match="Job not found"):
        client.jobs.retrieve("7")

    async def ask(other: AsyncClient) -> Any:
        return await other.jobs.retrieve("7")

    with pytest.raises(NotFound, match="Job not found"):
        awaited(core, ask)


# -------------------------------------------------------------------------------------------------------- logs


def logged(core: FakeCore) -> FakeCore:
    core.jobs = {"7": job("7", "RUNNING")}
    core.logs = {(0, "stdout"): "".join(f"line {number}\n" for number in range(10)), (1, "stderr"): "oops\n"}
    return core


def test_logs_are_texts(client: Client, core: FakeCore) -> None:
    written = logged(core).logs or {}
    handle = client.jobs.handle("7")
    assert handle.logs() == written[0, "stdout"]
    assert handle.logs(1, "stderr") == "oops\n"
    assert handle.logs(tail=2) == "line 8\nline 9\n"
    assert [part.text for part in handle.output(offset=63)] == ["line 9\n"]
    with pytest.raises(Mistake, match="stdout or stderr"):
        handle.logs(stream="stdin")


def test_a_server_without_parts_says_so_and_a_job_that_is_not_there_is_not_mistaken_for_one(
    client: Client, core: FakeCore
) -> None:
    core.jobs = {"7": job("7", "RUNNING")}
    with pytest.raises(NoParts):
        list(client.jobs.handle("7").output())
    with pytest.raises(NotFound, match="Job not found"):
        list(client.jobs.handle("8").output())


# ------------------------------------------------------------------------------------------------- both eras


def test_answers_of_the_documents_are_read(core: FakeCore) -> None:
    """Models 4 to 6, 16: K's wallets, and G's in the same form."""
    answers = {
        "/api/jobs/retrieve": "user-retrieve-after-extend",
        "/api/jobs/retrieveProducts": "user-retrieve-products",
        "/api/hpc/apps": "user-apps-browse",
        "/api/hpc/apps/byNameAndVersion": "user-apps-by-name-and-version",
        "/api/accounting/wallets/browse": "user-wallets-browse",
        "/api/accounting/v2/browseWallets": "user-wallets-browse-v2",
    }

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=(EXAMPLES / f"{answers[request.url.path]}.response.json").read_text())

    with Client(URL, "t", transport=httpx.MockTransport(answer)) as client:
        assert client.jobs.retrieve("1").specification.time_allocation is not None
        assert client.products.browse()[0].product.name == "compute-example"
        assert client.apps.retrieve("a", "1").invocation.parameters
        old = next(client.wallets.browse())
        del answers["/api/accounting/wallets/browse"]
    assert old.balance > 0

    def only_current(request: httpx.Request) -> httpx.Response:
        return answer(request) if request.url.path in answers else httpx.Response(404, text="no such page")

    with Client(URL, "t", transport=httpx.MockTransport(only_current)) as client:
        current = next(client.wallets.browse())
    assert current.pays_for.name
    assert current.allocations[0].initial_balance > 0


def test_what_cannot_be_read_names_the_field_and_raw_answers_are_as_they_came(client: Client, core: FakeCore) -> None:
    core.jobs = {"7": job("7", "RUNNING") | {"createdAt": "yesterday", "ofALaterEra": 1}}
    with pytest.raises(StrangeAnswer, match="createdAt"):
        client.jobs.retrieve("7")
    assert client.raw.jobs.retrieve("7") == core.jobs["7"]
    assert list(client.raw.jobs.browse()) == [core.jobs["7"]]
    assert client.raw.apps.retrieve("a-batch-application") == BATCH


def test_help_shows_what_a_call_takes(client: Client) -> None:
    parameters = inspect.signature(client.jobs.submit).parameters
    assert list(parameters)[:4] == ["app", "version", "parameters", "product"]
    assert "never created twice" in (client.jobs.submit.__doc__ or "")
    assert client.jobs.submit.__name__ == "submit"
