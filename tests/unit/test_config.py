"""Configuration files and environment variables (`design` surface, Configuration)."""

from __future__ import annotations

from pathlib import Path

import pytest

from ucloud_ray import config
from ucloud_ray.settings import CapacitySettings, CategorySettings, DriveOwner, DriveSettings, Settings

SURFACE = """
provider:
  id: example
  listen: 127.0.0.1:8889
  publicUrl: http://127.0.0.1:8889
core:
  url: http://127.0.0.1:8080
  refreshToken: secret
dataDir: /var/lib/ucloud-ray
store: sqlite:////var/lib/ucloud-ray/jobs.db
ray:
  address: local
products:
  - name: example-compute
    category: example-compute
    cpu: 10
    memoryInGigs: 20
    gpu: 0
    unitOfPrice: CREDITS_PER_MINUTE
    backends: {docker: {}, native: {logs: true}, virtualMachine: {}}
nodes:
  - match: {host: "*"}
    categories: [example-compute]
    capacity: {example-compute: {cpu: 40, memoryInGigs: 80}}
drives:
  - id: "51231"
    title: Home
    path: /srv/ucloud/home/user
    owner: {type: user, username: user}
policy: {stopGraceSeconds: 3}
"""


def read(tmp_path: Path, text: str, environ: dict[str, str] | None = None, base: Settings | None = None) -> Settings:
    file = tmp_path / "ucloud-ray.yaml"
    file.write_text(text)
    return config.load(file, environ or {}, tmp_path, base)


def refused(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(config.ConfigError) as caught:
        read(tmp_path, text, environ)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_every_key_of_the_documented_file_is_understood(tmp_path: Path) -> None:
    settings = read(tmp_path, SURFACE)
    assert settings.core.refresh_token == "secret"
    assert settings.data_dir == Path("/var/lib/ucloud-ray")
    assert settings.products[0].memory_in_gigs == 20.0
    assert settings.products[0].backends == {"docker": {}, "native": {"logs": True}, "virtualMachine": {}}
    assert settings.nodes[0].capacity == {"example-compute": CapacitySettings(40, 80)}
    owner = DriveOwner("user", username="user")
    assert settings.drives == (DriveSettings("51231", "Home", Path("/srv/ucloud/home/user"), owner),)
    assert settings.policy.stop_grace_seconds == 3.0


def test_what_a_category_and_a_machine_keep_for_their_system_is_read(tmp_path: Path) -> None:
    """SCH-5, SCH-7."""
    text = "products: [{name: a, category: c, gpuType: amd, customRuntime: crun, priority: 3}]\n"
    text += "categories: {c: {systemReservedCpuMillis: 250}}\nnodes: [{systemReservedMemoryBytes: 1000000000}]\n"
    settings = read(tmp_path, text)
    assert settings.categories == {"c": CategorySettings(250)}
    assert settings.nodes[0].system_reserved_memory_bytes == 10**9
    product = settings.products[0]
    assert (product.gpu_type, product.custom_runtime, product.priority) == ("amd", "crun", 3)


def test_what_a_file_does_not_say_keeps_its_default(tmp_path: Path) -> None:
    assert read(tmp_path, "") == Settings()
    assert read(tmp_path, "core: {url: 'https://cloud.example.org'}").core.timeout_seconds == 10.0


def test_an_unknown_key_is_refused_with_its_line_and_the_nearest_known_key(tmp_path: Path) -> None:
    message = refused(tmp_path, "provider:\n  id: example\n  publicURL: http://x\n")
    assert message == "ucloud-ray.yaml, line 3: unknown key 'publicURL' in 'provider'; did you mean 'publicUrl'?"


def test_an_unknown_key_that_resembles_nothing_lists_the_known_ones(tmp_path: Path) -> None:
    assert "known are address, listen, namespace" in refused(tmp_path, "ray: {zzz: 1}")


def test_an_unknown_key_in_a_list_entry_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, "products:\n- name: a\n  category: a\n  memoryInGig: 2\n")
    assert "line 4" in message
    assert "memoryInGigs" in message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("products: [{name: a}]", "needs 'category'"),
        ("products: {name: a}", "'products' must be a list"),
        ("products: [{name: a, category: c, cpu: many}]", "'cpu' must be a number"),
        ("products: [{name: a, category: c, gpu: 1.5}]", "'gpu' must be a whole number"),
        ("products: [{name: a, category: c, cpu: 0}]", "must be above 0"),
        ("products: [{name: a, category: c}, {name: a, category: c}]", "stands twice"),
        ("products: [{name: a, category: c, backends: {podman: {}}}]", "docker, native or virtualMachine"),
        ("nodes: [{categories: [nope]}]", "no product has"),
        ("categories: {nope: {}}", "no product has"),
        ("products: [{name: a, category: c, maxTimeAllocation: {hours: 0}}]", "'maxTimeAllocation' must be"),
        ("products: [{name: a, category: c, fraction: 0}]", "'fraction' must be above 0"),
        ("products: [{name: a, category: c, gpuType: matrox}]", "must be one of nvidia, amd"),
        ("policy: {exitCodePolicy: lax}", "must be one of mission, strict"),
        ("policy: {cancelingState: 3}", "must be true or false"),
        ("provider: {listen: localhost}", "must be HOST:PORT"),
        ("core: {url: localhost}", "must start with http://"),
        ("core: [1]", "'core' must be a mapping"),
        ("a: b: c", "line 1: not valid YAML"),
        ("ray: {}\nray: {}", "line 2: 'ray' stands here twice"),
        ("ray: !!python/object:os.system {}", "only plain values"),
        ("dataDir: 2024-01-01", "only plain values"),
        ("a: &a [*a]", "not valid YAML"),
        ("core: {publicKey: 'no key!'}", "neither PEM nor base64"),
        ("core: {refreshTokenFile: gone}", "cannot be read (No such file or directory)"),
    ],
)
def test_a_mistake_is_named_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    assert says in refused(tmp_path, text)


def test_an_environment_variable_wins_over_the_file(tmp_path: Path) -> None:
    environ = {"UCLOUD_RAY__CORE__URL": "https://cloud.example.org", "UCLOUD_RAY__CORE__REFRESH_TOKEN": "other"}
    settings = read(tmp_path, SURFACE, environ)
    assert settings.core.url == "https://cloud.example.org"
    assert settings.core.refresh_token == "other"
    assert settings.provider == read(tmp_path, SURFACE).provider


def test_an_environment_variable_reaches_into_lists(tmp_path: Path) -> None:
    environ = {"UCLOUD_RAY__PRODUCTS__0__MEMORYINGIGS": "4", "UCLOUD_RAY__NODES": "[]"}
    settings = read(tmp_path, SURFACE, environ)
    assert settings.products[0].memory_in_gigs == 4.0
    assert settings.nodes == ()


def test_an_unknown_environment_variable_is_refused_by_its_name(tmp_path: Path) -> None:
    message = refused(tmp_path, "", {"UCLOUD_RAY__CORE__URI": "http://x"})
    assert message == "$UCLOUD_RAY__CORE__URI: unknown key 'uri' in 'core'; did you mean 'url'?"


def test_other_environment_variables_are_left_alone(tmp_path: Path) -> None:
    assert read(tmp_path, "", {"UCLOUD_RAY_HOST": "x", "UCLOUD_RAY_CONFIG": "y", "HOME": "/"}) == Settings()


def test_text_keeps_its_leading_zeros(tmp_path: Path) -> None:
    text = "drives: [{id: 0071, title: T, path: d, owner: {type: user, username: u}}]"
    assert read(tmp_path, text).drives[0].id == "0071"


def test_relative_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    assert read(tmp_path, "dataDir: state").data_dir == tmp_path / "state"


def test_secrets_come_from_files_and_keys_lose_their_armour(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc\n")
    (tmp_path / "key.pem").write_text("-----BEGIN PUBLIC KEY-----\nQUJD\nREVG\n-----END PUBLIC KEY-----\n")
    core = read(tmp_path, "core: {refreshTokenFile: token, publicKeyFile: key.pem}").core
    assert (core.refresh_token, core.public_key) == ("abc", "QUJDREVG")


def test_a_secret_given_twice_is_refused_without_showing_it(tmp_path: Path) -> None:
    message = refused(tmp_path, "core: {refreshToken: hunter2, refreshTokenFile: token}")
    assert "both given" in message
    assert "hunter2" not in message


def test_a_file_overlays_the_embedded_defaults(tmp_path: Path) -> None:
    base = config.embedded_settings(tmp_path, "http://127.0.0.1:1", "127.0.0.1:2", "local")
    settings = read(tmp_path, "policy: {replicaEndPolicy: all}", base=base)
    assert settings.products == base.products
    assert settings.policy.replica_end_policy == "all"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("network: {range: 10.83.0.0}", "nodePrefix"),
        ("network: {range: 10.83.0.1/16}", "range"),
        ("network: {range: 'fd00::/8'}", "range"),
        ("network: {denied: [example.com]}", "denied"),
        ("network: {outbound: ['0.0.0.0/33']}", "outbound"),
        ("network: {nodePrefix: 31}", "nodePrefix"),
        ("network: {range: 10.83.0.0/24, nodePrefix: 23}", "nodePrefix"),
        ("ray: {listen: 10.0.0.1}", "ray.listen"),
    ],
)
def test_a_network_that_cannot_be_is_refused_by_its_key(tmp_path: Path, text: str, key: str) -> None:
    assert key in refused(tmp_path, text)


def test_two_installations_on_one_machine_have_networks_of_their_own(tmp_path: Path) -> None:
    ranges = {
        config.embedded_settings(tmp_path / name, "http://127.0.0.1:1", "127.0.0.1:2", "local").network.range
        for name in ("one", "two")
    }
    assert len(ranges) == 2
    assert all(read(tmp_path, f"network: {{range: {text}}}").network.range == text for text in ranges)


def test_the_embedded_defaults_can_place_the_mission_documents_machine(tmp_path: Path) -> None:
    settings = config.embedded_settings(tmp_path, "http://127.0.0.1:1", "127.0.0.1:2", "local")
    product, sold = settings.products[0], settings.nodes[0].capacity["example-compute"]
    assert (product.name, product.cpu, product.memory_in_gigs) == ("example-compute", 10, 20)
    assert sold.cpu >= product.cpu
    assert sold.memory_in_gigs >= product.memory_in_gigs


def test_written_settings_read_back_the_same(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("abc")
    settings = read(tmp_path, SURFACE.replace("refreshToken: secret", "refreshTokenFile: token"))
    text = config.dump(settings)
    assert "abc" not in text
    assert read(tmp_path, text) == settings


def test_a_named_file_wins_over_the_environment_and_the_environment_over_the_folder(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml", "ucloud-ray.yaml"):
        (tmp_path / name).touch()
    environ = {"UCLOUD_RAY_CONFIG": "b.yaml"}
    assert config.find_file(Path("a.yaml"), environ, tmp_path) == tmp_path / "a.yaml"
    assert config.find_file(None, environ, tmp_path) == tmp_path / "b.yaml"
    assert config.find_file(None, {}, tmp_path) == tmp_path / "ucloud-ray.yaml"


def test_without_any_file_the_defaults_are_in_force(tmp_path: Path) -> None:
    assert config.find_file(None, {}, tmp_path) is None
    assert config.load(None, {}, tmp_path) == Settings()


def test_a_named_file_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(config.ConfigError, match=r"a\.yaml: no such file; correct \$UCLOUD_RAY_CONFIG"):
        config.find_file(None, {"UCLOUD_RAY_CONFIG": "a.yaml"}, tmp_path)


@pytest.mark.parametrize(
    ("registry", "told"),
    [
        ("{host: https://registry.example.com/v2}", "'registry.example.com', not 'https://registry.example.com/v2'"),
        ("{host: h, username: me}", "registry 'h': the username needs 'password' or 'passwordFile'"),
        ("{host: h, password: s3cret}", "registry 'h': a password needs a 'username'"),
        ("{host: h, username: me, password: s3cret, passwordFile: p}", "'password' and 'passwordFile' are both given"),
        ("{host: h}, {host: H}", "the registry 'H' stands in 'registries' twice"),
        ("{username: me}", "an entry of 'registries' needs 'host'"),
    ],
)
def test_a_registry_that_cannot_be_used_is_refused_without_its_password(
    tmp_path: Path, registry: str, told: str
) -> None:
    """ENV-55."""
    message = refused(tmp_path, f"registries: [{registry}]")
    assert told in message
    assert "s3cret" not in message


def test_a_password_file_of_a_registry_is_relative_to_the_configuration(tmp_path: Path) -> None:
    settings = read(tmp_path, "registries: [{host: 'h:5000', username: me, passwordFile: secrets/h}]")
    assert settings.registries[0].password_file == tmp_path / "secrets/h"


def test_what_the_orchestrator_decides_is_configurable_within_reason(tmp_path: Path) -> None:
    options = read(tmp_path, "orchestrator: {initialGrant: 0, restartPauseSeconds: 0.5}").orchestrator
    assert (options.initial_grant, options.restart_pause_seconds, options.restart_pause_max_seconds) == (0, 0.5, 300)
    assert "initialGrant" in refused(tmp_path, "orchestrator: {initialGrant: -1}")
    assert "restartPauseSeconds" in refused(tmp_path, "orchestrator: {restartPauseSeconds: 301}")
