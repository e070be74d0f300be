"""The routes about pools, namespaces, scheduler configuration and garbage collection."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from providers.sandbox.world.nomad import render
from providers.sandbox.world.nomad.canonical import field_of, fold
from providers.sandbox.world.nomad.errors import ApiError
from providers.sandbox.world.nomad.settings import SchedulerConfiguration
from providers.sandbox.world.nomad.state import Namespace, NodePool

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.broker import EvalBroker
    from providers.sandbox.world.nomad.gc import Collector
    from providers.sandbox.world.nomad.store import Store

Json = dict[str, Any]

_DESCRIPTION_MOST = 256
_POOL_NAME = re.compile(r"[a-zA-Z0-9-_]{1,128}")
_NAMESPACE = re.compile(r"[a-zA-Z0-9-]{1,128}")
_IDENTITY_TTL = "24h0m0s"
_BUILT_IN = ("all", "default")


class OperatorApi:
    """See the module; the attributes are set by ``Api``."""

    _store: Store
    _broker: EvalBroker
    _collector: Collector
    _need_leader: Callable[..., None]

    # -- pools

    def node_pools(self, *, prefix: str = "", stale: bool = False) -> list[Json]:
        """``GET /v1/node/pools``."""
        self._need_leader(stale=stale)
        pools = sorted(self._store.state.pools.values(), key=lambda p: p.name)
        return [render.pool(p) for p in pools if p.name.startswith(prefix)]

    def node_pool(self, name: str, *, stale: bool = False) -> Json:
        """``GET /v1/node/pool/:name``."""
        self._need_leader(stale=stale)
        if name not in self._store.state.pools:
            raise ApiError(404, "node pool not found")
        return render.pool(self._store.state.pools[name])

    def put_node_pool(self, body: Mapping[str, Any]) -> None:
        """``PUT /v1/node/pools``."""
        self._need_leader()
        name = field_of(body, "Name") or ""
        if name in _BUILT_IN:
            raise ApiError(400, f'modifying node pool "{name}" is not allowed')
        fault = ""
        if _POOL_NAME.fullmatch(name) is None:
            fault = f'invalid name "{name}", must match regex ^[a-zA-Z0-9-_]{{1,128}}$'
        elif len(field_of(body, "Description") or "") > _DESCRIPTION_MOST:
            fault = f"description longer than {_DESCRIPTION_MOST}"
        if fault:
            raise ApiError(400, f'invalid node pool "{name}": 1 error occurred:\n\t* {fault}\n\n')
        if field_of(body, "SchedulerConfiguration"):
            raise ApiError(500, 'Feature "Node Pools Governance" is unlicensed')
        index = self._store.next_index("node_pools")
        old = self._store.state.pools.get(name)
        self._store.state.pools[name] = NodePool(
            name,
            description=field_of(body, "Description") or "",
            meta=field_of(body, "Meta"),
            hash=_digest(name, field_of(body, "Description") or "", _IDENTITY_TTL, meta=field_of(body, "Meta")),
            create_index=old.create_index if old is not None else index,
            modify_index=index,
        )

    def delete_node_pool(self, name: str) -> None:
        """``DELETE /v1/node/pool/:name``; refused while something uses it."""
        self._need_leader()
        state = self._store.state
        if name in _BUILT_IN:
            raise ApiError(400, f'deleting node pool "{name}" is not allowed')
        if name not in state.pools:
            raise ApiError(404, f"node pool {name} not found")
        region = state.settings.region
        if any(n.node_pool == name for n in state.nodes.values()):
            raise ApiError(500, f'1 error occurred:\n\t* node pool "{name}" has nodes in regions: [{region}]\n\n')
        if any(j.node_pool == name and j.status != "dead" for j in state.jobs.values()):
            text = f'node pool "{name}" has non-terminal jobs in regions: [{region}]'
            raise ApiError(500, f"1 error occurred:\n\t* {text}\n\n")
        self._store.next_index("node_pools")
        del state.pools[name]

    # -- namespaces

    def namespaces(self, *, prefix: str = "", stale: bool = False) -> list[Json]:
        """``GET /v1/namespaces``."""
        self._need_leader(stale=stale)
        found = sorted(self._store.state.namespaces.values(), key=lambda n: n.name)
        return [_namespace(n) for n in found if n.name.startswith(prefix)]

    def put_namespace(self, body: Mapping[str, Any]) -> None:
        """``PUT /v1/namespace/:name``."""
        self._need_leader()
        name = field_of(body, "Name") or ""
        if _NAMESPACE.fullmatch(name) is None:
            fault = f'invalid name "{name}". Must match regex ^[a-zA-Z0-9-]{{1,128}}$'
            raise ApiError(500, f'Invalid namespace "{name}": 1 error occurred:\n\t* {fault}\n\n')
        index = self._store.next_index("namespaces")
        old = self._store.state.namespaces.get(name)
        self._store.state.namespaces[name] = Namespace(
            name,
            description=field_of(body, "Description") or "",
            meta=field_of(body, "Meta"),
            create_index=old.create_index if old is not None else index,
            modify_index=index,
        )

    def namespace(self, name: str, *, stale: bool = False) -> Json:
        """``GET /v1/namespace/:name``."""
        self._need_leader(stale=stale)
        if name not in self._store.state.namespaces:
            raise ApiError(404, "Namespace not found")
        return _namespace(self._store.state.namespaces[name])

    def delete_namespace(self, name: str) -> None:
        """``DELETE /v1/namespace/:name``; refused while jobs or variables are in it."""
        self._need_leader()
        state = self._store.state
        if name == "default":
            raise ApiError(500, "can not delete default namespace")
        if name not in state.namespaces:
            raise ApiError(500, "namespace not found")
        if any(j.namespace == name and j.status != "dead" for j in state.jobs.values()):
            region = state.settings.region
            raise ApiError(500, f'namespace "{name}" has non-terminal jobs in regions: [{region}]')
        if any(v.namespace == name for v in state.variables.values()):
            raise ApiError(500, f'namespace "{name}" has non-terminal variables')
        self._store.next_index("namespaces")
        del state.namespaces[name]

    # -- scheduler configuration

    def scheduler_configuration(self, *, stale: bool = False) -> Json:
        """``GET /v1/operator/scheduler/configuration``."""
        self._need_leader(stale=stale)
        config = self._store.state.scheduler
        return {
            "Index": config.modify_index,
            "KnownLeader": True,
            "LastContact": 0,
            "NextToken": "",
            "SchedulerConfig": render.scheduler(config),
        }

    def put_scheduler_configuration(self, body: Mapping[str, Any], *, cas: int | None = None) -> Json:
        """``PUT /v1/operator/scheduler/configuration``: replaces everything; an old ``cas`` changes nothing."""
        self._need_leader()
        algorithm = field_of(body, "SchedulerAlgorithm") or ""
        if algorithm not in ("", "binpack", "spread"):
            raise ApiError(400, f"invalid scheduler algorithm: {algorithm}")
        old = self._store.state.scheduler
        index = self._store.next_index("scheduler_config")
        if cas is not None and cas != old.modify_index:
            return {"Index": index, "Updated": False}
        names = (
            "BatchSchedulerEnabled",
            "ServiceSchedulerEnabled",
            "SysBatchSchedulerEnabled",
            "SystemSchedulerEnabled",
        )
        preemption = fold(field_of(body, "PreemptionConfig"), dict.fromkeys(names, False))
        new = SchedulerConfiguration(
            algorithm=algorithm,
            preempt_batch=preemption["BatchSchedulerEnabled"],
            preempt_service=preemption["ServiceSchedulerEnabled"],
            preempt_sysbatch=preemption["SysBatchSchedulerEnabled"],
            preempt_system=preemption["SystemSchedulerEnabled"],
            memory_oversubscription=bool(field_of(body, "MemoryOversubscriptionEnabled")),
            reject_job_registration=bool(field_of(body, "RejectJobRegistration")),
            pause_eval_broker=bool(field_of(body, "PauseEvalBroker")),
            node_limit=int(field_of(body, "NodeLimitForFeasibilityChecks") or 0),
            create_index=old.create_index,
            modify_index=index,
        )
        self._store.state.scheduler = new
        self._broker.wake()
        return {"Index": index, "Updated": True}

    # -- system

    def system_gc(self) -> None:
        """``PUT /v1/system/gc``: drop all that has ended, now."""
        self._need_leader()
        self._collector.run(force=True)

    def system_reconcile_summaries(self) -> None:
        """``PUT /v1/system/reconcile/summaries``: all are made anew; the world's had no mistake."""
        self._need_leader()
        index = self._store.next_index("job_summary")
        for job in self._store.state.jobs.values():
            job.summary.rebuilt, job.summary.modify_index = True, index

    def status_leader(self, *, stale: bool = False) -> bool:
        """Whether there is a leader; its address is the servers' simulation's business."""
        self._need_leader(stale=stale)
        return self._store.state.leader


def _namespace(found: Namespace) -> Json:
    return {**render.namespace(found), "Hash": _digest(found.name, found.description, meta=found.meta)}


def _digest(*parts: str, meta: Mapping[str, str] | None) -> str:
    """Give the hash of what a user set, as Nomad makes it (recordings 130, 141, 271)."""
    pairs = (text for key in sorted(meta or {}) for text in (key, (meta or {})[key]))
    whole = "".join((*parts, *pairs)).encode()
    return base64.b64encode(hashlib.blake2b(whole, digest_size=32).digest()).decode()
