"""The routes about jobs, evaluations, allocations and deployments."""

from __future__ import annotations

from typing import Any

from providers.sandbox.wire.nomad.call import Call, Reply, full_id, hex_prefix, paged
from providers.sandbox.wire.nomad.route import delete, get, put
from providers.sandbox.world.nomad.errors import ApiError

# What Nomad leaves out of an evaluation when it is empty; filters know these fields all the same.
_EVALUATION = frozenset(
    [
        "AnnotatePlan",
        "BlockedEval",
        "ClassEligibility",
        "DeploymentID",
        "EscapedComputedClass",
        "FailedTGAllocs",
        "JobModifyIndex",
        "LeaderACL",
        "LeaderAcl",
        "MissingNonNodeResources",
        "NextEval",
        "NodeID",
        "NodeModifyIndex",
        "PlanAnnotations",
        "PreviousEval",
        "QueuedAllocations",
        "QuotaLimitReached",
        "RelatedEvals",
        "SnapshotIndex",
        "StatusDescription",
        "Wait",
        "WaitUntil",
    ]
)
_ALLOCATION = frozenset(
    [
        "AllocStates",
        "ClientDescription",
        "ClientTerminalTime",
        "DeploymentID",
        "DeploymentStatus",
        "DesiredDescription",
        "FollowupEvalID",
        "NetworkStatus",
        "NextAllocation",
        "PreemptedAllocations",
        "PreemptedByAllocation",
        "PreviousAllocation",
        "RescheduleTracker",
        "Resources",
        "SharedResources",
        "SignedIdentities",
        "TaskResources",
        "TaskStates",
    ]
)


# --- jobs


def _jobs(call: Call) -> Reply:
    stubs = call.api.jobs(
        namespace=call.namespace, prefix=call.option("prefix"), meta=call.flag("meta"), stale=call.stale
    )
    rows, more = paged(
        call,
        stubs,
        token=lambda row: f"{row['Namespace']}.{row['ID']}",
        full=lambda row: call.api.job(row["ID"], namespace=row["Namespace"], stale=call.stale),
    )
    return Reply(body=rows, index=_jobs_index(call), headers=more)


def _jobs_index(call: Call) -> int:
    return call.api.table_index("jobs", "job_summary")


def _register(call: Call) -> Reply:
    answer = call.api.register_job(call.table(), namespace=call.option("namespace"))
    return Reply(body=answer, index=answer["Index"], read=False)


def _job(call: Call) -> Reply:
    found = call.api.job(call.path["id"], namespace=call.namespace, stale=call.stale)
    return Reply(body=found, index=found["ModifyIndex"])


def _deregister(call: Call) -> Reply:
    answer = call.api.deregister_job(call.path["id"], namespace=call.namespace, purge=call.flag("purge"))
    return Reply(body=answer, index=answer["Index"], read=False)


def _summary(call: Call) -> Reply:
    found = call.api.job_summary(call.path["id"], namespace=call.namespace, stale=call.stale)
    return Reply(body=found, index=found["ModifyIndex"])


def _job_allocations(call: Call) -> Reply:
    found = call.api.job_allocations(
        call.path["id"], namespace=call.namespace, all_allocs=call.flag("all"), stale=call.stale
    )
    return Reply(body=found, index=call.api.table_index("allocs"))


def _job_evaluations(call: Call) -> Reply:
    found = call.api.job_evaluations(call.path["id"], namespace=call.namespace, stale=call.stale)
    return Reply(body=found, index=call.api.table_index("evals"))


def _job_deployments(call: Call) -> Reply:
    found = call.api.job_deployments(call.path["id"], namespace=call.namespace, stale=call.stale)
    return Reply(body=found, index=call.api.table_index("deployment"))


def _job_deployment(call: Call) -> Reply:
    found = call.api.job_deployment(call.path["id"], namespace=call.namespace, stale=call.stale)
    return Reply(body=found, index=call.api.table_index("deployment"))


def _evaluate_job(call: Call) -> Reply:
    body = call.table() if call.body else None
    answer = call.api.evaluate_job(call.path["id"], body, namespace=call.namespace)
    return Reply(body=answer, index=answer["Index"], read=False)


def _plan(call: Call) -> Reply:
    answer = call.api.plan_job(call.path["id"], call.table(), namespace=call.option("namespace"))
    return Reply(body=answer, index=answer["JobModifyIndex"], read=False)


def _scale(call: Call) -> Reply:
    answer = call.api.scale_job(call.path["id"], call.table(), namespace=call.namespace)
    return Reply(body=answer, index=answer["Index"], read=False)


def _dispatch(call: Call) -> Reply:
    body = call.table() if call.body else None
    answer = call.api.dispatch_job(
        call.path["id"], body, namespace=call.namespace, idempotency_token=call.option("idempotency_token")
    )
    return Reply(body=answer, index=answer["Index"], read=False)


def _force_periodic(call: Call) -> Reply:
    answer = call.api.force_periodic(call.path["id"], namespace=call.namespace)
    return Reply(body=answer, index=answer["Index"], read=False)


# --- evaluations


def _evaluations(call: Call) -> Reply:
    legacy = call.option("status") or call.option("job")
    if legacy and call.option("filter"):
        raise ApiError(400, "Filter expression cannot be used with other filter parameters")
    found = call.api.evaluations(
        namespace=call.namespace,
        prefix=hex_prefix(call, "eval"),
        status=call.option("status"),
        job=call.option("job"),
        reverse=call.flag("reverse"),
        stale=call.stale,
    )
    rows, more = paged(call, found, token=_by_creation, optional=_EVALUATION)
    return Reply(body=rows, index=call.api.table_index("evals"), headers=more)


def _by_creation(row: Any) -> str:
    return f"{row['CreateIndex']}.{row['ID']}"


def _count(call: Call) -> Reply:
    rows, _ = paged(
        call, call.api.evaluations(namespace=call.namespace, stale=call.stale), token=_by_creation, optional=_EVALUATION
    )
    index = call.api.table_index("evals")
    body = {"Count": len(rows), "Index": index, "KnownLeader": True, "LastContact": 0, "NextToken": ""}
    return Reply(body=body, index=index)


def _evaluation(call: Call) -> Reply:
    found = call.api.evaluation(full_id(call, "eval"), related=call.flag("related"), stale=call.stale)
    return Reply(body=found, index=found["ModifyIndex"])


def _evaluation_allocations(call: Call) -> Reply:
    found = call.api.evaluation_allocations(call.path["id"], stale=call.stale)
    return Reply(body=found, index=call.api.table_index("allocs"))


# --- allocations


def _allocations(call: Call) -> Reply:
    stubs = call.api.allocations(
        namespace=call.namespace,
        prefix=hex_prefix(call, "alloc"),
        resources=call.flag("resources"),
        task_states=call.flag("task_states", default=True),
        reverse=call.flag("reverse"),
        stale=call.stale,
    )
    rows, more = paged(
        call,
        stubs,
        token=_by_creation,
        full=lambda row: call.api.allocation(row["ID"], stale=call.stale),
        optional=_ALLOCATION,
    )
    return Reply(body=rows, index=call.api.table_index("allocs"), headers=more)


def _allocation(call: Call) -> Reply:
    found = call.api.allocation(full_id(call, "alloc"), stale=call.stale)
    return Reply(body=found, index=found["ModifyIndex"])


def _stop_allocation(call: Call) -> Reply:
    answer = call.api.stop_allocation(
        call.path["id"], no_shutdown_delay=call.flag("no_shutdown_delay"), reschedule=call.flag("reschedule")
    )
    return Reply(body=answer, index=answer["Index"], read=False)


# --- deployments


def _deployments(call: Call) -> Reply:
    found = call.api.deployments(namespace=call.namespace, prefix=hex_prefix(call, "deployment"), stale=call.stale)
    rows, more = paged(call, found, token=_by_creation)
    return Reply(body=rows, index=call.api.table_index("deployment"), headers=more)


def _promote(call: Call) -> Reply:
    answer = call.api.promote_deployment(call.path["id"], call.table() if call.body else None)
    return Reply(body=answer, index=call.api.index, read=False)


def _fail_deployment(call: Call) -> Reply:
    return Reply(body=call.api.fail_deployment(call.path["id"]), index=call.api.index, read=False)


def _pause_deployment(call: Call) -> Reply:
    pause = bool(call.table().get("Pause"))
    return Reply(body=call.api.pause_deployment(call.path["id"], pause=pause), index=call.api.index, read=False)


ROUTES = [
    get("/v1/jobs", _jobs),
    put("/v1/jobs", _register),
    put("/v1/job/{id}/evaluate", _evaluate_job),
    put("/v1/job/{id}/plan", _plan),
    put("/v1/job/{id}/scale", _scale),
    put("/v1/job/{id}/dispatch", _dispatch),
    put("/v1/job/{id}/periodic/force", _force_periodic),
    get("/v1/job/{id}/summary", _summary),
    get("/v1/job/{id}/allocations", _job_allocations),
    get("/v1/job/{id}/evaluations", _job_evaluations),
    get("/v1/job/{id}/deployments", _job_deployments),
    get("/v1/job/{id}/deployment", _job_deployment),
    get("/v1/job/{id}", _job),
    put("/v1/job/{id}", _register),
    delete("/v1/job/{id}", _deregister),
    get("/v1/evaluations", _evaluations),
    get("/v1/evaluations/count", _count),
    get("/v1/evaluation/{id}", _evaluation),
    get("/v1/evaluation/{id}/allocations", _evaluation_allocations),
    get("/v1/allocations", _allocations),
    get("/v1/allocation/{id}", _allocation),
    put("/v1/allocation/{id}/stop", _stop_allocation),
    get("/v1/deployments", _deployments),
    put("/v1/deployment/promote/{id}", _promote),
    put("/v1/deployment/fail/{id}", _fail_deployment),
    put("/v1/deployment/pause/{id}", _pause_deployment),
]
