"""What a machine is: its launch template, its user data, its tags and the revision that tells one build from another.

Pure and the same bytes for all machines of a revision: what only one machine knows (its id, its claim, its type) it
reads at boot from the instance metadata (IMDSv2), so nothing here is a secret and nothing here is an instance's own.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from importlib import resources
from typing import Any

from schemas.catalogue import InstanceType
from schemas.document import ClusterGroup, Pool, effective_machine
from schemas.names import PREFIX, formed_marker, join_value
from schemas.world import (
    TAG_CLUSTER,
    TAG_JOIN,
    TAG_POOL,
    TAG_REVISION,
    TAG_ROLE,
    Role,
    Template,
)

REVISION = "v1"  # of the hashing rule: a new rule tags machines anew instead of replacing the fleet

AGENT_FILE = "/etc/nomad.d/10-agent.json"
TABLE_FILE = "/etc/nomad-reconciler/cpu_total_compute"
BOOT_FILE = "/usr/local/sbin/nomad-reconciler-boot"
READABLE = 4096  # characters of a file that are written as they are


def pool_template(group: ClusterGroup, pool: Pool, arch: str, types: Iterable[InstanceType]) -> Template:
    """Give the launch template of a pool's machines of one architecture; its name ends in the hash of its content.

    ``types`` are those that the pool may use: the machine looks its MHz up in a table of them.
    """
    agent = client_config(group, pool)
    image = _image(effective_machine(group, pool).images, arch, pool.name)
    table = {t.name: t.cpu_mhz for t in types if t.arch == arch}
    template = Template(
        name="",
        image_id=image,
        user_data=user_data(agent, table),
        security_groups=group.spec.aws.security_groups,
        instance_profile=group.spec.aws.instance_profile,
        tags={
            **_tags(group, Role.CLIENT),
            TAG_POOL: pool.name,
            TAG_REVISION: revision(group, image, agent),
            "Name": f"{group.metadata.name}-{pool.name}",
        },
    )
    return _named(template, f"{PREFIX}-{group.metadata.name}-{pool.name}-{arch.replace('_', '-')}")


def server_template(group: ClusterGroup, arch: str) -> Template:
    """Give what every server of the group is launched with; slot, type and subnet are added for each."""
    servers = group.spec.servers
    if servers is None:
        raise ValueError(f"group {group.metadata.name} manages no servers")
    agent = server_config(group)
    image = _image(effective_machine(group, servers).images, arch, "servers")
    return Template(
        name="",
        image_id=image,
        user_data=user_data(agent, {}),
        security_groups=group.spec.aws.security_groups,
        instance_profile=group.spec.aws.instance_profile,
        tags={
            **_tags(group, Role.SERVER),
            TAG_JOIN: join_value(group.metadata.name),
            TAG_REVISION: revision(group, image, agent),
            "Name": f"{group.metadata.name}-server",
        },
    )


def named_server_template(group: ClusterGroup, template: Template, instance_type: str, subnet_id: str) -> Template:
    """Give the whole request for one more server; its name ends in the hash of its content."""
    whole = replace(template, instance_type=instance_type, subnet_id=subnet_id)
    return _named(whole, f"{PREFIX}-{group.metadata.name}-servers")


def marker_template(group: ClusterGroup) -> Template:
    """Give the marker that the first quorum was formed: nothing is ever launched from it."""
    images = group.spec.machine.images
    return Template(
        name=formed_marker(group.metadata.name),
        image_id=next(iter(images.values()), ""),
        user_data="",
        security_groups=group.spec.aws.security_groups,
        instance_profile=group.spec.aws.instance_profile,
        tags=_tags(group, Role.SERVER),
    )


# --- agents ----------------------------------------------------------------------------------------------------------


def client_config(group: ClusterGroup, pool: Pool) -> dict[str, Any]:
    """Give the configuration of a pool's Nomad agents, as Nomad's JSON (source: facts nomad §7.3)."""
    join = list(pool.join) if pool.join else _join(group)
    config = {
        **_agent(group),
        "datacenter": pool.datacenter,
        "client": {
            "enabled": True,
            "node_pool": pool.node_pool,
            "node_class": pool.node_class,
            "meta": dict(pool.meta),
            "server_join": {"retry_join": join, "retry_interval": "15s"},
        },
    }
    return merged(config, effective_machine(group, pool).agent_config)


def server_config(group: ClusterGroup) -> dict[str, Any]:
    """Give the configuration of the servers' Nomad agents; ``leave_on_terminate`` makes a shutdown leave raft."""
    servers = group.spec.servers
    if servers is None:
        raise ValueError(f"group {group.metadata.name} manages no servers")
    config = {
        **_agent(group),
        "leave_on_terminate": True,
        "server": {
            "enabled": True,
            "bootstrap_expect": servers.count,
            "server_join": {"retry_join": _join(group), "retry_interval": "15s"},
        },
    }
    return merged(config, effective_machine(group, servers).agent_config)


def _agent(group: ClusterGroup) -> dict[str, Any]:
    return {"data_dir": "/opt/nomad/data", "bind_addr": "0.0.0.0", "region": group.spec.nomad.region}  # noqa: S104


def _join(group: ClusterGroup) -> list[str]:
    """Say where the servers are: by the one tag that go-discover takes, or at the addresses of the document."""
    if group.spec.servers is not None:
        where = f"tag_key={TAG_JOIN} tag_value={join_value(group.metadata.name)}"
        return [f"provider=aws region={group.spec.aws.region} {where} addr_type=private_v4"]
    address = group.spec.nomad.address or ""
    host = address.partition("://")[2].partition("/")[0].rpartition(":")[0] or address
    return [f"{host}:4647"]


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Merge a document's agent configuration into ours, key by key; theirs wins, and lists are replaced."""
    out = dict(base)
    for key, value in over.items():
        ours = out.get(key)
        out[key] = merged(ours, value) if isinstance(ours, Mapping) and isinstance(value, Mapping) else value
    return out


# --- user data -------------------------------------------------------------------------------------------------------


def user_data(agent: Mapping[str, Any], table: Mapping[str, int]) -> str:
    """Write the cloud-config of a machine, at most 16 KiB: its files, and the two units that start the agent."""
    files = [
        (AGENT_FILE, "0640", json.dumps(agent, indent=2, sort_keys=True)),
        (TABLE_FILE, "0644", "\n".join(f"{name}\t{mhz}" for name, mhz in sorted(table.items()))),
        (BOOT_FILE, "0755", _file("boot.sh")),
        ("/etc/systemd/system/nomad.service", "0644", _file("nomad.service")),
        ("/etc/systemd/system/nomad-reconciler-boot.service", "0644", _file("boot.service")),
    ]
    lines = ["#cloud-config", "write_files:"]
    for path, mode, content in files:
        lines += [f"  - path: {path}", f'    permissions: "{mode}"', "    owner: root:root", *_content(content)]
    lines += ["runcmd:", "  - [systemctl, daemon-reload]"]
    lines += ["  - [systemctl, enable, --now, nomad-reconciler-boot.service, nomad.service]", ""]
    return "\n".join(lines)


def _content(text: str) -> list[str]:
    """Write a file's content as people can read it; a long table is packed, to stay under EC2's 16 KiB."""
    if len(text) > READABLE:
        packed = base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()
        return ["    encoding: gz+b64", f"    content: {packed}"]
    return ["    content: |", *(f"      {line}" if line else "" for line in text.rstrip("\n").split("\n"))]


def _file(name: str) -> str:
    return resources.files("reconciler").joinpath("machine_files", name).read_text("utf-8")


# --- names and hashes ------------------------------------------------------------------------------------------------


def revision(group: ClusterGroup, image: str, agent: Mapping[str, Any]) -> str:
    """Hash everything whose change needs a new machine; ``bootstrap_expect`` and tables do not (semantics §9)."""
    server = {k: v for k, v in agent.get("server", {}).items() if k != "bootstrap_expect"}
    content = {
        "agent": {**agent, "server": server},
        "image": image,
        "version": group.spec.nomad.version,
        "security_groups": sorted(group.spec.aws.security_groups),
        "instance_profile": group.spec.aws.instance_profile,
    }
    return f"{REVISION}-{_digest(content)}"


def _tags(group: ClusterGroup, role: Role) -> dict[str, str]:
    return {**group.spec.aws.tags, TAG_CLUSTER: group.metadata.name, TAG_ROLE: str(role)}


def _named(template: Template, stem: str) -> Template:
    return replace(template, name=f"{stem}-{_digest(asdict(template))}")


def _image(images: Mapping[str, str], arch: str, where: str) -> str:
    image = images.get(arch)
    if image is None:
        raise ValueError(f"{where} has no image for {arch}; the document was not checked")
    return image


def _digest(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
