"""What a look at a job asks for, and the copies of a group as it sorts them out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad.classify import AllocSet, Later

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.context import DeploymentUpdate
    from providers.sandbox.world.nomad.deployment import Deployment, GroupState
    from providers.sandbox.world.nomad.evaluation import DesiredUpdates, Evaluation
    from providers.sandbox.world.nomad.jobspec import GroupSpec
    from providers.sandbox.world.nomad.names import NameIndex

NOT_NEEDED = "alloc not needed due to job update"
RECONNECTED = "alloc not needed due to disconnected client reconnect"
MIGRATING = "alloc is being migrated"
UPDATING = "alloc is being updated due to job update"
IN_PLACE = "alloc updating in-place"
LOST_NODE = "alloc is lost since its node is down"
UNKNOWN_NODE = "alloc is unknown since its node is disconnected"
RESCHEDULED = "alloc was rescheduled because it failed"
NODE_TAINTED = "alloc not needed as node is tainted"


@dataclass(slots=True)
class Place:
    """A copy to be placed; ``stops`` when it takes the place of one that is stopped with it."""

    name: str
    group: GroupSpec
    previous: Allocation | None = None
    canary: bool = False
    reschedule: bool = False
    lost: bool = False
    downgrade: bool = False
    min_version: int = 0
    stops: bool = False


@dataclass(slots=True)
class Stop:
    """A copy to be stopped."""

    alloc: Allocation
    description: str
    client: str = ""
    followup: str = ""


@dataclass(slots=True)
class Results:
    """All that is to be done for the job."""

    place: list[Place] = field(default_factory=list)
    destructive: list[Place] = field(default_factory=list)
    inplace: list[Allocation] = field(default_factory=list)
    stop: list[Stop] = field(default_factory=list)
    attributes: AllocSet = field(default_factory=dict)
    disconnects: AllocSet = field(default_factory=dict)
    reconnects: AllocSet = field(default_factory=dict)
    desired: dict[str, DesiredUpdates] = field(default_factory=dict)
    followups: list[Evaluation] = field(default_factory=list)
    names: dict[str, NameIndex] = field(default_factory=dict)
    deployment: Deployment | None = None
    updates: list[DeploymentUpdate] = field(default_factory=list)


@dataclass(slots=True)
class Group:
    """The copies of one group, as far as they are sorted out."""

    spec: GroupSpec
    desired: DesiredUpdates
    state: GroupState
    existed: bool  # the deployment knew the group
    all: AllocSet
    canaries: AllocSet
    untainted: AllocSet
    migrate: AllocSet
    lost: AllocSet
    now: AllocSet
    later: list[Later]
    names: NameIndex | None = None
    canarying: bool = False


def without(allocs: AllocSet, *others: AllocSet) -> AllocSet:
    """Give the allocations that are in none of the others."""
    return {i: a for i, a in allocs.items() if not any(i in o for o in others)}
