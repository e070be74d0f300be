"""What a machine is: its launch template, its agent, its tags and the revision that tells one build from another.

Pure and the same bytes for all machines of a revision: what only one machine knows (its id, its claim, its type) it
reads at boot from the instance metadata (IMDSv2), and secrets it fetches by reference, so nothing here is either.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from reconciler.user_data import FETCHED_FILE, GOSSIP_FILE, LIMIT, TLS_DIR, Boot, Fetch, Install, user_data
from schemas.catalogue import Catalogue, InstanceType
from schemas.document import ClusterGroup, Pool, effective_machine
from schemas.document.effective import EffectiveMachine, with_machines
from schemas.document.machine import Download
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

TLS_FILES: Final = {"ca": f"{TLS_DIR}/ca.pem", "cert": f"{TLS_DIR}/cert.pem", "key": f"{TLS_DIR}/key.pem"}
DOCKER: Final = "docker"


def pool_template(group: ClusterGroup, pool: Pool, arch: str, types: Iterable[InstanceType]) -> Template:
    """Give the launch template of a pool's machines of one architecture; its name ends in the hash of its content.

    ``types`` are those that the pool may use: the machine looks its MHz up in a table of them.
    """
    machine = effective_machine(group, pool)
    image = _image(machine.images, arch, pool.name)
    boot = Boot(
        agent=client_config(group, pool),
        region=group.spec.aws.region,
        install=_install(group, machine, arch, docker=DOCKER in pool.drivers),
        fetch=(*_agent_source(machine), *_tls(group)),
        cpu_mhz={t.name: t.cpu_mhz for t in types if t.arch == arch},
    )
    template = Template(
        name="",
        image_id=image,
        user_data=user_data(boot),
        security_groups=group.spec.aws.security_groups,
        instance_profile=group.spec.aws.instance_profile,
        tags={
            **_tags(group, Role.CLIENT),
            TAG_POOL: pool.name,
            TAG_REVISION: revision(group, image, boot),
            "Name": f"{group.metadata.name}-{pool.name}",
        },
    )
    return _named(template, f"{PREFIX}-{group.metadata.name}-{pool.name}-{arch.replace('_', '-')}")


def server_template(group: ClusterGroup, arch: str) -> Template:
    """Give what every server of the group is launched with; slot, type and subnet are added for each."""
    servers = group.spec.servers
    if servers is None:
        raise ValueError(f"group {group.metadata.name} manages no servers")
    machine = effective_machine(group, servers)
    image = _image(machine.images, arch, "servers")
    boot = Boot(
        agent=server_config(group),
        region=group.spec.aws.region,
        install=_install(group, machine, arch, docker=False),
        fetch=(*_agent_source(machine), *_gossip(group), *_tls(group)),
    )
    return Template(
        name="",
        image_id=image,
        user_data=user_data(boot),
        security_groups=group.spec.aws.security_groups,
        instance_profile=group.spec.aws.instance_profile,
        tags={
            **_tags(group, Role.SERVER),
            TAG_JOIN: join_value(group.metadata.name),
            TAG_REVISION: revision(group, image, boot),
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


def too_long(group: ClusterGroup, catalogue: Catalogue) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
    """Name what would be launched with more user data than EC2 takes: (place in the document, what is wrong, hint)."""
    places: list[tuple[tuple[str | int, ...], Iterator[Template]]] = []
    if (servers := group.spec.servers) is not None:
        known = catalogue.get(servers.instance_types[0])
        arch = known.arch if known else "x86_64"
        places.append((("spec", "servers"), iter([server_template(group, arch)])))
    for place, pool in enumerate(group.spec.pools):
        places.append((("spec", "pools", place), pool_templates(group, pool, catalogue)))
    for at, templates in places:
        for template in templates:
            if (size := len(template.user_data.encode())) > LIMIT:
                message = f"the user data of its machines has {size:,} bytes even packed, EC2 takes {LIMIT:,}"
                yield at, message, "shorten agentConfig, or keep it elsewhere: {source: s3://…, sha256: …}"
                break


def pool_templates(group: ClusterGroup, pool: Pool, catalogue: Catalogue) -> Iterator[Template]:
    """Give the launch template of each architecture that a pool's types and images have."""
    allowed = pool.instances.allowed(catalogue)
    for arch in sorted({kind.arch for kind in allowed} & set(effective_machine(group, pool).images)):
        yield pool_template(group, pool, arch, allowed)


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
    """Say what servers and clients have in common; addresses to advertise are each machine's own."""
    agent: dict[str, Any] = {
        "data_dir": "/opt/nomad/data",
        "bind_addr": "0.0.0.0",  # noqa: S104 - security groups say who may come
        "ports": {"http": 4646, "rpc": 4647, "serf": 4648},
        "region": group.spec.nomad.region,
    }
    if group.spec.nomad.acl:
        agent["acl"] = {"enabled": True}
    if group.spec.nomad.tls is not None:
        files = {f"{name}_file": path for name, path in TLS_FILES.items()}
        agent["tls"] = {"http": True, "rpc": True, "verify_server_hostname": True, **files}
    return agent


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


# --- what a machine gets and fetches ----------------------------------------------------------------------------------


def _install(group: ClusterGroup, machine: EffectiveMachine, arch: str, *, docker: bool) -> Install:
    """Say how Nomad gets onto a machine; a baked image has what its jobs need, Docker too."""
    version = group.spec.nomad.version
    if isinstance(machine.install, Download):
        url = machine.install.url.replace("{arch}", "arm64" if arch == "arm64" else "amd64")
        return Install(way="url", version=version, url=url, sha256=machine.install.sha256, docker=docker)
    return Install(way=machine.install, version=version, docker=docker and machine.install != "baked")


def _agent_source(machine: EffectiveMachine) -> tuple[Fetch, ...]:
    """Fetch the agent's configuration when it lies elsewhere; Nomad merges it after ours."""
    source = machine.agent_config_source
    return (Fetch(source=source.source, to=FETCHED_FILE, sha256=source.sha256),) if source else ()


def _gossip(group: ClusterGroup) -> tuple[Fetch, ...]:
    """Fetch the key of the servers' gossip; clients do not gossip."""
    key = group.spec.nomad.gossip_key
    return (Fetch(source=key, to=GOSSIP_FILE, key="server.encrypt"),) if key else ()


def _tls(group: ClusterGroup) -> tuple[Fetch, ...]:
    tls = group.spec.nomad.tls
    where = {"ca": tls.ca, "cert": tls.cert, "key": tls.key} if tls else {}
    return tuple(Fetch(source=source, to=TLS_FILES[name]) for name, source in where.items())


def references(group: ClusterGroup) -> tuple[str, ...]:
    """List what any machine of the group fetches at boot: ``ssm:``, ``secretsmanager:`` and ``s3://`` references."""
    agents = (wanted for part in with_machines(group) for wanted in _agent_source(effective_machine(group, part)))
    gossip = _gossip(group) if group.spec.servers else ()
    return tuple(sorted({wanted.source for wanted in (*agents, *gossip, *_tls(group))}))


# --- names and hashes ------------------------------------------------------------------------------------------------


def revision(group: ClusterGroup, image: str, boot: Boot) -> str:
    """Hash everything whose change needs a new machine.

    ``bootstrap_expect``, tables and our own scripts do not (semantics §9).
    """
    server = {k: v for k, v in boot.agent.get("server", {}).items() if k != "bootstrap_expect"}
    content = {
        "agent": {**boot.agent, "server": server},
        "image": image,
        "install": asdict(boot.install),  # the version too
        "fetch": [asdict(wanted) for wanted in boot.fetch],
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
