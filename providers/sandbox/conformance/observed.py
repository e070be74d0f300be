"""Our world in the recording's words: the state after a step, and how each thing reads in a timeline."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from providers.sandbox.world.nomad import render, render_node

if TYPE_CHECKING:
    from providers.sandbox.conformance.scenario import World
    from providers.sandbox.world.nomad.allocation import Allocation, PlacementMetrics
    from providers.sandbox.world.nomad.deployment import GroupState
    from providers.sandbox.world.nomad.evaluation import Evaluation
    from providers.sandbox.world.nomad.node import Node

Json = dict[str, Any]

CHILD = re.compile(r"([^\s/.\"]+/(?:dispatch|periodic))-\d+(?:-[0-9a-f]{8})?")
_METRICS = ("NodesEvaluated", "NodesFiltered", "NodesInPool", "NodePool", "NodesAvailable", "NodesExhausted")
_OPTIONAL = ("ClassFiltered", "ConstraintFiltered", "ClassExhausted", "DimensionExhausted")


def nonzero(table: Json) -> Json:
    """Leave out zeros."""
    return {k: v for k, v in table.items() if v}


def failures(failed: dict[str, Json]) -> Json:
    """Give failure metrics without times and scores."""
    out: Json = {}
    for group, m in failed.items():
        entry = {k: m[k] for k in _METRICS if m[k] is not None}
        entry.update({k: m[k] for k in _OPTIONAL if m[k]})
        if m["ResourcesExhausted"] is not None:
            entry["ResourcesExhausted"] = {t: nonzero(r) for t, r in m["ResourcesExhausted"].items()}
        entry["CoalescedFailures"] = m["CoalescedFailures"]
        out[group] = entry
    return out


# -- names


def child_names(world: World) -> dict[str, str]:
    """Name dispatched and periodic children by their number: their ids carry a time and a draw."""
    return number_children(job.id for job in world.state.jobs.values())


def number_children(ids: Iterable[str]) -> dict[str, str]:
    """Give each child's id its numbered name, in the order of first appearance."""
    seen: dict[str, int] = {}
    names: dict[str, str] = {}
    for job_id in ids:
        found = CHILD.fullmatch(job_id)
        if found is not None and job_id not in names:
            seen[found[1]] = seen.get(found[1], 0) + 1
            names[job_id] = f"{found[1]}#{seen[found[1]]}"
    return names


def rename(value: Any, names: dict[str, str]) -> Any:
    """Replace ids by names in all texts of a JSON value."""
    if not names:
        return value
    text = msgspec.json.encode(value).decode()
    for job_id, name in names.items():
        text = text.replace(job_id, name)
    return msgspec.json.decode(text)


def alloc_names(world: World) -> dict[str, str]:
    """Name allocations ``job.group[index]#n``, those of system and sysbatch jobs ``…@node#n``."""
    seen: dict[str, int] = {}
    names = {}
    for alloc in world.state.allocs.values():
        base = alloc.name
        if alloc.job_type in ("system", "sysbatch"):
            base += f"@{alloc.node_name}"
        seen[base] = seen.get(base, 0) + 1
        names[alloc.id] = f"{base}#{seen[base]}"
    return names


def eval_names(world: World) -> dict[str, str]:
    """Name evaluations ``job/trigger#n``."""
    seen: dict[str, int] = {}
    names = {}
    for e in world.state.evals.values():
        base = f"{e.job_id}/{e.triggered_by}"
        seen[base] = seen.get(base, 0) + 1
        names[e.id] = f"{base}#{seen[base]}"
    return names


def _node_names(world: World) -> dict[str, str]:
    names = {a.node_id: a.spec.name for a in world.state.agents.values()}
    names.update({a.node_id: a.node_name for a in world.state.allocs.values() if a.node_id not in names})
    return names


# -- timelines


def things(world: World) -> dict[str, str]:
    """Give each thing of the world as a timeline shows it."""
    allocs, evals, nodes = alloc_names(world), eval_names(world), _node_names(world)
    out = {f"node {nodes[n.id]}": _node_line(n) for n in world.state.nodes.values()}
    for a in world.state.allocs.values():
        out[f"alloc {allocs[a.id]}"] = _alloc_line(a)
    for e in world.state.evals.values():
        queued = dict(sorted(e.queued.items())) if e.queued and e.status != "blocked" else {}
        out[f"eval {evals[e.id]}"] = f"{e.status} queued={queued}" if any(queued.values()) else e.status
    for job in world.state.jobs.values():
        groups = " ".join(f"{g}:{c}" for g, c in _summary(world, job.name).items())
        out[f"job {job.id}"] = f"{job.status} {groups}"
    for number, d in enumerate(world.state.deployments.values(), 1):
        groups = " ".join(f"{n}:{g.placed}/{g.healthy}" for n, g in sorted(d.groups.items()))
        out[f"deployment {d.job_id}#{number}"] = f"{d.status} {groups}"
    return out


def _node_line(n: Node) -> str:
    words = [n.status, n.eligibility]
    if n.drain is not None:
        words.append("draining")
    if n.last_drain is not None:
        words.append(n.last_drain.status)
    words += [f"unhealthy:{name}" for name in _unhealthy(n)]
    return " ".join(words)


def _unhealthy(n: Node) -> list[str]:
    return [name for name, d in n.drivers.items() if not (d.healthy and d.detected)]


def _alloc_line(a: Allocation) -> str:
    words = [a.node_name, f"{a.desired}/{a.client}"]
    if a.healthy is not None:
        words.append("healthy" if a.healthy else "unhealthy")
    if wants := _transition(a):
        words.append("+".join(k for k, v in wants.items() if v) or "-")
    return " ".join(w for w in words if w != "-")


def _transition(a: Allocation) -> Json:
    t = a.transition
    if t is None:
        return {}
    table = {
        "Migrate": t.migrate,
        "MigrateDisablePlacement": t.migrate_disable_placement,
        "NoShutdownDelay": t.no_shutdown_delay,
        "Reschedule": t.reschedule,
        "ForceReschedule": t.force_reschedule,
    }
    return {k: v for k, v in table.items() if v is not None}


def _summary(world: World, job: str) -> Json:
    found = render.summary(world.state.jobs[job])["Summary"]
    return {g: nonzero(counts) for g, counts in sorted(found.items())}


# -- the state after a step


def observe(world: World) -> Json:
    """Give the state in the form of a step's ``observe``; evaluations are all of them."""
    return {
        "nodes": _nodes(world),
        "jobs": _jobs(world),
        "allocs": _allocs(world),
        "evals": _evals(world),
        "deployments": [
            {
                "job": d.job_id,
                "job_version": d.job_version,
                "status": d.status,
                "description": d.description,
                "groups": {n: _group(g) for n, g in d.groups.items()},
            }
            for d in world.state.deployments.values()
        ],
    }


def _group(g: GroupState) -> Json:
    counts = {"desired": g.desired_total, "placed": g.placed, "healthy": g.healthy, "unhealthy": g.unhealthy}
    if g.desired_canaries:
        counts.update(canaries=len(g.placed_canaries), promoted=g.promoted)
    return counts


def _nodes(world: World) -> Json:
    names = _node_names(world)
    out: Json = {}
    for n in world.state.nodes.values():
        entry: Json = {"status": n.status, "eligibility": n.eligibility}
        if n.drain is not None:
            entry["draining"] = True
        if n.last_drain is not None:
            entry["last_drain"] = n.last_drain.status
            if n.last_drain.meta:
                entry["last_drain_meta"] = n.last_drain.meta
        if bad := _unhealthy(n):
            entry["unhealthy_drivers"] = bad
        out[names[n.id]] = entry
    return out


def _jobs(world: World) -> Json:
    out: Json = {}
    for job in world.state.jobs.values():
        entry: Json = {"type": job.type, "status": job.status, "summary": _summary(world, job.name)}
        if job.stop:
            entry["stop"] = True
        if job.parent:
            entry["parent"] = job.parent
        children = render.summary(job)["Children"]
        if nonzero(children):
            entry["children"] = children
        out[job.id] = entry
    return out


def _allocs(world: World) -> dict[str, Json]:
    names, evals = alloc_names(world), eval_names(world)
    out = {}
    for a in world.state.allocs.values():
        entry: Json = {
            "id": names[a.id],
            "node": a.node_name,
            "desired": a.desired,
            "client": a.client,
            "why": a.desired_description,
            "client_why": a.client_description,
            "healthy": a.healthy,
            "transition": _transition(a),
            "job_version": a.job_version,
            "next": names.get(a.next, ""),
            "previous": names.get(a.previous, ""),
            "preempted_by": names.get(a.preempted_by, ""),
            "preempts": [names[i] for i in a.preempted if i in names],
            "followup_eval": evals.get(a.followup_eval_id, ""),
            "canary": a.is_canary,
            "ports": [p.value for p in a.ports],
            "dynamic_ports": [p.dynamic for p in a.ports],
            "resources": {
                n: {
                    "cpu": t.cpu,
                    "cores": t.cores,
                    "memory": t.memory,
                    "memory_max": t.memory_max,
                    **({"devices": [len(d.ids) for d in t.devices]} if t.devices else {}),
                }
                for n, t in a.tasks.items()
            },
        }
        out[names[a.id]] = entry
    return out


def _evals(world: World) -> dict[str, Json]:
    names, nodes = eval_names(world), _node_names(world)
    return {names[e.id]: _eval(world, e, names, nodes) for e in world.state.evals.values()}


def _eval(world: World, e: Evaluation, names: dict[str, str], nodes: dict[str, str]) -> Json:
    classes = e.class_eligibility
    entry: Json = {
        "id": names[e.id],
        "job": e.job_id,
        "type": e.type,
        "status": e.status,
        "triggered_by": e.triggered_by,
        "description": e.description,
        "node": nodes.get(e.node_id, ""),
        "queued": e.queued or None,
        "blocked_eval": names.get(e.blocked, ""),
        "previous_eval": names.get(e.previous, ""),
        "next_eval": names.get(e.next, ""),
        "waits": e.wait_until is not None,
        "escaped": e.escaped,
        "failed_tg_allocs": failures({g: _metrics(m) for g, m in e.failed.items()}),
        "class_eligibility": {world.classes.get(name, name): ok for name, ok in (classes or {}).items()} or None,
    }
    if e.desired is not None:
        shown = render.desired(e.desired) or {}
        found = {g: nonzero(d) for g, d in shown["DesiredTGUpdates"].items()}
        entry["plan_annotations"] = found
    return entry


def _metrics(m: PlacementMetrics) -> Json:
    return render.metrics(m)


def scores(world: World) -> Json:
    """Give how the nodes ranked for each allocation."""
    names, nodes = alloc_names(world), _node_names(world)
    return {
        names[a.id]: {
            "evaluated": a.metrics.nodes_evaluated,
            "scores": {nodes[s.node_id]: {"norm": s.norm, **s.parts} for s in a.metrics.scores},
        }
        for a in world.state.allocs.values()
        if a.metrics is not None
    }


def node_detail(world: World) -> Json:
    """Give drain fields and events of the nodes."""
    names = _node_names(world)
    calendar = render.Calendar(world.state.settings.epoch_unix)
    out = {}
    for n in world.state.nodes.values():
        shown = render_node.full(n, calendar)
        out[names[n.id]] = {
            "DrainStrategy": shown["DrainStrategy"],
            "LastDrain": shown["LastDrain"],
            "events": [[e["Subsystem"], e["Message"], e["Details"]] for e in shown["Events"]],
        }
    return out
