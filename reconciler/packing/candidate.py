"""What Nomad's filters look at: a node as it is, or a machine as it will describe itself once it is there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from schemas.world import DeviceGroup, Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A node's description; for a machine that does not exist yet, as far as anybody can know it.

    ``complete``: what is not described is not there. A node is complete; a machine to be bought is once nodes of its
    image were seen. ``drivers`` that are not named are assumed on a machine with ``assumes_drivers``.
    """

    name: str  # as a person names it
    datacenter: str
    node_pool: str
    node_class: str
    attributes: tuple[Mapping[str, str], ...] = ()  # layers: the first that knows a key answers
    meta: Mapping[str, str] = field(default_factory=dict)
    drivers: Mapping[str, bool] = field(default_factory=dict)
    devices: tuple[DeviceGroup, ...] = ()
    host_volumes: Mapping[str, bool] = field(default_factory=dict)  # name → read only
    network_modes: frozenset[str] = frozenset({"host"})
    host_networks: frozenset[str] = frozenset({"default"})
    node_id: str | None = None
    node_name: str | None = None
    exists: bool = False
    complete: bool = False
    assumes_drivers: bool = False

    def resolve(self, target: str) -> str | None:
        """Give what a constraint's side means here; None when it is not found. Without ``${`` it means itself."""
        if not target.startswith("${"):
            return target
        match target:
            case "${node.unique.id}":
                return self.node_id
            case "${node.unique.name}":
                return self.node_name
            case "${node.datacenter}":
                return self.datacenter
            case "${node.class}":
                return self.node_class
            case "${node.pool}":
                return self.node_pool
        if target.startswith("${attr."):
            key = target[7:].removesuffix("}")
            return next((layer[key] for layer in self.attributes if key in layer), None)
        if target.startswith("${meta."):
            return self.meta.get(target[7:].removesuffix("}"))
        return None

    def may_have(self, target: str) -> bool:
        """Tell whether a target that was not found may be there all the same, nobody having seen such a machine."""
        if self.exists:
            return False
        return is_unique(target) or (target.startswith("${attr.") and not self.complete)


def of_node(node: Node) -> Candidate:
    """Describe a node that is there."""
    return Candidate(
        name=node.name,
        datacenter=node.datacenter,
        node_pool=node.node_pool,
        node_class=node.node_class,
        attributes=(node.attributes,),
        meta=node.meta,
        drivers=node.drivers,
        devices=node.devices,
        host_volumes=node.host_volumes,
        network_modes=node.network_modes,
        host_networks=node.host_networks,
        node_id=node.id,
        node_name=node.name,
        exists=True,
        complete=True,
    )


def is_unique(target: str) -> bool:
    """Tell whether a target differs on every node: no new machine can be expected to have a given value."""
    return target.startswith(("${node.unique.", "${attr.unique.", "${meta.unique."))
