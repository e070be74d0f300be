"""``reconcile validate --online``: what a document names and needs, looked at in the real Nomad and AWS."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime

import anyio
from anyio import to_thread

from providers.aws.clients import Clients
from providers.ec2.provider import AwsEc2
from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import SettingsError
from providers.online.account import Account
from providers.online.identity import (
    ON_DEMAND,
    SPOT,
    check_identity,
    check_profile,
    check_quotas,
    check_service_role,
    quota_class,
)
from providers.online.nomad import NomadWanted, check_nomad
from providers.online.places import (
    check_addresses,
    check_images,
    check_security_groups,
    check_snapshots,
    check_subnets,
)
from providers.online.rights import check_fleet, check_launching, check_looking, check_prices, check_queue
from reconciler.bootstrap.clock import WallClock
from reconciler.bootstrap.real import bootstrap_secret, settings_for
from reconciler.bootstrap.source import catalogue
from reconciler.iam import reconciler_policy
from reconciler.machine import named_server_template, pool_template, server_template
from reconciler.packing.offers import on_demand_wanted
from schemas.catalogue import InstanceType
from schemas.checks import Check, problem, unknown
from schemas.document import ClusterGroup, Pool, effective_machine
from schemas.document.effective import with_machines
from schemas.faults import Fault
from schemas.names import PREFIX
from schemas.world import Role, Template

__all__ = ["Reach", "check", "check_all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """The ways to the outside of one group."""

    door: RealNomadDoor
    clients: Clients
    now: Callable[[], datetime]
    managing: RealNomadDoor | None = None  # with the token of nomad.bootstrapToken, where one was found
    namespace: str = "default"
    inline: bool = False  # calls to AWS block the loop, for a wire in this process


def check_all(groups: Iterable[ClusterGroup]) -> dict[str, tuple[Check, ...]]:
    """Look at each group in turn; raises nothing."""
    clock = WallClock()

    async def one(group: ClusterGroup) -> tuple[Check, ...]:
        try:
            settings = settings_for(group, os.environ)
            door = RealNomadDoor(settings)
        except SettingsError as error:
            return (problem("nomad", "settings", str(error), "mend the environment variable that it names"),)
        clients = Clients(group.spec.aws.region)
        secret = await to_thread.run_sync(bootstrap_secret, group, clients)
        async with AsyncExitStack() as doors:
            reach = Reach(
                door=await doors.enter_async_context(door),
                managing=await doors.enter_async_context(RealNomadDoor(replace(settings, token=secret)))
                if secret
                else None,
                clients=clients,
                now=clock.now,
                namespace=settings.namespace,
            )
            return await check(group, reach)

    return {group.metadata.name: anyio.run(one, group) for group in groups}


async def check(group: ClusterGroup, reach: Reach) -> tuple[Check, ...]:
    """Look at everything that a group needs: Nomad first, then AWS; who is silent is not asked again."""
    account = Account(clients=reach.clients, inline=reach.inline)
    aws = await check_identity(account, reach.now)
    if any(c.what == "credentials" and c.verdict == "problem" for c in aws):
        return (*await _nomad(group, reach, ()), *aws)
    ec2 = AwsEc2(reach.clients, reach.now, inline=reach.inline)
    try:
        instances = await ec2.instances(group.metadata.name)
        templates = await ec2.template_names(group.metadata.name)
    except Fault as fault:
        silent = problem("aws", "reading EC2", fault.message, "see whether this machine reaches EC2", silent=True)
        denied = await check_looking(account, tuple(reconciler_policy(group).actions))
        told = [c for c in denied if c.verdict == "problem"] or [silent]
        return (*await _nomad(group, reach, ()), *aws, *told)
    running = sorted(i.private_ip for i in instances if i.role == Role.SERVER and i.state == "running")
    return (*await _nomad(group, reach, running), *aws, *await _aws(group, account, templates))


# --- nomad -----------------------------------------------------------------------------------------------------------


async def _nomad(group: ClusterGroup, reach: Reach, servers: Iterable[str]) -> tuple[Check, ...]:
    spec = group.spec
    addresses = (spec.nomad.address,) if spec.nomad.address else tuple(servers)
    if not addresses:
        return (unknown("nomad", "address", "no server of ours is running yet: there is nobody to ask"),)
    wanted = NomadWanted(
        group=group.metadata.name,
        version=spec.nomad.version,
        namespace=reach.namespace,
        servers=spec.servers is not None,
        node_pools=tuple(sorted({pool.node_pool for pool in spec.pools})),
        management=spec.nomad.bootstrap_token or "" if spec.nomad.acl else "",
    )
    managing = reach.managing.channel(addresses) if reach.managing is not None else None
    return await check_nomad(reach.door.channel(addresses), wanted, reach.now, managing=managing)


# --- aws -------------------------------------------------------------------------------------------------------------


async def _aws(group: ClusterGroup, account: Account, templates: frozenset[str]) -> list[Check]:
    aws, pools = group.spec.aws, group.spec.pools
    launches = _launches(group)
    checks = [
        *await check_looking(account, tuple(reconciler_policy(group).actions)),
        *await check_subnets(account, {subnet.id: subnet.zone for subnet in aws.subnets}),
        *await check_security_groups(account, aws.security_groups),
        *await check_images(account, _images(group)),
        *await check_profile(account, aws.instance_profile),
        *await check_launching(account, launches, group.metadata.name),
    ]
    if (servers := group.spec.servers) is not None:
        checks += await check_addresses(account, servers.elastic_ips)
        checks += await check_snapshots(account, servers.snapshots.to if servers.snapshots.every else None)
    if pools:
        stem = f"{PREFIX}-{group.metadata.name}-{pools[0].name}-"
        ours = next((name for name in sorted(templates) if name.startswith(stem)), None)
        kind = launches[f"pool {pools[0].name}"].instance_type or ""
        checks += await check_fleet(account, ours, aws.subnets[0].id, kind)
    if any(pool.capacity.spot_percent > 0 for pool in pools):
        checks += await check_service_role(account, "spot.amazonaws.com", "AWSServiceRoleForEC2Spot")
    checks += await check_quotas(account, least_vcpus(group))
    checks += await check_queue(account, aws.interruption_queue)
    return [*checks, *await check_prices(account)]


def _images(group: ClusterGroup) -> list[tuple[str, str]]:
    """List every image with its architecture, once."""
    found = {pair: None for part in with_machines(group) for pair in effective_machine(group, part).images.items()}
    return sorted(found)


def _launches(group: ClusterGroup) -> dict[str, Template]:
    """Give one launch of each kind of machine, as small as it may be."""
    known, subnet = catalogue(), group.spec.aws.subnets[0].id
    found: dict[str, Template] = {}
    if (servers := group.spec.servers) is not None:
        kind = servers.instance_types[0]
        seen = known.get(kind)
        template = server_template(group, seen.arch if seen else "x86_64")
        found["servers"] = named_server_template(group, template, kind, subnet)
    for pool in group.spec.pools:
        least = _smallest(group, pool)
        template = pool_template(group, pool, least.arch, [least])
        found[f"pool {pool.name}"] = replace(template, instance_type=least.name, subnet_id=subnet)
    return found


def _smallest(group: ClusterGroup, pool: Pool) -> InstanceType:
    """Give the pool's type of fewest vCPUs, of those that there is an image for; checked documents have one."""
    images = effective_machine(group, pool).images
    there = [kind for kind in pool.instances.allowed(catalogue()) if kind.arch in images]
    return min(there, key=lambda kind: (kind.vcpu, kind.on_demand_usd_per_hour, kind.name))


def least_vcpus(group: ClusterGroup) -> Mapping[tuple[str, str], int]:
    """Count the vCPUs of the servers and of all pools at their minimum, on their smallest types: (class, market)."""
    wanted: Counter[tuple[str, str]] = Counter()

    def add(kind: InstanceType, market: str, count: int) -> None:
        if count and (named := quota_class(kind.name)) is not None:
            wanted[named, market] += kind.vcpu * count

    servers = group.spec.servers
    if servers is not None and (kind := catalogue().get(servers.instance_types[0])) is not None:
        add(kind, ON_DEMAND, servers.count)
    for pool in group.spec.pools:
        least = _smallest(group, pool)
        count = pool.size.min if pool.size.desired is None else pool.size.desired
        base = on_demand_wanted(pool, count)
        add(least, ON_DEMAND, base)
        add(least, SPOT, count - base)
    return wanted
