"""Filters: may a node be considered at all (source: facts/nomad.md §2.1, ``scheduler/feasible/feasible.go``)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.sandbox.world.nomad.constraints import holds, resolve
from providers.sandbox.world.nomad.devices import has_devices
from providers.sandbox.world.nomad.jobspec import DISTINCT_HOSTS, DISTINCT_PROPERTY, Constraint, GroupSpec, JobSpec
from providers.sandbox.world.nomad.properties import PropertySet

if TYPE_CHECKING:
    from collections.abc import Iterable

    from providers.sandbox.world.nomad.context import Context
    from providers.sandbox.world.nomad.node import Node

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")


def broken_constraint(constraints: Iterable[Constraint], node: Node) -> str:
    """Name the first constraint that a node breaks; empty when it keeps all."""
    for constraint in constraints:
        if not holds(constraint.operand, resolve(constraint.left, node), resolve(constraint.right, node)):
            return str(constraint)
    return ""


def has_drivers(drivers: Iterable[str], node: Node) -> bool:
    """Whether every driver is there and healthy; without driver information its attribute decides."""
    for name in drivers:
        driver = node.drivers.get(name)
        if driver is not None:
            if not (driver.detected and driver.healthy):
                return False
        elif node.attributes.get(f"driver.{name}") not in _TRUE:
            return False
    return True


def network_refusal(group: GroupSpec, mode: str, node: Node) -> str:
    """Say what of its network a node lacks; empty when nothing."""
    if mode == "none":
        return ""
    modes = {"host"}
    if "plugins.cni.version.bridge" in node.attributes:
        modes.add("bridge")
    if mode not in modes and not (mode.startswith("cni/") and f"plugins.cni.config.{mode[4:]}" in node.attributes):
        return "missing network"
    if group.network is not None:
        for port in group.network.dynamic + group.network.static:
            if port.host_network != "default":
                return f'missing host network "{port.host_network}" for port "{port.label}"'
    return ""


def has_volumes(group: GroupSpec, index: str, node: Node) -> bool:
    """Whether the static host volumes that a group names are there, writable where it writes."""
    for ask in group.volumes:
        if ask.type != "host":
            continue
        volume = node.host_volumes.get(ask.source + (index if ask.per_alloc else ""))
        if volume is None or ask.sticky or (volume.read_only and not ask.read_only):
            return False
    return True


def csi_volumes(group: GroupSpec, index: str) -> list[str]:
    """Give the CSI volumes that a copy wants: none exists, CSI is not part of this world."""
    return sorted(v.source + (index if v.per_alloc else "") for v in group.volumes if v.type == "csi")


def wants_distinct_hosts(constraints: Iterable[Constraint]) -> bool:
    """Whether a ``distinct_hosts`` among these is on."""
    first = next((c for c in constraints if c.operand == DISTINCT_HOSTS), None)
    return first is not None and first.right not in _FALSE


class Feasibility:
    """The filters of one job in Nomad's order, with what was learnt of node classes on the way."""

    def __init__(self, ctx: Context, job: JobSpec, *, distinct_hosts: bool) -> None:
        self._ctx = ctx
        self._job = job
        self._mode = "host"  # stays as the last group with a network left it, as in Nomad
        self._hosts = distinct_hosts
        self._job_sets = self._property_sets(job.constraints, "")
        self._group_sets: dict[str, list[PropertySet]] = {}

    def _property_sets(self, constraints: Iterable[Constraint], group: str) -> list[PropertySet]:
        return [
            PropertySet(self._ctx, self._job, c.left, group, allowed=int(c.right or 1))
            for c in constraints
            if c.operand == DISTINCT_PROPERTY
        ]

    def set_group(self, group: GroupSpec) -> None:
        """Begin with another group."""
        if group.network is not None:
            self._mode = group.network.mode
        if group.name not in self._group_sets:
            self._group_sets[group.name] = self._property_sets(group.constraints, group.name)

    def passes(self, node: Node, group: GroupSpec, name: str) -> bool:
        """Whether the node passes all filters for a copy called ``name``; counts it when it does not."""
        return self._class_passes(node, group, name) and self._distinct_passes(node, group)

    def _class_passes(self, node: Node, group: GroupSpec, name: str) -> bool:
        ctx, seen = self._ctx, self._ctx.eligibility
        known = None if seen.job_escaped else seen.job_classes.get(node.computed_class)
        if known is False:
            ctx.filter_node(node, "computed class ineligible")
            return False
        broken = broken_constraint(self._job.constraints, node)
        if not seen.job_escaped and (broken or known is None):
            seen.job_classes[node.computed_class] = not broken
        if broken:
            ctx.filter_node(node, broken)
            return False
        escaped = seen.group_escaped.get(group.name, False)
        classes = seen.groups.setdefault(group.name, {})
        known = None if escaped else classes.get(node.computed_class)
        if known is False:
            ctx.filter_node(node, "computed class ineligible")
            return False
        if not known:
            refusal = self._group_refusal(node, group)
            if not escaped:
                classes[node.computed_class] = not refusal
            if refusal:
                ctx.filter_node(node, refusal)
                return False
        if group.volumes:
            index = name[name.rindex("[") :]
            if not has_volumes(group, index, node):
                ctx.filter_node(node, "missing compatible host volumes")
                return False
            if wanted := csi_volumes(group, index):
                seen.missing = [f"csi-volume:{self._job.namespace}:{volume}" for volume in wanted]
                ctx.filter_node(node, f"missing CSI volume(s) {', '.join(wanted)}")
                return False
        return True

    def _group_refusal(self, node: Node, group: GroupSpec) -> str:
        if not has_drivers(group.drivers, node):
            return "missing drivers"
        if broken := broken_constraint(group.all_constraints, node):
            return broken
        if group.devices and not has_devices(node, group):
            return "missing devices"
        return network_refusal(group, self._mode, node)

    def _distinct_passes(self, node: Node, group: GroupSpec) -> bool:
        job_wide = self._hosts and wants_distinct_hosts(self._job.constraints)
        if (job_wide or (self._hosts and wants_distinct_hosts(group.constraints))) and any(
            a.job_id == self._job.id and a.namespace == self._job.namespace and (job_wide or a.group == group.name)
            for a in self._ctx.proposed(node.id)
        ):
            self._ctx.filter_node(node, DISTINCT_HOSTS)
            return False
        for properties in self._job_sets + self._group_sets[group.name]:
            if refusal := properties.refusal(node):
                self._ctx.filter_node(node, refusal)
                return False
        return True
