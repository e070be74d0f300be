"""Recorded scenarios: a cluster, steps, and what came of each (format: tests/recordings/README.md)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from providers.sandbox.conformance.observed import (
    CHILD,
    alloc_names,
    child_names,
    failures,
    nonzero,
    number_children,
    rename,
)
from providers.sandbox.world.kernel import Kernel, Timeline
from providers.sandbox.world.nomad.agent import AgentSpec
from providers.sandbox.world.nomad.canonical import nanoseconds
from providers.sandbox.world.nomad.cluster import Cluster
from providers.sandbox.world.nomad.errors import ApiError
from providers.sandbox.world.nomad.settings import SchedulerConfiguration, Settings
from providers.sandbox.world.nomad.state import ClusterState

if TYPE_CHECKING:
    from pathlib import Path

Json = dict[str, Any]

SETTLE = 2.0  # the recorded agents had just become ready before the first step
_QUIET = 1.3  # an observation was taken when nothing had moved for so long


@dataclass(slots=True)
class World:
    """A cluster in the middle of a scenario, as it is saved between steps."""

    state: ClusterState
    timeline: Timeline
    specs: dict[str, AgentSpec] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)  # computed class → how the recording calls it
    recent: list[tuple[float, str, str]] = field(default_factory=list)  # what changed in the last moments, and when


@dataclass(frozen=True, slots=True)
class Scenario:
    """A file."""

    name: str
    settings: Json
    pools: list[Json]
    nodes: list[Json]
    steps: list[Json]

    def ends(self, number: int) -> float:
        """Give when a step was over and observed, in seconds since the first step."""
        step = self.steps[number]
        if number + 1 < len(self.steps):
            return float(self.steps[number + 1]["at"])
        last = max([step["at"] + entry[0] for entry in step.get("timeline", [])], default=step["at"])
        fixed = step["at"] + step.get("seconds", 0) if step["do"] == "wait" else 0.0
        return float(max(last + _QUIET, fixed))


def read(path: Path) -> Scenario:
    """Read a scenario file; raises ValueError when it is none."""
    try:
        text = path.read_text(encoding="utf-8")
        children = number_children(found[0] for found in CHILD.finditer(text))
        raw = rename(msgspec.json.decode(text), children)
        return Scenario(raw["name"], raw["settings"], raw.get("node_pools", []), raw["nodes"], raw["steps"])
    except (msgspec.DecodeError, KeyError, TypeError) as fault:
        raise ValueError(f"{path}: not a scenario file: {fault!r}") from fault


def _seconds(value: Any) -> float:
    return nanoseconds(value) / 1e9


def begin(scenario: Scenario, seed: int) -> World:
    """Make the cluster as it was before the first step."""
    raw = scenario.settings
    settings = Settings()
    for name in ("heartbeat_grace", "min_heartbeat_ttl", "failover_heartbeat_ttl"):
        if name in raw:
            setattr(settings, name, _seconds(raw[name]))
    if "max_heartbeats_per_second" in raw:
        settings.max_heartbeats_per_second = raw["max_heartbeats_per_second"]
    preempt = raw.get("PreemptionConfig", {})
    config = SchedulerConfiguration(
        algorithm=raw.get("SchedulerAlgorithm", "binpack"),
        preempt_system=preempt.get("SystemSchedulerEnabled", True),
        preempt_sysbatch=preempt.get("SysBatchSchedulerEnabled", False),
        preempt_batch=preempt.get("BatchSchedulerEnabled", False),
        preempt_service=preempt.get("ServiceSchedulerEnabled", False),
        memory_oversubscription=raw.get("MemoryOversubscriptionEnabled", False),
        node_limit=raw.get("NodeLimitForFeasibilityChecks", 0),
    )
    world = World(ClusterState(settings=settings, scheduler=config), Timeline(seed=seed))
    cluster = open_world(world)
    for pool in scenario.pools:
        cluster.api.put_node_pool(pool)
    for node in scenario.nodes:
        _start(world, cluster, node)
    cluster.kernel.run_until(SETTLE)
    name_classes(world, [*scenario.nodes])
    return world


def open_world(world: World) -> Cluster:
    """Wire rules to a world's state."""
    return Cluster(world.state, Kernel(world.timeline))


def _start(world: World, cluster: Cluster, node: Json) -> None:
    spec = msgspec.convert(node, AgentSpec)
    world.specs[spec.name] = spec
    cluster.start_agent(spec)


def name_classes(world: World, nodes: list[Json]) -> None:
    """Learn how the recording calls the computed classes of nodes."""
    for raw in nodes:
        agent = world.state.agents.get(raw["name"])
        node = world.state.nodes.get(agent.node_id) if agent is not None else None
        if node is not None and raw.get("class_of"):
            world.classes.setdefault(node.computed_class, raw["class_of"])


class Driver:
    """Carries steps out."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cluster = open_world(world)

    def do(self, step: Json) -> Json:
        """Carry one step out and give the answer in the recording's form."""
        step = rename(step, {name: job_id for job_id, name in child_names(self.world).items()})
        try:
            return {"status": 200, **self._do(step)}
        except ApiError as refusal:
            return {"status": refusal.status, "body": refusal.text}

    def _do(self, step: Json) -> Json:
        api = self.cluster.api
        match step["do"]:
            case "register-job":
                warnings = api.register_job({"Job": step["job"]})["Warnings"]
                return {"warnings": warnings} if warnings else {}
            case "plan-job":
                return self._plan(step)
            case "scale":
                api.scale_job(step["job"], {"Count": step["count"], "Target": {"Group": step["group"]}})
            case "stop-job":
                api.deregister_job(step["job"], purge=step.get("purge", False))
            case "evaluate-job":
                api.evaluate_job(step["job"])
            case "dispatch-job":
                api.dispatch_job(step["job"])
            case "force-periodic":
                api.force_periodic(step["job"])
            case "stop-alloc":
                api.stop_allocation(self._alloc(step["alloc"]))
            case "promote-deployment":
                api.promote_deployment(self._deployment(step["job"]))
            case "drain":
                return self._drain(step)
            case "cancel-drain":
                body = {"DrainSpec": None, "MarkEligible": step["mark_eligible"]}
                api.drain(self._node(step["node"]), body)
            case "set-eligibility":
                word = "eligible" if step["eligible"] else "ineligible"
                api.eligibility(self._node(step["node"]), {"Eligibility": word})
            case "purge-node":
                api.purge(self._node(step["node"]))
            case "wait":
                pass
            case other:
                self._on_machines(other, step)
        return {}

    def _on_machines(self, do: str, step: Json) -> None:
        cluster = self.cluster
        match do:
            case "add-node":
                _start(self.world, cluster, step["node"])
            case "change-node":
                cluster.change_agent(self._changed_spec(step["node"]))
            case "node-down":
                cluster.kill_agent(step["node"])
            case "node-up":
                cluster.restart_agent(step["node"])
            case "node-freeze":
                cluster.freeze_agent(step["node"])
            case "node-thaw":
                cluster.thaw_agent(step["node"])
            case "restart-server":
                cluster.set_leader(False)
            case other:
                raise ValueError(f"unknown step {other!r}")

    def _changed_spec(self, node: Json) -> AgentSpec:
        """Read another configuration: what it does not say stays the machine's."""
        old = msgspec.to_builtins(self.world.specs[node["name"]])
        kept = ("attributes", "drivers", "cores", "core_mhz", "fingerprint_denylist", "address", "datacenter")
        spec = msgspec.convert({**{k: old[k] for k in kept}, **node}, AgentSpec)
        self.world.specs[spec.name] = spec
        return spec

    def _node(self, name: str) -> str:
        return self.world.state.agents[name].node_id

    def _alloc(self, name: str) -> str:
        return next(i for i, n in alloc_names(self.world).items() if n == name)

    def _deployment(self, job: str) -> str:
        return next(reversed(self.cluster.store.deployments_by_job[f"default/{job}"]))

    def _plan(self, step: Json) -> Json:
        api = self.cluster.api
        answer = api.plan_job(step["stored"], {"Job": api.job(step["stored"])})
        desired = answer["Annotations"]["DesiredTGUpdates"]
        return {
            "desired": {g: nonzero(d) for g, d in desired.items()},
            "preempted": [v["Name"] for v in answer["Annotations"]["PreemptedAllocs"] or []],
            "failed_tg_allocs": failures(answer["FailedTGAllocs"] or {}),
        }

    def _drain(self, step: Json) -> Json:
        deadline = step["deadline_seconds"]
        ignore = step.get("ignore_system_jobs", False)
        spec = {"Deadline": round(deadline * 1e9), "IgnoreSystemJobs": ignore}
        node_id = self._node(step["node"])
        self.cluster.api.drain(node_id, {"DrainSpec": spec, "Meta": step.get("meta")})
        drain = self.cluster.api.node(node_id)["DrainStrategy"]
        if drain is None:
            return {"drain_strategy": None}
        kept = {k: drain[k] for k in ("Deadline", "IgnoreSystemJobs")}
        return {"drain_strategy": {**kept, "ForceDeadline": drain["ForceDeadline"] is not None}}
