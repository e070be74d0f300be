"""What one run of a scheduler carries along: its plan, what it has seen of node classes, its metrics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad.allocation import Allocation, NodeScore, PlacementMetrics
from providers.sandbox.world.nomad.jobspec import GroupSpec, JobSpec

if TYPE_CHECKING:
    from providers.sandbox.world.kernel import Kernel
    from providers.sandbox.world.nomad.deployment import Deployment
    from providers.sandbox.world.nomad.evaluation import Evaluation
    from providers.sandbox.world.nomad.node import Node
    from providers.sandbox.world.nomad.settings import SchedulerConfiguration
    from providers.sandbox.world.nomad.store import Store

_BEST = 5  # how many ranked nodes are remembered


@dataclass(slots=True)
class DeploymentUpdate:
    """A new status for a deployment."""

    deployment_id: str
    status: str
    description: str


@dataclass(slots=True)
class Plan:
    """What a scheduler wants done, by node: allocations to stop, to write, to preempt."""

    evaluation: Evaluation
    job: JobSpec | None
    stops: dict[str, dict[str, Allocation]] = field(default_factory=dict)
    places: dict[str, dict[str, Allocation]] = field(default_factory=dict)
    preemptions: dict[str, dict[str, Allocation]] = field(default_factory=dict)
    deployment: Deployment | None = None
    deployment_updates: list[DeploymentUpdate] = field(default_factory=list)

    @property
    def is_noop(self) -> bool:
        """Whether nothing would change."""
        return (
            not any(self.stops.values())
            and not any(self.places.values())
            and self.deployment is None
            and not self.deployment_updates
        )

    def stop(self, alloc: Allocation, description: str, client: str = "", followup: str = "") -> None:
        """Stop an allocation; ``client`` sets its client status where the client cannot."""
        new = alloc.clone()
        new.desired, new.desired_description = "stop", description
        if client:
            new.client = client
        if followup:
            new.followup_eval_id = followup
        self.stops.setdefault(alloc.node_id, {})[alloc.id] = new

    def unstop(self, alloc: Allocation) -> None:
        """Take back a stop."""
        stops = self.stops.get(alloc.node_id)
        if stops is not None:
            stops.pop(alloc.id, None)
            if not stops:
                del self.stops[alloc.node_id]

    def place(self, alloc: Allocation) -> None:
        """Write an allocation, new or changed."""
        self.places.setdefault(alloc.node_id, {})[alloc.id] = alloc

    def preempt(self, alloc: Allocation, by: str) -> None:
        """Evict an allocation in favour of another."""
        new = alloc.clone()
        new.desired, new.preempted_by = "evict", by
        new.desired_description = f"Preempted by alloc ID {by}"
        self.preemptions.setdefault(alloc.node_id, {})[alloc.id] = new


class Eligibility:
    """Which computed classes passed the class-wide checks, for the job and for each group (``EvalEligibility``)."""

    def __init__(self) -> None:
        self.job_classes: dict[str, bool] = {}
        self.groups: dict[str, dict[str, bool]] = {}
        self.job_escaped = False
        self.group_escaped: dict[str, bool] = {}
        self.missing: list[str] = []  # what no node has

    def set_job(self, job: JobSpec) -> None:
        """Note what of the job escapes class caching."""
        self.job_escaped = job.escapes
        for group in job.groups.values():
            self.group_escaped[group.name] = job.group_escapes(group)

    def reset(self) -> None:
        """Forget the classes (the system stack does so before each node)."""
        self.job_classes = {}
        self.groups = {}
        self.group_escaped = {}

    @property
    def has_escaped(self) -> bool:
        """Whether anything of the job escapes."""
        return self.job_escaped or any(self.group_escaped.values())

    def classes(self) -> dict[str, bool]:
        """Fold into class → whether it may be eligible."""
        found: dict[str, bool] = {}
        for classes in self.groups.values():
            for name, ok in classes.items():
                found[name] = ok or found.get(name, False)
        for name, ok in self.job_classes.items():
            if not ok:
                found[name] = False
            else:
                found.setdefault(name, True)
        return found


class Context:
    """One run of a scheduler over the state as it is."""

    def __init__(self, store: Store, plan: Plan) -> None:
        self.store = store
        self.plan = plan
        self.eligibility = Eligibility()
        self.metrics = PlacementMetrics()

    @property
    def kernel(self) -> Kernel:
        """Time, ids and chances."""
        return self.store.kernel

    @property
    def config(self) -> SchedulerConfiguration:
        """The cluster's scheduler configuration."""
        return self.store.state.scheduler

    def proposed(self, node_id: str) -> list[Allocation]:
        """Give what would be on a node if the plan held: all that its client has not ended, as the plan changes it."""
        gone = self.plan.stops.get(node_id)
        evicted = self.plan.preemptions.get(node_id)
        allocs = self.store.state.allocs
        found: dict[str, Allocation] = {}
        for alloc_id in self.store.allocs_by_node.get(node_id, ()):
            alloc = allocs[alloc_id]
            if alloc.client_terminal or (gone and alloc_id in gone) or (evicted and alloc_id in evicted):
                continue
            found[alloc_id] = alloc
        found.update(self.plan.places.get(node_id, ()))
        return list(found.values())

    # -- metrics

    def filter_node(self, node: Node, reason: str) -> None:
        """Count a node that failed a filter."""
        m = self.metrics
        m.nodes_filtered += 1
        if node.node_class:
            m.class_filtered[node.node_class] = m.class_filtered.get(node.node_class, 0) + 1
        m.constraint_filtered[reason] = m.constraint_filtered.get(reason, 0) + 1

    def exhaust_node(self, node: Node, dimension: str) -> None:
        """Count a node that has no room."""
        m = self.metrics
        m.nodes_exhausted += 1
        if node.node_class:
            m.class_exhausted[node.node_class] = m.class_exhausted.get(node.node_class, 0) + 1
        m.dimension_exhausted[dimension] = m.dimension_exhausted.get(dimension, 0) + 1

    def score_node(self, node: Node, norm: float, parts: dict[str, float]) -> None:
        """Remember how a node ranked."""
        self.metrics.scores.append(NodeScore(node_id=node.id, norm=norm, parts=parts))

    def best_scores(self) -> None:
        """Keep only the best few."""
        scores = self.metrics.scores
        scores.sort(key=lambda s: -s.norm)
        del scores[_BEST:]


def exhaust_resources(metrics: PlacementMetrics, group: GroupSpec) -> None:
    """Add the group's ask to what was exhausted; only MHz and MiB, and only where they were what lacked."""
    if not metrics.dimension_exhausted:
        return
    table = metrics.resources_exhausted or {}
    for task in group.tasks:
        cpu, memory = table.get(task.name, (0, 0))
        if metrics.dimension_exhausted.get("cpu"):
            cpu += task.cpu
        if metrics.dimension_exhausted.get("memory"):
            memory += task.memory
        table[task.name] = (cpu, memory)
    metrics.resources_exhausted = table
