"""What boots on an instance: its user data decides, and what goes wrong shows on the console."""

from __future__ import annotations

import base64
import gzip
from typing import TYPE_CHECKING

import pytest

from providers.sandbox.world.cloud_init import BootError, agent_config, merge, written_files
from providers.sandbox.world.ec2.lifecycle import crash, terminate
from providers.sandbox.world.ec2.state import Mishap
from support.bare_world import BareWorld, client_config, cloud_config, launch, launch_server

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.agent import AgentSpec

TABLE = "- path: /etc/nomad-reconciler/cpu_total_compute\n  content: |\n    c6i.large\t7\n    m6i.large\t5800\n"


def booted(world: BareWorld, user_data: str, **changes: object) -> AgentSpec | None:
    server = launch_server(world, expect=1)
    made = launch(world, "client", user_data=user_data, **changes)
    world.wait(120)
    assert world.servers.up(server.private_ip) is not None
    return world.clients.up.get(made.id)


def test_a_client_registers_as_its_configuration_and_its_machine_say() -> None:
    config = client_config(
        node_pool="gpu",
        node_class="gpu",
        meta={"owner": "vision"},
        reserved={"cpu": 100, "memory": 256, "reserved_ports": "22"},
    )
    tags = {"nomad-reconciler:claim": "gpu-3", "nomad-reconciler:cluster": "demo"}
    spec = booted(
        BareWorld(), cloud_config(config), instance_type="g4dn.xlarge", subnet="subnet-c1", market="spot", tags=tags
    )

    assert spec is not None
    assert (spec.node_pool, spec.node_class, spec.datacenter) == ("gpu", "gpu", "dc1")
    assert spec.meta == {"owner": "vision", "unique.nomad_reconciler_claim": "gpu-3"}
    assert (spec.reserved.cpu_mhz, spec.reserved.memory_mib, spec.reserved.ports) == (100, 256, "22")
    assert [(d.vendor, d.type, d.instances) for d in spec.devices] == [("nvidia", "gpu", 1)]
    assert spec.attributes["platform.aws.instance-type"] == "g4dn.xlarge"
    assert spec.attributes["platform.aws.placement.availability-zone"] == "us-east-1c"
    assert spec.attributes["platform.aws.instance-life-cycle"] == "spot"
    assert spec.attributes["unique.platform.aws.instance-id"] == spec.name
    assert spec.attributes["cpu.arch"] == "amd64"
    assert 0.9 * 16384 < spec.memory_mib < 16384


def test_the_cpu_total_comes_from_the_table_in_the_user_data() -> None:
    spec = booted(BareWorld(), cloud_config(client_config(), more=TABLE))

    assert spec is not None
    assert (spec.cpu_mhz, spec.attributes["cpu.totalcompute"]) == (5800, "5800")


def test_an_arm_machine_says_so() -> None:
    spec = booted(BareWorld(), cloud_config(client_config()), instance_type="m7g.large", image="ami-arm")

    assert spec is not None
    assert spec.attributes["cpu.arch"] == "arm64"


def test_the_claim_is_unknown_to_a_machine_that_may_not_read_its_tags() -> None:
    tags = {"nomad-reconciler:claim": "general-3"}
    spec = booted(BareWorld(), cloud_config(client_config()), tags=tags, tags_in_metadata=False)

    assert spec is not None
    assert spec.meta == {}


@pytest.mark.parametrize(
    ("user_data", "shown"),
    [
        ("#!/bin/sh\necho hello", "must start with #cloud-config"),
        ("#cloud-config\nwrite_files: [", "failed loading yaml"),
        ("#cloud-config\n- a", "no mapping"),
        ("#cloud-config\nwrite_files: [{content: x}]", "without a path"),
        ("#cloud-config\n{}", "no configuration in /etc/nomad.d"),
        (cloud_config({"datacenter": "dc1"}), "at least client or server mode"),
        (cloud_config({"client": {"enabled": False}}), "at least client or server mode"),
        (cloud_config(client_config()).replace("{", "{{", 1), "error loading configuration"),
    ],
)
def test_broken_user_data_leaves_a_machine_without_an_agent_and_says_why_on_the_console(
    user_data: str, shown: str
) -> None:
    world = BareWorld()

    assert booted(world, user_data, tags={"which": "client"}) is None
    machine = next(i for i in world.state.ec2.instances.values() if i.tags.get("which") == "client")
    assert machine.state == "running"
    assert shown in "\n".join(machine.console)


def test_a_client_without_servers_looks_for_them_every_thirty_seconds() -> None:
    world = BareWorld()
    made = launch(world, "client", user_data=cloud_config(client_config()))
    world.wait(200)
    assert world.clients.up == {}
    assert made.console[-1] == "nomad: no servers found"
    launch_server(world, expect=1)
    world.wait(120)

    assert list(world.clients.up) == [made.id]


@pytest.mark.parametrize(
    ("mishap", "after_two_minutes", "after_ten_minutes"),
    [
        (Mishap(kind="never-boots"), False, False),
        (Mishap(kind="boots-late", figure=300.0), False, True),
    ],
)
def test_a_machine_may_boot_late_or_never(mishap: Mishap, *, after_two_minutes: bool, after_ten_minutes: bool) -> None:
    world = BareWorld()
    launch_server(world, expect=1)
    world.state.ec2.mishaps = [mishap]
    made = launch(world, "client", user_data=cloud_config(client_config()))
    world.wait(120)
    early = made.id in world.clients.up
    world.wait(480)

    assert (early, made.id in world.clients.up) == (after_two_minutes, after_ten_minutes)


def test_a_machine_may_have_less_memory_than_promised() -> None:
    world = BareWorld()
    world.state.ec2.mishaps = [Mishap(kind="less-memory", figure=0.5, types="m6i.*")]
    spec = booted(world, cloud_config(client_config()))

    assert spec is not None
    assert spec.memory_mib < 4200


def test_an_agent_ends_with_its_machine() -> None:
    world = BareWorld()
    spec = booted(world, cloud_config(client_config()))
    assert spec is not None
    terminate(world.cloud, [spec.name])

    assert spec.name in world.clients.killed
    world.wait(60)
    assert spec.name not in world.state.machines.machines


def test_an_agent_ends_with_a_machine_that_hangs() -> None:
    world = BareWorld()
    spec = booted(world, cloud_config(client_config()))
    assert spec is not None
    crash(world.cloud, spec.name)

    assert spec.name in world.clients.killed
    assert world.state.ec2.instances[spec.name].state == "running"
    terminate(world.cloud, [spec.name])
    world.wait(60)
    assert world.state.ec2.instances[spec.name].state == "terminated"


def test_a_machine_terminated_while_it_boots_never_registers() -> None:
    world = BareWorld(lag=0)
    launch_server(world, expect=1)
    made = launch(world, "client", user_data=cloud_config(client_config()))
    world.wait(20)
    terminate(world.cloud, [made.id])
    world.wait(200)

    assert world.clients.up == {}


def test_files_are_merged_in_the_order_of_their_names() -> None:
    files = {
        "/etc/nomad.d/20-b.json": '{"datacenter": "dc2", "client": [{"enabled": true, "meta": {"b": "2"}}]}',
        "/etc/nomad.d/10-a.json": '{"datacenter": "dc1", "region": "mars", "client": {"meta": {"a": "1", "b": "1"}}}',
        "/etc/nomad.d/notes.txt": "no configuration",
    }
    config = agent_config(files, {"name": "i-1"})

    assert (config.name, config.region, config.datacenter) == ("i-1", "mars", "dc2")
    assert config.client == {"enabled": True, "meta": {"a": "1", "b": "2"}}


def test_lists_are_joined_and_values_replaced() -> None:
    merged = merge({"a": [1], "b": {"c": 1, "d": 2}, "e": 1}, {"a": [2], "b": {"c": 3}, "e": {"f": 1}})

    assert merged == {"a": [1, 2], "b": {"c": 3, "d": 2}, "e": {"f": 1}}


def test_packed_files_are_unpacked() -> None:
    packed = base64.b64encode(gzip.compress(b"{}")).decode()
    plain = base64.b64encode(b"hello").decode()
    files = written_files(
        f"#cloud-config\nwrite_files:\n- {{path: /a, encoding: gz+b64, content: {packed}}}\n"
        f"- {{path: /b, encoding: b64, content: {plain}}}\n"
    )

    assert files == {"/a": "{}", "/b": "hello"}


def test_a_file_that_cannot_be_unpacked_stops_the_boot() -> None:
    with pytest.raises(BootError, match="/a"):
        written_files("#cloud-config\nwrite_files:\n- {path: /a, encoding: gz+b64, content: bm8=}\n")
