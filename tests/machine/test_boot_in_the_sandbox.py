"""The sandbox's machines boot what is rendered for real ones."""

from __future__ import annotations

from typing import Any

import pytest

from providers.sandbox.world.cloud_init import agent_config, cpu_total_compute, written_files
from reconciler.machine import pool_template, server_template
from support.builders import a_catalogue, a_group, a_pool

TLS = {"ca": "ssm:/tls/ca", "cert": "ssm:/tls/cert", "key": "ssm:/tls/key"}
WAYS: dict[str, Any] = {
    "baked": "baked",
    "apt": "apt",
    "url": {"url": "https://example.com/nomad_{arch}.zip", "sha256": "a" * 64},
}


@pytest.mark.parametrize("way", WAYS)
def test_a_simulated_machine_finds_its_agent_in_every_kind_of_user_data(way: str) -> None:
    pool = a_pool(nodeClass="fast", drivers=["docker"], instances={"types": ["*"]})
    group = a_group(
        pools=[pool],
        machine={"images": {"x86_64": "ami-0123"}, "install": WAYS[way]},
        nomad={"gossipKey": "ssm:/gossip", "tls": TLS},
    )
    catalogue = a_catalogue()
    client_files = written_files(pool_template(group, group.spec.pools[0], "x86_64", catalogue.values()).user_data)
    client = agent_config(client_files, {"name": "i-1"})
    server = agent_config(written_files(server_template(group, "x86_64").user_data), {"name": "i-2"})

    assert client.client is not None
    assert client.client["node_class"] == "fast"
    assert cpu_total_compute(client_files, "m6i.large") == catalogue["m6i.large"].cpu_mhz
    assert server.server is not None
    assert server.server["bootstrap_expect"] == 3
    assert server.leave_on_terminate
