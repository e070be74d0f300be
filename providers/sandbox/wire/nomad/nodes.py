"""The routes about nodes, pools, namespaces and the scheduler's configuration."""

from __future__ import annotations

from typing import Any

from providers.sandbox.wire.nomad.call import Call, Reply, full_id, hex_prefix, paged
from providers.sandbox.wire.nomad.route import delete, get, put
from providers.sandbox.world.nomad.errors import ApiError
from providers.sandbox.world.servers import answers


def _nodes(call: Call) -> Reply:
    prefix = hex_prefix(call, "node")
    stubs = call.api.nodes(prefix=prefix, resources=call.flag("resources"), os=call.flag("os"), stale=call.stale)
    rows, more = paged(
        call, stubs, token=lambda row: row["ID"], full=lambda row: _internal(call.api.node(row["ID"], stale=call.stale))
    )
    return Reply(body=rows, index=call.api.table_index("nodes"), headers=more)


def _internal(node: dict[str, Any]) -> dict[str, Any]:
    """Give the record as filters see it: ``Drain`` is made for the answer alone."""
    return {key: value for key, value in node.items() if key != "Drain"}


def _node(call: Call) -> Reply:
    found = call.api.node(full_id(call, "node"), stale=call.stale)
    return Reply(body=found, index=found["ModifyIndex"])


def _node_allocations(call: Call) -> Reply:
    found = call.api.node_allocations(call.path["id"], stale=call.stale)
    latest = max((a["ModifyIndex"] for a in found), default=call.api.table_index("allocs"))
    return Reply(body=found, index=latest)


def _drain(call: Call) -> Reply:
    if not call.body:
        raise ApiError(400, "Request body is empty")
    return _written(call.api.drain(call.path["id"], call.table()))


def _eligibility(call: Call) -> Reply:
    if not call.body:
        raise ApiError(400, "Request body is empty")
    return _written(call.api.eligibility(call.path["id"], call.table()))


def _purge(call: Call) -> Reply:
    return _written(call.api.purge(call.path["id"]))


def _evaluate(call: Call) -> Reply:
    answer = call.api.node_evaluate(call.path["id"])
    nodes = call.world.nomad.state.nodes
    leader = answers.status_leader(call.world.servers, call.address)
    peers = answers.status_peers(call.world.servers, call.address)
    versions = {"RPCMajorVersion": 0, "RPCMinorVersion": 0}
    answer |= {
        "LeaderRPCAddr": leader,
        "NumNodes": len(nodes),
        "SchedulingEligibility": nodes[call.path["id"]].eligibility,
        "Servers": [{"Datacenter": "dc1", "RPCAdvertiseAddr": peer, **versions} for peer in peers],
    }
    return _written(answer)


def _pools(call: Call) -> Reply:
    pools = call.api.node_pools(prefix=call.option("prefix"), stale=call.stale)
    rows, more = paged(call, pools, token=lambda row: row["Name"])
    return Reply(body=rows, index=call.api.table_index("node_pools"), headers=more)


def _pool(call: Call) -> Reply:
    found = call.api.node_pool(call.path["name"], stale=call.stale)
    return Reply(body=found, index=found["ModifyIndex"])


def _pool_nodes(call: Call) -> Reply:
    if call.option("prefix"):
        raise ApiError(400, "Prefix is not supported")
    pool = call.path["name"]
    stubs = call.api.nodes(resources=call.flag("resources"), os=call.flag("os"), stale=call.stale)
    rows, more = paged(call, (s for s in stubs if pool in {"all", s["NodePool"]}), token=lambda row: row["ID"])
    return Reply(body=rows, index=call.api.table_index("nodes"), headers=more)


def _pool_jobs(call: Call) -> Reply:
    pool = call.path["name"]
    stubs = call.api.jobs(namespace=call.namespace, stale=call.stale)
    rows, more = paged(call, (s for s in stubs if s["NodePool"] == pool), token=lambda row: row["ID"])
    return Reply(body=rows, index=call.api.table_index("jobs", "job_summary"), headers=more)


def _put_pool(call: Call) -> Reply:
    body = call.table()
    name = next((value for key, value in body.items() if key.lower() == "name"), "")
    if "name" in call.path and name != call.path["name"]:
        raise ApiError(400, "Node pool name does not match request path")
    call.api.put_node_pool(body)
    return Reply(empty=True, index=call.api.index, read=False)


def _delete_pool(call: Call) -> Reply:
    call.api.delete_node_pool(call.path["name"])
    return Reply(empty=True, index=call.api.index, read=False)


def _namespaces(call: Call) -> Reply:
    found = call.api.namespaces(prefix=call.option("prefix"), stale=call.stale)
    return Reply(body=found, index=call.api.table_index("namespaces"))


def _put_namespace(call: Call) -> Reply:
    call.api.put_namespace(call.table())
    return Reply(empty=True, index=call.api.index, read=False)


def _namespace(call: Call) -> Reply:
    found = call.api.namespace(call.path["name"], stale=call.stale)
    return Reply(body=found, index=found["ModifyIndex"])


def _delete_namespace(call: Call) -> Reply:
    call.api.delete_namespace(call.path["name"])
    return Reply(empty=True, index=call.api.index, read=False)


def _scheduler(call: Call) -> Reply:
    found = call.api.scheduler_configuration(stale=call.stale)
    return Reply(body=found, index=found["Index"])


def _put_scheduler(call: Call) -> Reply:
    answer = call.api.put_scheduler_configuration(call.table(), cas=call.number("cas"))
    return Reply(body=answer, index=answer["Index"], read=False)


def _collect(call: Call) -> Reply:
    call.api.system_gc()
    return Reply(empty=True)


def _summaries(call: Call) -> Reply:
    call.api.system_reconcile_summaries()
    return Reply(empty=True)


def _written(answer: dict[str, Any]) -> Reply:
    return Reply(body=answer, index=answer["Index"], read=False)


ROUTES = [
    get("/v1/nodes", _nodes),
    get("/v1/node/pools", _pools),
    put("/v1/node/pools", _put_pool),
    get("/v1/node/pool/{name}", _pool),
    put("/v1/node/pool/{name}", _put_pool),
    delete("/v1/node/pool/{name}", _delete_pool),
    get("/v1/node/pool/{name}/nodes", _pool_nodes),
    get("/v1/node/pool/{name}/jobs", _pool_jobs),
    get("/v1/node/{id}", _node),
    get("/v1/node/{id}/allocations", _node_allocations),
    put("/v1/node/{id}/drain", _drain),
    put("/v1/node/{id}/eligibility", _eligibility),
    put("/v1/node/{id}/purge", _purge),
    put("/v1/node/{id}/evaluate", _evaluate),
    get("/v1/namespaces", _namespaces),
    put("/v1/namespace", _put_namespace),
    get("/v1/namespace/{name}", _namespace),
    put("/v1/namespace/{name}", _put_namespace),
    delete("/v1/namespace/{name}", _delete_namespace),
    get("/v1/operator/scheduler/configuration", _scheduler),
    put("/v1/operator/scheduler/configuration", _put_scheduler),
    put("/v1/system/gc", _collect),
    put("/v1/system/reconcile/summaries", _summaries),
]
