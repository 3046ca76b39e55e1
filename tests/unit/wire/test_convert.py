"""From the Core's job to what runs (`wire.convert`). What is refused, and how, is in `provider/test_bad_input`."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ucloud_ray.cluster.names import bundle
from ucloud_ray.domain.ids import JobId, ProductId
from ucloud_ray.domain.job import Backend, EnvRef, JobSpec, Machine, MountRequest, Owner, PeerRequest, Tariff
from ucloud_ray.domain.products import size_of
from ucloud_ray.machines import machine_of
from ucloud_ray.settings import DriveOwner, DriveSettings, PolicySettings, ProductSettings, Settings
from ucloud_ray.wire.catalogue import ConfiguredCatalogue
from ucloud_ray.wire.convert import ConversionRefused, job_spec, without_secrets
from ucloud_ray.wire.jobs import Job

DATA = Path(__file__).parents[2] / "data"
PRODUCTS = (
    ProductSettings("cpu-1", "cpu", cpu=1.5, memory_in_gigs=4, gpu=1, cpu_model="fast"),
    ProductSettings("vm-1", "vm"),
)
DRIVES = (DriveSettings("87", "Member Files: alice", Path("/srv/87"), DriveOwner("user", "alice")),)


def _settings(**policy: Any) -> Settings:
    return Settings(products=PRODUCTS, drives=DRIVES, policy=PolicySettings(**policy))


def _document(name: str = "POST_jobs_create") -> dict[str, Any]:
    content = json.loads((DATA / "observed" / f"{name}.json").read_text())
    found: dict[str, Any] = content["request"]["body"]["items"][0] if "request" in content else content
    return found


def _spec(document: dict[str, Any], **policy: Any) -> JobSpec:
    return job_spec(Job.model_validate(document), ConfiguredCatalogue(_settings(**policy)))


def _description(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = document["status"]["resolvedApplication"]["invocation"]["tool"]["tool"]["description"]
    return found


def test_a_recorded_job_becomes_what_it_asks_for() -> None:
    spec = _spec(_document())
    assert (spec.owner, spec.backend, spec.replicas) == (
        Owner("alice", "29dcbad4-40f8-4229-8651-975e64665312"), Backend.DOCKER, 1,
    )  # fmt: skip
    assert (spec.application_name, spec.application_version, spec.application_title) == (
        "batch-app", "1.0", "Batch app",
    )  # fmt: skip
    assert (spec.name, spec.time_allocation, spec.restart_on_exit) == ("my job", 3_600_000, False)
    launch = spec.launch
    assert launch.image == "docker.io/library/debian:12"
    assert launch.argv == ("echo", "--message", "hello world", "-n5", "-n0.5", "end", EnvRef("HOME"))
    assert launch.environment == {"MYENV": "hello world"}
    assert (launch.change_working_directory, launch.run_as_root, launch.mounts) == (False, True, ())


def test_the_size_of_the_machine_is_what_we_configured() -> None:
    """SCH-1, SCH-2: the job's own copy of the product says 1 core."""
    assert _spec(_document()).machine == Machine(
        ProductId("cpu-1", "cpu", "example"), 1500, 4_000_000_000, 1, cpu_model="fast",
        tariff=Tariff(unit=60_000, amount_milli=1_000_000_000),
    )  # fmt: skip


def test_the_options_of_a_product_come_with_its_machine() -> None:
    """SCH-5, SCH-6, SCH-10, ENV-38: a fraction is what is booked, not the limit; with GPUs there is none."""
    options = {"gpu_type": "amd", "custom_runtime": "crun", "priority": 3, "fraction": 0.25}
    shared = replace(PRODUCTS[0], gpu=0, **options)
    machine = machine_of(shared, "example")
    assert (machine.gpu_type, machine.custom_runtime, machine.priority) == ("amd", "crun", 3)
    assert (machine.cpu_milli, size_of(machine).cpu_milli) == (1500, 375)
    assert bundle(machine)["ucloud-ray/cpu/cpu"] == 0.375
    assert size_of(machine_of(replace(shared, gpu=1), "example")).cpu_milli == 1500
    catalogue = ConfiguredCatalogue(replace(_settings(), products=(shared,)))
    assert job_spec(Job.model_validate(_document()), catalogue).machine == machine


def test_no_time_allocation_means_no_end() -> None:
    """TIME-1."""
    assert _spec(_document("create-time-null")).time_allocation is None


def test_files_of_parameters_and_resources_are_mounted_and_named_as_the_job_sees_them() -> None:
    """ENV-11, ENV-12, ENV-14, INV-29."""
    document = _document()
    document["specification"]["parameters"]["infile"] = {"type": "file", "path": "/87/in/f.txt", "readOnly": True}
    document["specification"]["resources"] = [
        {"type": "file", "path": "/87"},
        {"type": "file", "path": "/87/ro/data", "readOnly": True, "mountPath": "/mnt/ro"},
    ]
    document["specification"]["openedFile"] = "/87/other/x.txt"
    invocation = document["status"]["resolvedApplication"]["invocation"]
    invocation["invocation"] = [{"type": "var", "variableNames": ["infile"]}]
    launch = _spec(document).launch
    assert launch.mounts == (
        MountRequest("/87", "/work/alice", False),
        MountRequest("/87/in/f.txt", "/work/f.txt", True),
        MountRequest("/87/ro/data", "/mnt/ro", True),
    )
    assert launch.argv == ("/work/f.txt",)
    assert (launch.opened_file, launch.unseen_file) == ("/work/alice/other/x.txt", None)


def test_an_opened_file_that_the_job_does_not_see_is_known_as_that() -> None:
    """RES-24."""
    document = _document()
    document["specification"]["openedFile"] = "/99/x.txt"
    launch = _spec(document).launch
    assert (launch.opened_file, launch.unseen_file) == (None, "/99/x.txt")


def _templated(document: dict[str, Any], template: str = "mycmd {{ message }}") -> dict[str, Any]:
    invocation = document["status"]["resolvedApplication"]["invocation"]
    invocation["invocation"] = [{"type": "jinja", "template": template}]
    return document


@pytest.mark.parametrize("backend", ["DOCKER", "NATIVE"])
def test_a_templated_application_keeps_its_template(backend: str) -> None:
    """INV-17, INV-21, INV-35."""
    document = _templated(_document())
    _description(document)["backend"] = backend
    invocation = document["status"]["resolvedApplication"]["invocation"]
    invocation["environment"] = {"A": {"type": "jinja", "template": "{{ count }}"}}
    launch = _spec(document).launch
    assert (launch.argv, launch.template) == ((), "mycmd {{ message }}")
    assert (launch.environment, launch.environment_templates) == ({}, {"A": "{{ count }}"})
    assert (launch.template_context["message"], launch.template_context["count"]) == ("hello world", 5)


def test_a_mixed_list_is_refused() -> None:
    """Q9."""
    document = _templated(_document())
    document["status"]["resolvedApplication"]["invocation"]["invocation"].append({"type": "word", "word": "x"})
    with pytest.raises(ConversionRefused, match="mixes a template"):
        _spec(document)


def test_a_script_that_runs_first_is_a_file_of_the_job() -> None:
    """INV-26."""
    document = _document()
    document["specification"]["labels"] = {"ucloud.dk/init-script": "/87/setup.sh", "other": "x"}
    launch = _spec(document).launch
    assert launch.init_script == "/work/setup.sh"
    assert launch.mounts == (MountRequest("/87/setup.sh", "/work/setup.sh", True),)
    document["status"]["resolvedApplication"]["invocation"]["invocation"] = []
    with pytest.raises(ConversionRefused, match="no script can run before"):
        _spec(document)


def test_peers_of_parameters_and_resources_are_wished_once() -> None:
    """ENV-47, ENV-50."""
    document = _document()
    document["specification"]["resources"] = [
        {"type": "peer", "hostname": "Database", "jobId": "5"},
        {"type": "peer", "hostname": "database", "jobId": "5"},
        {"type": "peer", "hostname": "web", "jobId": "6"},
    ]
    document["specification"]["parameters"]["undeclared"] = {"type": "peer", "hostname": "ghost", "jobId": "9"}
    assert _spec(document).launch.peers == (
        PeerRequest("database", JobId("5")),
        PeerRequest("web", JobId("6")),
    )


@pytest.mark.parametrize(
    ("hostname", "job_id", "why"),
    [
        ("localhost", "5", "leads to the job itself"),
        ("j-{id}-job-0", "5", "leads to the job itself"),
        ("a", "{id}", "leads to the job itself"),
        ("web", "6", "cannot both be reached as 'web'"),
        ("a.b", "5", "must have letters"),
        ("", "5", "must have letters"),
        ("a", "", "not named by an id"),
    ],
)
def test_a_peer_that_cannot_be_one_is_refused(hostname: str, job_id: str, why: str) -> None:
    """ENV-50."""
    document = _document()
    document["specification"]["resources"] = [
        {"type": "peer", "hostname": hostname.format(id=document["id"]), "jobId": job_id.format(id=document["id"])},
        {"type": "peer", "hostname": "web", "jobId": "5"},
    ]
    with pytest.raises(ConversionRefused, match=why):
        _spec(document)


def test_a_process_gets_the_providers_own_paths_and_no_image() -> None:
    """INV-30."""
    document = _document()
    _description(document)["backend"] = "NATIVE"
    document["owner"]["project"] = None
    document["specification"]["parameters"]["infile"] = {"type": "file", "path": "/87/./in/f.txt/"}
    invocation = document["status"]["resolvedApplication"]["invocation"]
    invocation["invocation"] = [{"type": "word", "word": "cat"}, {"type": "var", "variableNames": ["infile"]}]
    spec = _spec(document)
    assert (spec.backend, spec.launch.image) == (Backend.NATIVE, None)
    assert [file.ucloud_path for file in spec.launch.mounts] == ["/87/in/f.txt"], "its rights are checked by that"
    assert spec.launch.argv == ("cat", "/srv/87/in/f.txt")


def test_a_process_gets_paths_of_the_home_that_is_made_for_its_workspace() -> None:
    """INV-30, ENV-2: and of no other."""
    catalogue = ConfiguredCatalogue(Settings(data_dir=Path("/data"), products=PRODUCTS))
    owner = Owner("bob")
    assert catalogue.native_path("/home-bob/a/b", owner) == "/data/drives/bob/home/a/b"
    assert catalogue.native_path("/home-alice/a", owner) is None
    assert catalogue.native_path("/home-bob/a", Owner("bob", "p1")) is None
    without = ConfiguredCatalogue(replace(_settings(automatic_homes=False), drives=()))
    assert without.native_path("/home-bob/a", owner) is None


def test_a_home_that_is_made_on_demand_has_a_title() -> None:
    """ENV-12: and no workspace sees the title of another's."""
    made = ConfiguredCatalogue(Settings(data_dir=Path("/data"), products=PRODUCTS))
    assert made.drive_titles(Owner("bob")) == {"home-bob": "Home"}
    configured = ConfiguredCatalogue(_settings())
    assert "home-alice" not in configured.drive_titles(Owner("alice")), "she has a drive"


def test_a_process_gets_paths_of_the_drives_that_there_are() -> None:
    """Whether it may use one that is shared is looked at when the job is accepted (ENV-16)."""
    catalogue = ConfiguredCatalogue(_settings())
    assert catalogue.native_path("/87/a", Owner("alice")) == "/srv/87/a"
    assert catalogue.native_path("/87/a", Owner("bob")) == "/srv/87/a"
    assert catalogue.native_path("/88/a", Owner("bob")) is None
    assert catalogue.native_path("/home-alice/a", Owner("alice")) is None, "she has a drive"


def test_a_process_without_a_program_is_refused() -> None:
    document = _document()
    _description(document)["backend"] = "NATIVE"
    document["status"]["resolvedApplication"]["invocation"]["invocation"] = None
    with pytest.raises(ConversionRefused, match="which program"):
        _spec(document)


GCC = {"type": "Native", "applications": [{"name": "gcc", "version": "12.1"}]}


@pytest.mark.parametrize("needs", [{"requiredModules": ["gcc"]}, {"loadInstructions": GCC}])
def test_a_process_that_needs_modules_is_refused(needs: dict[str, Any]) -> None:
    """ENV-30, in the form of either era."""
    document = _document()
    _description(document).update(backend="NATIVE", **needs)
    with pytest.raises(ConversionRefused, match="modules"):
        _spec(document)


def test_a_container_without_a_command_runs_what_its_image_says() -> None:
    """INV-27."""
    document = _document()
    document["status"]["resolvedApplication"]["invocation"]["invocation"] = []
    assert _spec(document).launch.argv == ()


def test_a_machine_boots_its_image_and_gets_no_command() -> None:
    """ENV-26."""
    spec = _spec(_document("create-vm"))
    assert (spec.backend, spec.launch.argv, spec.launch.environment) == (Backend.VIRTUAL_MACHINE, (), {})
    assert spec.launch.image


@pytest.mark.parametrize(("image", "container", "expected"), [("", "old:1", "old:1"), ("new:1", "old:1", "new:1")])
def test_the_older_name_of_the_image_counts_when_the_newer_is_empty(image: str, container: str, expected: str) -> None:
    """ENV-53."""
    document = _document()
    _description(document).update(image=image, container=container)
    assert _spec(document).launch.image == expected


def test_what_the_application_does_not_say_about_its_container_is_the_default() -> None:
    """INV-44."""
    document = _document()
    document["status"]["resolvedApplication"]["invocation"]["container"] = None
    launch = _spec(document).launch
    assert (launch.change_working_directory, launch.run_as_root) == (True, False)


def test_several_nodes_are_several_replicas() -> None:
    assert _spec(_document("create-replicas-2")).replicas == 2


def test_restart_on_exit_is_accepted_or_refused_by_policy() -> None:
    """LC-28."""
    document = _document()
    document["specification"]["restartOnExit"] = True
    assert _spec(document).restart_on_exit
    with pytest.raises(ConversionRefused, match="restart"):
        _spec(document, restart_on_exit="reject")


def test_values_of_undeclared_parameters_are_ignored() -> None:
    """INV-3; G adds `ucMetricSampleRate` to every job."""
    document = _document()
    document["specification"]["parameters"]["undeclared"] = {"type": "ingress", "id": "1"}
    assert _spec(document) == _spec(_document())


def test_what_must_not_be_kept_is_taken_out_of_a_copy() -> None:
    document = _document()
    secret = {"type": "api_server", "token": "hunter2"}
    file = {"type": "file", "path": "/87/a"}
    document["specification"]["resources"] = [secret, file]
    kept = without_secrets(document)
    assert kept["specification"]["resources"] == [file]
    assert document["specification"]["resources"] == [secret, file]
    assert kept["status"] == document["status"]


def test_a_refusal_survives_pickling() -> None:
    assert pickle.loads(pickle.dumps(ConversionRefused("why"))).why == "why"
