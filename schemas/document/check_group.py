"""Contradictions in what a document says about the group and its servers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from schemas.document.effective import effective_machine
from schemas.document.machine import AgentConfigSource
from schemas.document.partial import UnreadError, read_items
from schemas.document.problem import Finding, Path
from schemas.document.similar import similar_type

if TYPE_CHECKING:
    from schemas.catalogue import Catalogue
    from schemas.document.group import ClusterGroup


# --- servers ---------------------------------------------------------------------------------------------------------


def _server_count(group: ClusterGroup, _: Catalogue) -> Iterator[Finding]:
    servers = group.spec.servers
    if servers is None or servers.count in {3, 5}:
        return
    count, at = servers.count, ("spec", "servers", "count")
    if count < 1:
        hint = "write 3 or 5, or leave out `servers` to leave them alone"
        yield Finding(at=at, message=f"is {count}: a cluster without servers", hint=hint)
    elif count == 1:
        if not servers.accept_data_loss_risk:
            what = "is 1: when that machine dies, the cluster's state is lost"
            yield Finding(at=at, message=what, hint="write 3, or add acceptDataLossRisk: true")
    elif count % 2 == 0:
        what = f"is {count}, an even number: {count} servers survive no more failures than {count - 1}"
        yield Finding(at=at, message=what, hint="write 3 or 5")
    else:
        what = f"is {count}: each server more makes every write slower"
        yield Finding(at=at, message=what, hint="write 3 or 5")


def _server_types(group: ClusterGroup, catalogue: Catalogue) -> Iterator[Finding]:
    servers = group.spec.servers
    if servers is None:
        return
    images, seen, told = effective_machine(group, servers).images, set[str](), set[str]()
    for i, name in read_items(servers.instance_types):
        at = ("spec", "servers", "instanceTypes", i)
        arch = catalogue[name].arch if name in catalogue else None
        if arch is None:
            yield Finding(at=at, message=f'no instance type is called "{name}"', hint=similar_type(name, catalogue))
        elif name in seen:
            yield Finding(at=at, message=f'"{name}" is listed twice', hint="keep one of them")
        elif images and arch not in images and arch not in told:  # no image at all: told once, for the group
            what = f"{name} is {arch}, and there is no {arch} image"
            hint = f"add {arch} to spec.machine.images, or choose another type"
            yield Finding(at=at, message=what, hint=hint)
            told.add(arch)
        seen.add(name)


def _server_extras(group: ClusterGroup, _: Catalogue) -> Iterator[Finding]:
    servers = group.spec.servers
    if servers is None:
        return
    addresses, at = len(servers.elastic_ips), ("spec", "servers", "elasticIps")
    if addresses and addresses != servers.count:
        yield Finding(at=at, message=f"{addresses} addresses for {servers.count} servers", hint="one a server, or none")
    snapshots, at = servers.snapshots, ("spec", "servers", "snapshots")
    if snapshots.every and not snapshots.to:
        yield Finding(at=(*at, "every"), message="snapshots on a schedule, but nowhere to put them", hint="add to:")
    if snapshots.to and not snapshots.every:
        yield Finding(at=(*at, "to"), message="a place for snapshots, but no schedule", hint='add every: "24h"')


# --- the group -------------------------------------------------------------------------------------------------------


def _subnets(group: ClusterGroup, _: Catalogue) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for i, subnet in read_items(group.spec.aws.subnets):
        with contextlib.suppress(UnreadError):
            if subnet.id in seen:
                yield _twice(("spec", "aws", "subnets", i, "id"), seen[subnet.id], f'the subnet "{subnet.id}"')
            seen.setdefault(subnet.id, i)


def _zones(group: ClusterGroup, _: Catalogue) -> Iterator[Finding]:
    region = group.spec.aws.region
    for i, subnet in read_items(group.spec.aws.subnets):
        with contextlib.suppress(UnreadError):
            begins, rest = subnet.zone[: len(region)], subnet.zone[len(region) :]
            if begins != region or rest[:1].isdigit():
                what = f"{subnet.zone} is no zone of the region {region}"
                hint = f"write a zone such as {region}a, or correct aws.region"
                yield Finding(at=("spec", "aws", "subnets", i, "zone"), message=what, hint=hint)


def _no_image(group: ClusterGroup, _: Catalogue) -> Iterator[Finding]:
    servers, without = group.spec.servers, []
    if servers is not None and not effective_machine(group, servers).images:
        without.append("servers")
    pools = read_items(group.spec.pools)
    without += [f"pools[{i}]" for i, pool in pools if not effective_machine(group, pool).images]
    if without:
        at, what = ("spec", "machine", "images"), f"no image for {', '.join(without)}"
        yield Finding(at=at, message=what, hint='add "images: {x86_64: ami-...}"', missing=True)


def _tags(group: ClusterGroup, _: Catalogue) -> Iterator[Finding]:
    at = ("spec", "aws", "tags")
    for key, value in group.spec.aws.tags.items():
        if key.lower().startswith("aws:"):
            yield Finding(
                at=(*at, key), message='tags that begin with "aws:" are AWS\'s own', hint="choose another key"
            )
        elif key.startswith("nomad-reconciler:") or key == "Name":
            yield Finding(at=(*at, key), message="this tag is set by the reconciler", hint="choose another key")
        elif "/" in key or " " in key:
            what = 'a key with "/" or a space: machines read their tags from the instance metadata, which has none such'
            yield Finding(at=(*at, key), message=what, hint='write "-", "." or ":" in their place')
        elif len(key) > 128 or len(value) > 256:
            what = f"the key has {len(key)} characters and the value {len(value)}; EC2 takes 128 and 256"
            yield Finding(at=(*at, key), message=what, hint="shorten it")
    if (count := len(group.spec.aws.tags)) > 40:
        yield Finding(at=at, message=f"{count} tags; EC2 takes 50, and 10 are ours", hint="keep 40 or fewer")


def _fetched(group: ClusterGroup, _: Catalogue) -> Iterator[Finding]:
    """A machine without a role fetches nothing, and so never comes up."""
    if group.spec.aws.instance_profile:
        return
    nomad = group.spec.nomad
    named = [("nomad.gossipKey", nomad.gossip_key and group.spec.servers is not None), ("nomad.tls", nomad.tls)]
    asked = [name for name, there in named if there]
    machines = [group.spec.servers, *(pool for _, pool in read_items(group.spec.pools))]
    if any(of is not None and effective_machine(group, of).agent_config_source for of in machines):
        asked.append("agentConfig")
    if asked:
        what = f"none, but machines fetch {' and '.join(asked)} with the role of their profile"
        hint = "name a profile whose role may read them"
        yield Finding(at=("spec", "aws", "instanceProfile"), message=what, hint=hint, missing=True)


def _tokens(group: ClusterGroup, _: Catalogue) -> Iterator[Finding]:
    nomad = group.spec.nomad
    if nomad.bootstrap_token and not nomad.acl:
        at = ("spec", "nomad", "bootstrapToken")
        yield Finding(at=at, message="a bootstrap token, but no ACLs", hint="add acl: true, or remove the token")


def _pool_names(group: ClusterGroup, _: Catalogue) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for i, pool in read_items(group.spec.pools):
        with contextlib.suppress(UnreadError):
            if pool.name in seen:
                other: Path = ("spec", "pools", seen[pool.name], "name")
                yield Finding(
                    at=("spec", "pools", i, "name"),
                    message=f'"{pool.name}" is also the name of the pool in {{other}}',
                    hint="give each pool a name of its own",
                    other=other,
                )
            seen.setdefault(pool.name, i)


def _nodes(group: ClusterGroup, _: Catalogue) -> Iterator[Finding]:
    sizes = [pool.size.min if pool.size.desired is None else pool.size.desired for pool in group.spec.pools]
    limit = group.spec.limits.max_nodes
    if sum(sizes) > limit:
        what = f"is {limit}, but the pools want at least {' + '.join(map(str, sizes))} = {sum(sizes)} nodes"
        yield Finding(
            at=("spec", "limits", "maxNodes"), message=what, hint=f"write {sum(sizes)} or more, or lower size.min"
        )


_HIDDEN: Final = {"encrypt", "token", "secret_id", "bootstrap_token", "authoritative_token", "secret_key", "access_key"}


def _agent_configs(group: ClusterGroup, _: Catalogue) -> Iterator[Finding]:
    places: list[tuple[Path, Any]] = [(("spec", "machine"), group.spec.machine)]
    if group.spec.servers is not None:
        places.append((("spec", "servers", "machine"), group.spec.servers.machine))
    places += [(("spec", "pools", i, "machine"), pool.machine) for i, pool in read_items(group.spec.pools)]
    for at, machine in places:
        if isinstance(machine.agent_config, Mapping):
            yield from _secrets_in(machine.agent_config, (*at, "agentConfig"))


def _secrets_in(config: Any, at: Path) -> Iterator[Finding]:
    if isinstance(config, Mapping) and not isinstance(config, AgentConfigSource):
        for key, value in config.items():
            if key in _HIDDEN and isinstance(value, str) and value:
                hint = "documents are committed: let the machine fetch it (agentConfig: {source, sha256}, or the image)"
                yield Finding(at=(*at, key), message="looks like a secret", hint=hint)
            else:
                yield from _secrets_in(value, (*at, key))
    elif isinstance(config, tuple):
        for i, value in enumerate(config):
            yield from _secrets_in(value, (*at, i))


def _twice(at: Path, first: int, what: str) -> Finding:
    other = (*at[:-2], first, at[-1])
    return Finding(at=at, message=f"{what} is listed twice, first in {{other}}", hint="keep one of them", other=other)


GROUP_CHECKS: Final = (
    _server_count,
    _server_types,
    _server_extras,
    _subnets,
    _zones,
    _no_image,
    _tags,
    _fetched,
    _tokens,
    _pool_names,
    _nodes,
    _agent_configs,
)
