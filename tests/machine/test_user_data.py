"""What a machine gets at boot, as it is rendered."""

from __future__ import annotations

import json
import random
import re
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.machine import client_config, merged, pool_template, server_config, server_template, too_long
from reconciler.user_data import (
    AGENT_FILE,
    BOOT_FILE,
    FETCH_FILE,
    FETCH_SCRIPT,
    GOSSIP_FILE,
    INSTALL_SCRIPT,
    LIMIT,
    MACHINE_FILE,
    TABLE_FILE,
    Boot,
    user_data,
)
from schemas.document import ClusterGroup
from support.booted import files_of
from support.builders import a_catalogue, a_group, a_pool

CATALOGUE = a_catalogue()
REVISION = "nomad-reconciler:revision"
TLS = {"ca": "ssm:/tls/ca", "cert": "ssm:/tls/cert", "key": "secretsmanager:tls-key"}
ZIP = {"url": "https://releases.example.com/nomad_2.0.5_linux_{arch}.zip", "sha256": "a" * 64}
WAYS: dict[str, Any] = {"baked": "baked", "apt": "apt", "url": ZIP}


def a_machine(install: object = "baked", **more: object) -> dict[str, Any]:
    return {"images": {"x86_64": "ami-0123", "arm64": "ami-0456"}, "install": install, **more}


def client_files(group: ClusterGroup, arch: str = "x86_64") -> dict[str, str]:
    return files_of(pool_template(group, group.spec.pools[0], arch, ()).user_data)


def server_files(group: ClusterGroup) -> dict[str, str]:
    return files_of(server_template(group, "x86_64").user_data)


def told(files: dict[str, str]) -> dict[str, str]:
    """What the scripts are told, as a shell reads it."""
    return dict(line.split("=", 1) for line in shlex.split(files[MACHINE_FILE]))


def steps(files: dict[str, str]) -> list[str]:
    unit = files["/etc/systemd/system/nomad-reconciler-boot.service"]
    return [line.removeprefix("ExecStart=") for line in unit.splitlines() if line.startswith("ExecStart=")]


# --- the agent


def test_the_agent_of_a_client_says_what_the_pool_promises() -> None:
    pool = a_pool(name="gpu", nodePool="gpu", nodeClass="fast", datacenter="dc7", meta={"owner": "ml"})
    client = json.loads(client_files(a_group(pools=[pool]))[AGENT_FILE])

    assert client["datacenter"] == "dc7"
    assert client["client"]["node_pool"] == "gpu"
    assert client["client"]["node_class"] == "fast"
    assert client["client"]["meta"] == {"owner": "ml"}


def test_servers_and_clients_find_the_servers_by_the_same_tag() -> None:
    group = a_group(pools=[a_pool()])
    server, client = (json.loads(files[AGENT_FILE]) for files in (server_files(group), client_files(group)))

    assert server["server"]["server_join"]["retry_join"] == client["client"]["server_join"]["retry_join"]
    key, value = "nomad-reconciler:join", f"{group.metadata.name}-server"
    assert f"tag_key={key} tag_value={value}" in server["server"]["server_join"]["retry_join"][0]
    assert server_template(group, "x86_64").tags[key] == value


def test_a_server_leaves_raft_when_its_machine_shuts_down() -> None:
    files = server_files(a_group())

    assert json.loads(files[AGENT_FILE])["leave_on_terminate"] is True
    assert "KillSignal=SIGINT" not in files["/etc/systemd/system/nomad.service"], "SIGINT obeys leave_on_interrupt"


def test_the_documents_agent_configuration_is_merged_last() -> None:
    pool = a_pool(machine={"agentConfig": {"client": {"node_class": "theirs", "reserved": {"memory": 512}}}})
    group = a_group(pools=[pool])
    client = client_config(group, group.spec.pools[0])["client"]

    assert client["node_class"] == "theirs"
    assert client["reserved"] == {"memory": 512}
    assert client["enabled"] is True


@pytest.mark.parametrize(
    ("base", "over", "both"),
    [
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": {"b": 1}}, {"a": {"c": 2}}, {"a": {"b": 1, "c": 2}}),
        ({"a": [1]}, {"a": [2]}, {"a": [2]}),
        ({"a": {"b": 1}}, {"a": 3}, {"a": 3}),
    ],
)
def test_merging_goes_key_by_key_and_replaces_lists(
    base: dict[str, object], over: dict[str, object], both: object
) -> None:
    assert merged(base, over) == both


# --- how Nomad gets there


@pytest.mark.parametrize(
    ("way", "scripts"),
    [("baked", [BOOT_FILE]), ("apt", [INSTALL_SCRIPT, BOOT_FILE]), ("url", [INSTALL_SCRIPT, BOOT_FILE])],
)
def test_only_a_machine_whose_image_has_no_nomad_installs_it(way: str, scripts: list[str]) -> None:
    group = a_group(pools=[a_pool()], machine=a_machine(WAYS[way]))

    for files in (client_files(group), server_files(group)):
        assert steps(files) == scripts
        assert told(files)["INSTALL"] == way
        assert told(files)["NOMAD_VERSION"] == group.spec.nomad.version
        assert (INSTALL_SCRIPT in files) == (way != "baked")


@pytest.mark.parametrize(("arch", "named"), [("x86_64", "amd64"), ("arm64", "arm64")])
def test_a_download_is_that_of_the_machine_s_architecture(arch: str, named: str) -> None:
    files = client_files(a_group(pools=[a_pool()], machine=a_machine(ZIP)), arch)

    assert told(files)["NOMAD_URL"] == f"https://releases.example.com/nomad_2.0.5_linux_{named}.zip"
    assert told(files)["NOMAD_SHA256"] == "a" * 64


@pytest.mark.parametrize(
    ("way", "drivers", "docker"),
    [
        ("apt", ["docker"], "yes"),
        ("url", ["exec", "docker"], "yes"),
        ("apt", ["exec"], "no"),
        ("apt", [], "no"),
        ("baked", ["docker"], "no"),  # the image has it
    ],
)
def test_docker_is_installed_when_the_pool_s_drivers_ask_for_it(way: str, drivers: list[str], docker: str) -> None:
    files = client_files(a_group(pools=[a_pool(drivers=drivers)], machine=a_machine(WAYS[way])))

    assert told(files)["DOCKER"] == docker


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1))
def test_what_the_scripts_are_told_is_read_by_a_shell_as_it_was_written(rest: str) -> None:
    url = f"https://example.com/{rest}".replace("{arch}", "")
    group = a_group(pools=[a_pool()], machine=a_machine({"url": url, "sha256": "a" * 64}))

    assert told(client_files(group))["NOMAD_URL"] == url


# --- what it must not be told


def test_secrets_are_fetched_by_reference_by_those_who_need_them() -> None:
    group = a_group(pools=[a_pool()], nomad={"gossipKey": "ssm:/gossip", "tls": TLS})
    server, client = server_files(group), client_files(group)

    assert [(f["from"], f["to"]) for f in json.loads(server[FETCH_FILE])["files"]] == [
        ("ssm:/gossip", GOSSIP_FILE),
        ("ssm:/tls/ca", "/etc/nomad.d/tls/ca.pem"),
        ("ssm:/tls/cert", "/etc/nomad.d/tls/cert.pem"),
        ("secretsmanager:tls-key", "/etc/nomad.d/tls/key.pem"),
    ]
    assert [f["from"] for f in json.loads(client[FETCH_FILE])["files"]] == list(TLS.values())
    assert steps(server) == steps(client) == [FETCH_SCRIPT, BOOT_FILE]


def test_an_agent_with_certificates_speaks_tls_alone_and_checks_its_servers_names() -> None:
    group = a_group(pools=[a_pool()], nomad={"tls": TLS})

    for config in (server_config(group), client_config(group, group.spec.pools[0])):
        tls = config["tls"]
        assert (tls["http"], tls["rpc"], tls["verify_server_hostname"]) == (True, True, True)
        assert (tls["ca_file"], tls["key_file"]) == ("/etc/nomad.d/tls/ca.pem", "/etc/nomad.d/tls/key.pem")


def test_a_configuration_that_lies_elsewhere_is_fetched_and_held_to_its_checksum() -> None:
    source = {"source": "s3://bucket/agent.json", "sha256": "b" * 64}
    group = a_group(pools=[a_pool(machine={"agentConfig": source})])
    (wanted,) = json.loads(client_files(group)[FETCH_FILE])["files"]

    assert wanted == {"from": "s3://bucket/agent.json", "to": "/etc/nomad.d/40-fetched.*", "sha256": "b" * 64}
    assert FETCH_FILE not in server_files(group)


# --- bytes


def test_all_machines_of_a_revision_get_the_same_bytes() -> None:
    group = a_group(pools=[a_pool(drivers=["docker"])], machine=a_machine("apt"), nomad={"tls": TLS})
    types = [t for t in CATALOGUE.values() if t.name.startswith("m6i")]
    one, other = (pool_template(group, group.spec.pools[0], "x86_64", order) for order in (types, types[::-1]))

    assert one == other


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("arch", ["x86_64", "arm64"])
def test_user_data_stays_under_the_limit_with_all_that_can_be_asked_for(way: str, arch: str) -> None:
    pool = a_pool(
        instances={"types": ["*"], "require": {"arch": ["x86_64", "arm64"]}},
        drivers=["docker", "exec"],
        meta={f"key-{n}": "value" for n in range(20)},
    )
    group = a_group(pools=[pool], machine=a_machine(WAYS[way]), nomad={"gossipKey": "ssm:/gossip", "tls": TLS})
    template = pool_template(group, group.spec.pools[0], arch, CATALOGUE.values())

    assert len(template.user_data.encode()) <= LIMIT
    assert len(server_template(group, arch).user_data.encode()) <= LIMIT


def too_much(bytes_: int) -> dict[str, object]:
    """An agent configuration that packing makes no shorter."""
    return {"client": {"options": {"x": random.Random(1).randbytes(bytes_ // 2).hex()}}}  # noqa: S311 - no secret


@pytest.mark.parametrize("where", ["servers", "pool"])
def test_a_machine_of_which_too_much_is_to_be_said_is_named_with_the_figures(where: str) -> None:
    pools: list[dict[str, Any]] = [a_pool(), a_pool(name="big")]
    servers: dict[str, Any] = {"count": 3}
    if where == "pool":
        pools[1]["machine"] = {"agentConfig": too_much(40_000)}
    else:
        servers["machine"] = {"agentConfig": too_much(40_000)}

    ((at, message, hint),) = too_long(a_group(pools=pools, servers=servers), CATALOGUE)

    assert at == (("spec", "pools", 1) if where == "pool" else ("spec", "servers"))
    assert re.fullmatch(r"the user data of its machines has \d\d,\d{3} bytes even packed, EC2 takes 16,384", message)
    assert "agentConfig" in hint
    assert list(too_long(a_group(pools=[a_pool()]), CATALOGUE)) == []


def test_files_are_readable_as_long_as_there_is_room_and_packed_ones_hold_the_same() -> None:
    short = user_data(Boot(agent={"a": 1}, region="us-east-1"))
    table = {f"type-{n}": n for n in range(2000)}
    long = user_data(Boot(agent={"a": 1}, region="us-east-1", cpu_mhz=table))

    assert "gz+b64" not in short
    assert "gz+b64" in long
    assert files_of(long)[TABLE_FILE].count("\n") == len(table) - 1
    assert files_of(long)[BOOT_FILE] == files_of(short)[BOOT_FILE]


def test_the_table_gives_the_mhz_of_each_type_of_the_template_s_architecture() -> None:
    group = a_group(pools=[a_pool()])
    types = [t for t in CATALOGUE.values() if t.name in {"m6i.large", "m6g.large"}]
    table = files_of(pool_template(group, group.spec.pools[0], "x86_64", types).user_data)[TABLE_FILE]

    assert table.split("\n") == [f"m6i.large\t{CATALOGUE['m6i.large'].cpu_mhz}", ""]


# --- names and revisions


def test_the_name_of_a_template_changes_with_its_content_alone() -> None:
    def name(**pool: object) -> str:
        group = a_group(pools=[a_pool(**pool)])
        return pool_template(group, group.spec.pools[0], "x86_64", ()).name

    assert name() == name(size={"min": 0, "max": 7})
    assert name() != name(nodeClass="other")


def test_the_revision_is_not_that_of_the_size_of_the_quorum_nor_of_the_table() -> None:
    three, five = a_group(servers={"count": 3}, pools=[a_pool()]), a_group(servers={"count": 5}, pools=[a_pool()])
    assert server_template(three, "x86_64").tags[REVISION] == server_template(five, "x86_64").tags[REVISION]

    short, long = (pool_template(three, three.spec.pools[0], "x86_64", t) for t in ((), CATALOGUE.values()))
    assert short.tags[REVISION] == long.tags[REVISION]


@pytest.mark.parametrize(
    "changed",
    [
        {"nomad": {"version": "2.0.6"}},
        {"nomad": {"gossipKey": "ssm:/other"}},
        {"nomad": {"tls": TLS}},
        {"machine": a_machine("apt")},
        {"machine": a_machine(ZIP)},
        {"machine": a_machine(agentConfig={"log_level": "DEBUG"})},
        {"machine": {"images": {"x86_64": "ami-0999"}}},
    ],
    ids=str,
)
def test_what_needs_a_new_machine_is_a_new_revision(changed: dict[str, Any]) -> None:
    before = server_template(a_group(), "x86_64").tags[REVISION]

    assert server_template(a_group(**changed), "x86_64").tags[REVISION] != before
