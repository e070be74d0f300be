"""The routes that show several records together: versions of a job, its scale, its place in the job list, a search."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any

from providers.sandbox.wire.nomad.call import Call, Reply, checked_id, paged
from providers.sandbox.wire.nomad.route import delete, get, put
from providers.sandbox.world.nomad import render
from providers.sandbox.world.nomad.canonical import field_of
from providers.sandbox.world.nomad.diff import job_diff
from providers.sandbox.world.nomad.errors import ApiError
from providers.sandbox.world.nomad.job import Job

Json = dict[str, Any]

_CONTEXTS = (
    "allocs",
    "jobs",
    "nodes",
    "node_pools",
    "evals",
    "deployment",
    "plugins",
    "volumes",
    "scaling_policy",
    "vars",
    "namespaces",
    "host_volumes",
)
_BY_ID = frozenset(["allocs", "nodes", "evals", "deployment"])
_FOUND_MOST = 20


# --- a job's versions


def _versions(call: Call) -> Reply:
    record = _job(call, "job versions not found")
    state, index = call.world.nomad.state, call.api.table_index("jobs")
    specs = [state.versions[key].spec for key in reversed(record.versions) if key in state.versions]
    shown = [_version(call, key) for key in reversed(record.versions) if key in state.versions]
    shown[0] = call.api.job(record.id, namespace=record.namespace, stale=True)
    diffs = [job_diff(old, new) for new, old in pairwise(specs)] if call.flag("diffs") else []
    body = {
        "Diffs": diffs or None,
        "Index": record.modify_index,
        "KnownLeader": True,
        "LastContact": 0,
        "NextToken": "",
        "Versions": shown,
    }
    return Reply(body=body, index=index)


def _version(call: Call, key: str) -> Json:
    kept = call.world.nomad.state.versions[key]
    return {**kept.spec, "Stable": kept.stable, "SubmitTime": call.nanoseconds(kept.submit_time)}


def _submission(call: Call) -> Reply:
    """What somebody's job looked like as text: the simulation does not keep it."""
    if not call.option("version").isdigit():
        raise ApiError(400, "Unable to parse job submission version parameter")
    raise ApiError(404, "job source not found")


def _revert(call: Call) -> Reply:
    version = int(field_of(call.table(), "JobVersion") or 0)
    answer = call.world.nomad.jobs.revert(call.namespace, call.path["id"], version)
    return Reply(body=answer, index=answer["Index"], read=False)


def _job(call: Call, missing: str = "job not found") -> Job:
    found = call.world.nomad.jobs.find(call.namespace, call.path["id"])
    if found is None:
        raise ApiError(404, missing)
    return found


def _validate(call: Call) -> Reply:
    raw = field_of(call.table(), "Job")
    if not raw:
        raise ApiError(400, "Job must be specified")
    faults, whole, warnings = call.world.nomad.jobs.judged(raw, namespace=call.option("namespace"))
    body = {"DriverConfigValidated": True, "Error": whole, "ValidationErrors": faults or None, "Warnings": warnings}
    return Reply(body=body)


# --- scale


def _scale_status(call: Call) -> Reply:
    record = _job(call)
    state, spec = call.world.nomad.state, call.world.nomad.store.spec(record.key)
    latest = call.world.nomad.store.latest_deployment(record.name)
    groups = {}
    for name, group in spec.groups.items():
        has, of = record.summary.groups.get(name), latest.groups.get(name) if latest is not None else None
        running = [a for a in call.world.nomad.store.job_allocs(record.name) if a.group == name and not a.terminal]
        groups[name] = {
            "Desired": group.count,
            "Events": [_event(call, e) for e in record.scaled if e["Group"] == name] or None,
            "Healthy": of.healthy if of is not None else 0,
            "Placed": len(running),
            "Running": has.running if has is not None else 0,
            "Unhealthy": of.unhealthy if of is not None else 0,
        }
    body = {
        "JobCreateIndex": record.create_index,
        "JobID": record.id,
        "JobModifyIndex": record.job_modify_index,
        "JobStopped": record.stop,
        "Namespace": record.namespace,
        "TaskGroups": groups,
    }
    newest = max((a.modify_index for a in state.allocs.values() if a.job_id == record.id), default=0)
    return Reply(body=body, index=max(record.modify_index, newest))


def _event(call: Call, event: Json) -> Json:
    shown = {k: v for k, v in event.items() if k not in {"Group", "At"}}
    return {**shown, "Time": call.nanoseconds(event["At"])}


# --- the job list of the web page


def _statuses(call: Call) -> Reply:
    wanted = call.option("namespace", "default")
    found = (j for j in call.world.nomad.state.jobs.values() if wanted in {"*", j.namespace})
    if not call.flag("include_children"):
        found = (j for j in found if not j.parent)
    return _status_page(call, found)


def _statuses_of(call: Call) -> Reply:
    body = call.table()
    named = [(str(j.get("namespace") or "default"), str(j.get("id"))) for j in field_of(body, "jobs") or ()]
    if not named:
        raise ApiError(400, "no jobs in request")
    return _status_page(call, (j for name in named if (j := call.world.nomad.jobs.find(*name)) is not None))


def _status_page(call: Call, jobs: Iterable[Job]) -> Reply:
    found = sorted((_status(call, job) for job in jobs), key=lambda row: (-row["ModifyIndex"], row["ID"]))
    try:
        rows, more = paged(call, found, token=lambda row: str(row["ModifyIndex"]))
    except ApiError as no:
        raise ApiError(500, f"failed to read result page: {no.text.partition(': ')[2] or no.text}") from no
    return Reply(body=rows, index=max((row["ModifyIndex"] for row in found), default=0), headers=more)


def _status(call: Call, record: Job) -> Json:
    store = call.world.nomad.store
    spec, latest = store.spec(record.key), store.latest_deployment(record.name)
    allocs = [
        {
            "ClientStatus": a.client,
            "DeploymentStatus": {"Canary": a.is_canary, "Healthy": a.healthy},
            "FollowupEvalID": a.followup_eval_id,
            "Group": a.group,
            "HasPausedTask": False,
            "ID": a.id,
            "JobVersion": a.job_version,
            "NodeID": a.node_id,
        }
        for a in store.job_allocs(record.name)
    ]
    children = [call.world.nomad.state.jobs[c].status for c in store.children.get(record.name, ())]
    return {
        "Allocs": allocs or None,
        "ChildStatuses": children or None,
        "Datacenters": list(spec.raw["Datacenters"]),
        "GroupCountSum": sum(group.count for group in spec.groups.values()),
        "ID": record.id,
        "IsPack": False,
        "LatestDeployment": {
            "AllAutoPromote": all(g.auto_promote for g in latest.groups.values() if g.desired_canaries > 0),
            "ID": latest.id,
            "IsActive": latest.active,
            "JobVersion": latest.job_version,
            "RequiresPromotion": latest.requires_promotion,
            "Status": latest.status,
            "StatusDescription": latest.description,
        }
        if latest is not None
        else None,
        "ModifyIndex": max(record.modify_index, record.summary.modify_index),
        "Name": spec.raw["Name"],
        "Namespace": record.namespace,
        "NodePool": record.node_pool,
        "ParentID": record.parent,
        "Priority": record.priority,
        "Status": record.status,
        "Stop": record.stop,
        "SubmitTime": call.nanoseconds(record.submit_time),
        "Type": record.type,
        "Version": record.version,
    }


# --- deployments and evaluations


def _deployment(call: Call) -> Reply:
    found = call.world.nomad.state.deployments.get(checked_id(call.path["id"], "deployment"))
    if found is None:
        raise ApiError(404, "deployment not found")
    return Reply(body=render.deployment(found, call.calendar), index=found.modify_index)


def _deployment_allocations(call: Call) -> Reply:
    found = [a for a in call.world.nomad.state.allocs.values() if a.deployment_id == call.path["id"]]
    rows = [call.api.allocation_stub(a.id) for a in found]
    return Reply(body=rows, index=call.api.table_index("allocs"))


def _delete_evaluations(call: Call) -> Reply:
    call.table()
    if not call.world.nomad.state.scheduler.pause_eval_broker:
        raise ApiError(500, "eval broker is enabled; eval broker must be paused to delete evals")
    raise ApiError(501, "the simulation deletes no evaluations by hand")


# --- search


def _search(call: Call) -> Reply:
    body = call.table()
    prefix, context = str(field_of(body, "Prefix") or ""), str(field_of(body, "Context") or "all")
    if context not in {*_CONTEXTS, "all"}:
        known = f"[{' '.join(_CONTEXTS)}]"
        raise ApiError(500, f"context must be one of {known} or 'all' for all contexts; got \"{context}\"")
    contexts = (c for c in _CONTEXTS if c not in _BY_ID or _is_hex(prefix)) if context == "all" else (context,)
    found = {name: _matching(call, name, prefix) for name in contexts}
    index = call.api.table_index("jobs") if context == "jobs" else call.api.index
    return Reply(
        body={
            "Index": index,
            "KnownLeader": True,
            "LastContact": 0,
            "Matches": {name: names[:_FOUND_MOST] or None for name, names in found.items()},
            "NextToken": "",
            "Truncations": {name: len(names) > _FOUND_MOST for name, names in found.items()},
        },
        index=index,
    )


def _is_hex(prefix: str) -> bool:
    """Whether ids can begin so; an odd last digit is not looked at."""
    digits = prefix.replace("-", "")
    return not digits[: len(digits) // 2 * 2].strip("0123456789abcdefABCDEF")


def _matching(call: Call, context: str, prefix: str) -> list[str]:
    state, namespace = call.world.nomad.state, call.namespace
    if context in _BY_ID and prefix.strip("0123456789abcdefABCDEF-"):
        return []
    here = {"*", namespace}
    match context:
        case "jobs":
            names: Iterable[str] = (j.id for j in state.jobs.values() if namespace in {"*", j.namespace})
        case "nodes":
            names = state.nodes
        case "allocs":
            names = (a.id for a in state.allocs.values() if {a.namespace, "*"} & here)
        case "evals":
            names = (e.id for e in state.evals.values() if {e.namespace, "*"} & here)
        case "deployment":
            names = (d.id for d in state.deployments.values() if {d.namespace, "*"} & here)
        case "node_pools":
            names = state.pools
        case "namespaces":
            names = state.namespaces
        case "vars":
            names = (v.path for v in state.variables.values() if namespace in {"*", v.namespace})
        case _:
            names = ()
    return sorted(name for name in names if name.startswith(prefix))


ROUTES = [
    put("/v1/validate/job", _validate, forwarded=False),
    get("/v1/jobs/statuses", _statuses),
    put("/v1/jobs/statuses", _statuses_of),
    get("/v1/job/{id}/versions", _versions),
    get("/v1/job/{id}/submission", _submission),
    put("/v1/job/{id}/revert", _revert),
    get("/v1/job/{id}/scale", _scale_status),
    get("/v1/deployment/{id}", _deployment),
    get("/v1/deployment/allocations/{id}", _deployment_allocations),
    delete("/v1/evaluations", _delete_evaluations),
    put("/v1/search", _search),
]
