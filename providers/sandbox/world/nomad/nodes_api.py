"""The node routes of the API."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from providers.sandbox.world.nomad import node as nd
from providers.sandbox.world.nomad import render_node
from providers.sandbox.world.nomad.canonical import field_of
from providers.sandbox.world.nomad.errors import ApiError

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.agents import Agents
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.blocked import BlockedEvals
    from providers.sandbox.world.nomad.drains import Drainer
    from providers.sandbox.world.nomad.node import Node
    from providers.sandbox.world.nomad.nodes import Nodes
    from providers.sandbox.world.nomad.render import Calendar
    from providers.sandbox.world.nomad.store import Store

Json = dict[str, Any]


class NodesApi:
    """See the module; the attributes are set by ``Api``."""

    _store: Store
    _nodes: Nodes
    _drainer: Drainer
    _agents: Agents
    _blocked: BlockedEvals
    _calendar: Calendar
    _need_leader: Callable[..., None]
    _cached: Callable[[str, str, object, Callable[[], Json]], Json]
    _node_allocs: Callable[[Iterable[Allocation]], list[Json]]

    def _stamp(self, node: Node) -> object:
        return (node.modify_index, node.last_alloc_update_index)

    def nodes(self, *, prefix: str = "", resources: bool = False, os: bool = False, stale: bool = False) -> list[Json]:
        """``GET /v1/nodes``: stubs by id; ``resources`` and ``os`` add what they name."""
        self._need_leader(stale=stale)
        found = []
        for node in sorted(self._store.state.nodes.values(), key=lambda n: n.id):
            if not node.id.startswith(prefix):
                continue
            full = self._cached(
                "node stub",
                node.id,
                self._stamp(node),
                lambda n=node: render_node.stub(n, self._calendar),  # type: ignore[misc]
            )
            found.append(full if resources and os else self._lean_stub(node, full, resources=resources, os=os))
        return found

    def _lean_stub(self, node: Node, full: Json, *, resources: bool, os: bool) -> Json:
        drop: tuple[str, ...] = () if os else ("Attributes",)
        if not resources:
            drop += ("NodeResources", "ReservedResources")
        kind = f"node stub {resources:d}{os:d}"
        return self._cached(kind, node.id, self._stamp(node), lambda: {k: v for k, v in full.items() if k not in drop})

    def _node(self, node_id: str, *, status: int) -> Node:
        found = self._store.state.nodes.get(node_id)
        if found is None:
            raise ApiError(status, "node not found")
        return found

    def node(self, node_id: str, *, stale: bool = False) -> Json:
        """``GET /v1/node/:id``: in full."""
        self._need_leader(stale=stale)
        node = self._node(node_id, status=404)
        return self._cached("node", node.id, self._stamp(node), lambda: render_node.full(node, self._calendar))

    def node_allocations(self, node_id: str, *, stale: bool = False) -> list[Json]:
        """``GET /v1/node/:id/allocations``: in full, terminal ones too; an unknown node has none."""
        self._need_leader(stale=stale)
        return self._node_allocs(self._store.node_allocs(node_id))

    def drain(self, node_id: str, body: Mapping[str, Any] | None) -> Json:
        """``PUT /v1/node/:id/drain``; a node id in the body is ignored."""
        self._need_leader()
        if body is None:
            raise ApiError(400, "Request body is empty")
        raw = field_of(body, "DrainSpec")
        spec = None
        if raw is not None:
            deadline = field_of(raw, "Deadline") or 0
            if isinstance(deadline, str):
                field = "DrainSpec.DrainSpec.Deadline"
                raise ApiError(400, f"json: cannot unmarshal string into Go struct field {field} of type time.Duration")
            spec = {"Deadline": deadline, "IgnoreSystemJobs": bool(field_of(raw, "IgnoreSystemJobs"))}
        node = self._node(node_id, status=500)
        before = node.eligibility
        eligible = bool(field_of(body, "MarkEligible")) and spec is None
        index = self._drainer.set_drain(node, spec, mark_eligible=eligible, meta=field_of(body, "Meta"))
        self._agents.eligibility_changed(node.id, before, node.eligibility)
        ids: list[str] = []
        if eligible and before == nd.INELIGIBLE:
            self._blocked.unblock(node.computed_class, index)
            self._blocked.unblock_node(node.id)
            ids = self._nodes.create_evals(node, index)
        return {
            "EvalCreateIndex": self._store.state.index if ids else 0,
            "EvalIDs": ids or None,
            "Index": index,
            "NodeModifyIndex": index,
        }

    def eligibility(self, node_id: str, body: Mapping[str, Any]) -> Json:
        """``PUT /v1/node/:id/eligibility``; a node id in the body wins."""
        self._need_leader()
        node_id = field_of(body, "NodeID") or node_id
        wanted = field_of(body, "Eligibility") or ""
        if wanted not in (nd.ELIGIBLE, nd.INELIGIBLE):
            raise ApiError(500, f'invalid scheduling eligibility "{wanted}"')
        node = self._node(node_id, status=500)
        if node.drain is not None and wanted == nd.ELIGIBLE:
            raise ApiError(500, "can not set node's scheduling eligibility to eligible while it is draining")
        answer: Json = {"EvalCreateIndex": 0, "EvalIDs": None, "Index": 0, "NodeModifyIndex": 0}
        if node.eligibility == wanted:
            return answer
        index = self._store.next_index("nodes")
        self._nodes.add_event(node, index, f"Node marked as {wanted} for scheduling")
        self._agents.eligibility_changed(node.id, node.eligibility, wanted)
        node.eligibility, node.status_updated_at = wanted, self._store.kernel.now
        self._store.touch_node(index, node)
        answer["Index"] = index
        if wanted == nd.ELIGIBLE:
            self._blocked.unblock(node.computed_class, index)
            self._blocked.unblock_node(node.id)
            ids = self._nodes.create_evals(node, index)
            answer.update(EvalIDs=ids or None, EvalCreateIndex=self._store.state.index if ids else 0)
        return answer

    def purge(self, node_id: str) -> Json:
        """``PUT /v1/node/:id/purge``: drop the record; its work is lost and looked at."""
        self._need_leader()
        node = self._node(node_id, status=500)
        index = self._store.next_index("nodes")
        del self._store.state.nodes[node.id]
        self._store.state.heartbeats.pop(node.id, None)
        self._drainer.node_gone(node.id)
        ids = self._nodes.create_evals(node, index)
        self._agents.purged(node.id)
        return self._node_answer(ids, index, modify_index=index)

    def node_evaluate(self, node_id: str) -> Json:
        """``PUT /v1/node/:id/evaluate``: have every job of the node looked at."""
        self._need_leader()
        node = self._node(node_id, status=500)
        ids = self._nodes.create_evals(node, node.modify_index)
        return self._node_answer(ids, self._store.state.index, modify_index=0)

    def _node_answer(self, ids: list[str], index: int, *, modify_index: int) -> Json:
        return {
            "EvalCreateIndex": self._store.state.index if ids else 0,
            "EvalIDs": ids or None,
            "Features": 0,
            "HeartbeatTTL": 0,
            "Index": index,
            "KnownLeader": False,
            "LastContact": 0,
            "LeaderRPCAddr": "",
            "NextToken": "",
            "NodeModifyIndex": modify_index,
            "NumNodes": 0,
            "SchedulingEligibility": "",
            "Servers": None,
            "SignedIdentity": None,
        }
