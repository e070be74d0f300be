"""What nodes that are there tell about machines of the same image that are not: attributes, drivers, usable memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from schemas.world import DeviceGroup, Node, Resources, Snapshot

SETTLED = timedelta(seconds=60)  # a driver that is missing sooner after registration may still come
_OF_THE_MACHINE = ("unique.", "platform.aws.placement.", "platform.aws.instance-life-cycle")
_OF_THE_TYPE = ("platform.aws.instance-type", "cpu.", "memory.", "numa.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What is known of one image (in one pool and architecture) from the nodes that run it."""

    seen: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)
    attributes_by_type: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    drivers: Mapping[str, bool] = field(default_factory=dict)
    drivers_settled: bool = False  # a driver that is not named is not there
    network_modes: frozenset[str] = frozenset()
    host_networks: frozenset[str] = frozenset()
    host_volumes: Mapping[str, bool] = field(default_factory=dict)
    totals: Mapping[str, Resources] = field(default_factory=dict)  # by type: the least that was measured
    devices: Mapping[str, tuple[DeviceGroup, ...]] = field(default_factory=dict)  # by type


def pool_of(snapshot: Snapshot, node: Node) -> str:
    """Name the pool that a node was launched for, by its instance's tag or its own claim; "" when it is nobody's."""
    instance = snapshot.instance_by_id.get(node.instance_id or "")
    if instance is not None and instance.pool:
        return instance.pool
    return (node.claim or "").rpartition("-")[0]


def learn(snapshot: Snapshot, pool: str, arch: str, image: str | None) -> Learnt:
    """Gather what nodes of a pool and architecture show; those of ``image`` alone where its id is known.

    Args:
        snapshot: of which nodes that registered, whatever their state now, are witnesses.
        pool: the pool's name.
        arch: ``x86_64`` or ``arm64``.
        image: the image of new machines; None when only EC2 knows which (``ssm:``).

    """
    witnesses = list(_witnesses(snapshot, pool, arch, image))
    if not witnesses:
        return Learnt()
    by_type: dict[str, list[Node]] = {}
    for node, instance_type in witnesses:
        by_type.setdefault(instance_type, []).append(node)
    newest = witnesses[-1][0]
    settled = [n for n, _ in witnesses if n.registered_at and snapshot.observed_at - n.registered_at >= SETTLED]
    return Learnt(
        seen=True,
        attributes=_shared(newest.attributes, (*_OF_THE_MACHINE, *_OF_THE_TYPE), keep="cpu.arch"),
        attributes_by_type={t: _shared(nodes[-1].attributes, _OF_THE_MACHINE) for t, nodes in by_type.items()},
        drivers=_drivers((n for n, _ in witnesses), settled),
        drivers_settled=bool(settled),
        network_modes=newest.network_modes,
        host_networks=newest.host_networks,
        host_volumes=_on_all([n.host_volumes for n, _ in witnesses]),
        totals={t: _least([n.total for n in nodes]) for t, nodes in by_type.items()},
        devices={t: nodes[-1].devices for t, nodes in by_type.items()},
    )


def _witnesses(snapshot: Snapshot, pool: str, arch: str, image: str | None) -> Iterable[tuple[Node, str]]:
    """Oldest knowledge first."""
    for node in sorted(snapshot.nodes, key=lambda n: (n.modify_index, n.id)):
        instance = snapshot.instance_by_id.get(node.instance_id or "")
        if instance is None or instance.pool != pool or node.status == "initializing":
            continue
        kind = snapshot.catalogue.get(instance.type)
        if kind is not None and kind.arch == arch and image in {None, instance.image_id}:
            yield node, instance.type


def _shared(attributes: Mapping[str, str], without: tuple[str, ...], keep: str = "") -> dict[str, str]:
    return {k: v for k, v in attributes.items() if k == keep or not k.startswith(without)}


def _drivers(witnesses: Iterable[Node], settled: Iterable[Node]) -> dict[str, bool]:
    """A driver that was ever healthy will be; one that a settled node lacks will not."""
    healthy = {driver for node in witnesses for driver, works in node.drivers.items() if works}
    broken = {driver for node in settled for driver, works in node.drivers.items() if not works}
    return {**dict.fromkeys(sorted(broken - healthy), False), **dict.fromkeys(sorted(healthy), True)}


def _on_all(volumes: list[Mapping[str, bool]]) -> dict[str, bool]:
    """Volumes that every node has; one node alone may have made its own."""
    if len(volumes) < 2:
        return {}
    names = set.intersection(*(set(v) for v in volumes))
    return {name: any(v[name] for v in volumes) for name in sorted(names)}


def _least(totals: list[Resources]) -> Resources:
    return Resources(
        cpu_mhz=min(t.cpu_mhz for t in totals),
        memory_mib=min(t.memory_mib for t in totals),
        disk_mib=min(t.disk_mib for t in totals),
        cores=min(t.cores for t in totals),
    )
