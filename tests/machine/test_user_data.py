"""What a machine gets at boot."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from reconciler.machine import AGENT_FILE, BOOT_FILE, TABLE_FILE, client_config, merged, pool_template, server_template
from support.builders import a_catalogue, a_group, a_pool

CATALOGUE = a_catalogue()


def files_of(user_data: str) -> dict[str, str]:
    cloud_config = YAML(typ="safe", pure=True).load(user_data)
    return {file["path"]: file["content"] for file in cloud_config["write_files"]}


def test_the_agent_of_a_client_says_what_the_pool_promises() -> None:
    pool = a_pool(name="gpu", nodePool="gpu", nodeClass="fast", datacenter="dc7", meta={"owner": "ml"})
    group = a_group(pools=[pool])
    template = pool_template(group, group.spec.pools[0], "x86_64", CATALOGUE.values())

    client = json.loads(files_of(template.user_data)[AGENT_FILE])
    assert client["datacenter"] == "dc7"
    assert client["client"]["node_pool"] == "gpu"
    assert client["client"]["node_class"] == "fast"
    assert client["client"]["meta"] == {"owner": "ml"}


def test_servers_and_clients_find_the_servers_by_the_same_tag() -> None:
    group = a_group(pools=[a_pool()])
    server = json.loads(files_of(server_template(group, "x86_64").user_data)[AGENT_FILE])
    client = json.loads(files_of(pool_template(group, group.spec.pools[0], "x86_64", ()).user_data)[AGENT_FILE])

    assert server["server"]["server_join"]["retry_join"] == client["client"]["server_join"]["retry_join"]
    key, value = "nomad-reconciler:join", f"{group.metadata.name}-server"
    assert f"tag_key={key} tag_value={value}" in server["server"]["server_join"]["retry_join"][0]
    assert server_template(group, "x86_64").tags[key] == value


def test_a_server_leaves_raft_when_its_machine_shuts_down() -> None:
    files = files_of(server_template(a_group(), "x86_64").user_data)

    assert json.loads(files[AGENT_FILE])["leave_on_terminate"] is True
    assert "KillSignal=SIGINT" not in files["/etc/systemd/system/nomad.service"], "SIGINT obeys leave_on_interrupt"


def test_user_data_stays_under_the_limit_with_every_type_there_is() -> None:
    group = a_group(pools=[a_pool(instances={"types": ["*"]})])
    template = pool_template(group, group.spec.pools[0], "x86_64", CATALOGUE.values())

    assert len(template.user_data.encode()) <= 16384


def test_the_boot_script_finds_the_mhz_of_each_type_in_the_table() -> None:
    group = a_group(pools=[a_pool()])
    types = [t for t in CATALOGUE.values() if t.name in {"m6i.large", "m6g.large"}]
    table = files_of(pool_template(group, group.spec.pools[0], "x86_64", types).user_data)[TABLE_FILE]

    assert table.split("\n") == [f"m6i.large\t{CATALOGUE['m6i.large'].cpu_mhz}", ""], "only the template's architecture"


def test_the_boot_script_is_clean_shell(tmp_path: Path) -> None:
    script = tmp_path / "boot.sh"
    script.write_text(files_of(server_template(a_group(), "x86_64").user_data)[BOOT_FILE])

    shellcheck = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run([shellcheck, script], check=False, capture_output=True, text=True)  # noqa: S603
    assert done.returncode == 0, done.stdout


def test_the_name_of_a_template_changes_with_its_content_alone() -> None:
    def name(**pool: object) -> str:
        group = a_group(pools=[a_pool(**pool)])
        return pool_template(group, group.spec.pools[0], "x86_64", ()).name

    assert name() == name(size={"min": 0, "max": 7})
    assert name() != name(nodeClass="other")


def test_the_revision_is_not_that_of_the_size_of_the_quorum() -> None:
    three, five = a_group(servers={"count": 3}), a_group(servers={"count": 5})

    revision = "nomad-reconciler:revision"
    assert server_template(three, "x86_64").tags[revision] == server_template(five, "x86_64").tags[revision]


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
