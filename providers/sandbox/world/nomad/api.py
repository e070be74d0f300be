"""Nomad's HTTP API without HTTP: a method for each route, JSON in and out (source: facts/nomad.md §1, recordings/http).

Answers are made once for each modification and then handed out again: callers must not change them. Refusals are
``ApiError``; without a leader everything but stale reads is ``500 No cluster leader``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from providers.sandbox.world.nomad import render
from providers.sandbox.world.nomad.canonical import field_of, fold
from providers.sandbox.world.nomad.diff import annotate
from providers.sandbox.world.nomad.errors import NO_LEADER, ApiError
from providers.sandbox.world.nomad.nodes_api import NodesApi
from providers.sandbox.world.nomad.operator_api import OperatorApi
from providers.sandbox.world.nomad.scheduling import blocked_eval

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.agents import Agents
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.blocked import BlockedEvals
    from providers.sandbox.world.nomad.broker import EvalBroker
    from providers.sandbox.world.nomad.deployments import DeploymentWatcher
    from providers.sandbox.world.nomad.drains import Drainer
    from providers.sandbox.world.nomad.gc import Collector
    from providers.sandbox.world.nomad.job import Job
    from providers.sandbox.world.nomad.jobs import Jobs
    from providers.sandbox.world.nomad.nodes import Nodes
    from providers.sandbox.world.nomad.store import Store
    from providers.sandbox.world.nomad.worker import Worker

Json = dict[str, Any]

_BUILT_IN = frozenset({"node_pools", "namespaces", "variables"})


class Api(NodesApi, OperatorApi):
    """Jobs, evaluations, allocations, deployments; nodes and operator routes come from the bases."""

    def __init__(
        self,
        store: Store,
        *,
        jobs: Jobs,
        nodes: Nodes,
        drainer: Drainer,
        deployments: DeploymentWatcher,
        agents: Agents,
        worker: Worker,
        broker: EvalBroker,
        blocked: BlockedEvals,
        collector: Collector,
    ) -> None:
        self._store = store
        self._jobs = jobs
        self._nodes = nodes
        self._drainer = drainer
        self._deployments = deployments
        self._agents = agents
        self._worker = worker
        self._broker = broker
        self._blocked = blocked
        self._collector = collector
        self._calendar = render.Calendar(store.state.settings.epoch_unix, store.kernel.calendar.pace)
        self._made: dict[tuple[str, str], tuple[object, Json]] = {}

    # -- common

    def _need_leader(self, *, stale: bool = False) -> None:
        if not self._store.state.leader and not stale:
            raise ApiError(500, NO_LEADER)

    def _cached(self, kind: str, key: str, stamp: object, make: Callable[[], Json]) -> Json:
        """Give an answer made earlier for the same state of the record, else make it."""
        found = self._made.get((kind, key))
        if found is not None and found[0] == stamp:
            return found[1]
        made = make()
        self._made[kind, key] = (stamp, made)
        return made

    def _trim(self) -> None:
        """Forget answers about records that are gone, now and then."""
        state = self._store.state
        if len(self._made) > 4 * (len(state.allocs) + len(state.evals) + len(state.nodes) + len(state.jobs)) + 1000:
            self._made.clear()

    @property
    def index(self) -> int:
        """The raft index of the last write."""
        return self._store.state.index

    def table_index(self, *tables: str) -> int:
        """The index of the last write to any of these tables (``X-Nomad-Index`` of lists); 0: nothing was ever written.

        What a cluster has from its beginning was written at 1.
        """
        return max((self._store.state.tables.get(t, int(t in _BUILT_IN)) for t in tables), default=0)

    # -- jobs

    def register_job(self, body: Mapping[str, Any], *, namespace: str = "") -> Json:
        """``POST /v1/jobs``."""
        self._need_leader()
        job = field_of(body, "Job")
        if not job:
            raise ApiError(400, "Job must be specified")
        enforce = field_of(body, "JobModifyIndex") or 0 if field_of(body, "EnforceIndex") else None
        return self._jobs.register(job, namespace=namespace, enforce_index=enforce)

    def deregister_job(self, job_id: str, *, namespace: str = "default", purge: bool = False) -> Json:
        """``DELETE /v1/job/:id``."""
        self._need_leader()
        return self._jobs.deregister(namespace, job_id, purge=purge)

    def _job(self, namespace: str, job_id: str) -> Job:
        found = self._jobs.find(namespace, job_id)
        if found is None:
            raise ApiError(404, "job not found")
        return found

    def _full_job(self, record: Job) -> Json:
        spec = self._store.spec(record.key)
        stamp = (record.modify_index, record.stable)
        return self._cached("job", record.name, stamp, lambda: render.job(record, spec, self._calendar))

    def job(self, job_id: str, *, namespace: str = "default", stale: bool = False) -> Json:
        """``GET /v1/job/:id``."""
        self._need_leader(stale=stale)
        return self._full_job(self._job(namespace, job_id))

    def jobs(
        self, *, namespace: str = "default", prefix: str = "", meta: bool = False, stale: bool = False
    ) -> list[Json]:
        """``GET /v1/jobs``: stubs with summaries, by namespace and id."""
        self._need_leader(stale=stale)
        found = []
        for record in sorted(self._store.state.jobs.values(), key=lambda j: (j.namespace, j.id)):
            if namespace not in ("*", record.namespace) or not record.id.startswith(prefix):
                continue
            spec = self._store.spec(record.key)
            stamp = (record.modify_index, record.summary.modify_index)
            stub = self._cached(
                "job stub",
                record.name,
                stamp,
                lambda r=record, s=spec: render.job_stub(r, s, self._calendar),  # type: ignore[misc]
            )
            found.append({**stub, "Meta": dict(spec.meta)} if meta and spec.meta else stub)
        return found

    def job_summary(self, job_id: str, *, namespace: str = "default", stale: bool = False) -> Json:
        """``GET /v1/job/:id/summary``."""
        self._need_leader(stale=stale)
        return render.summary(self._job(namespace, job_id))

    def job_allocations(
        self, job_id: str, *, namespace: str = "default", all_allocs: bool = False, stale: bool = False
    ) -> list[Json]:
        """``GET /v1/job/:id/allocations``; ``all_allocs``: of earlier jobs of this id as well."""
        self._need_leader(stale=stale)
        record = self._jobs.find(namespace, job_id)
        created = record.create_index if record is not None and not all_allocs else None
        found = self._store.job_allocs(f"{namespace}/{job_id}", create_index=created)
        return [self._stub(a, resources=False) for a in reversed(found)]

    def job_evaluations(self, job_id: str, *, namespace: str = "default", stale: bool = False) -> list[Json]:
        """``GET /v1/job/:id/evaluations``, newest first."""
        self._need_leader(stale=stale)
        evals = self._store.job_evals(f"{namespace}/{job_id}")
        return [render.evaluation(e, self._calendar) for e in reversed(evals)]

    def job_deployments(self, job_id: str, *, namespace: str = "default", stale: bool = False) -> list[Json]:
        """``GET /v1/job/:id/deployments``, newest first."""
        self._need_leader(stale=stale)
        found = self._store.job_deployments(f"{namespace}/{job_id}")
        return [render.deployment(d, self._calendar) for d in reversed(found)]

    def job_deployment(self, job_id: str, *, namespace: str = "default", stale: bool = False) -> Json | None:
        """``GET /v1/job/:id/deployment``: the latest, or null."""
        self._need_leader(stale=stale)
        latest = self._store.latest_deployment(f"{namespace}/{job_id}")
        return render.deployment(latest, self._calendar) if latest is not None else None

    def evaluate_job(self, job_id: str, body: Mapping[str, Any] | None = None, *, namespace: str = "default") -> Json:
        """``PUT /v1/job/:id/evaluate``."""
        self._need_leader()
        options = field_of(body, "EvalOptions")
        force = bool(field_of(options, "ForceReschedule"))
        return self._jobs.evaluate(field_of(body, "Namespace") or namespace, job_id, force_reschedule=force)

    def plan_job(self, job_id: str, body: Mapping[str, Any], *, namespace: str = "") -> Json:
        """``PUT /v1/job/:id/plan``: what the scheduler would do now, and with ``Diff`` what is different."""
        self._need_leader()
        raw = field_of(body, "Job")
        if not raw:
            raise ApiError(400, "Job must be specified")
        if field_of(raw, "ID") != job_id:
            raise ApiError(400, "Job ID does not match")
        outcome, index, warnings, evaluation, diff = self._jobs.plan(raw, namespace=namespace)
        created = [blocked_eval(self._store, evaluation, outcome)] if outcome.failed else []
        if outcome.blocked_nodes:
            created = [e for _, e in outcome.blocked_nodes]
        failed = {g: render.metrics(m) for g, m in outcome.failed.items()}
        annotations = render.desired(outcome.desired) or {}
        if shown := bool(field_of(body, "Diff")):
            annotate(diff, annotations.get("DesiredTGUpdates") or {})
        victims = [v for n in outcome.plan.preemptions.values() for v in n.values()]
        annotations["PreemptedAllocs"] = [self._stub(v, resources=False) for v in victims] or None
        return {
            "Annotations": annotations,
            "CreatedEvals": [render.evaluation(e, self._calendar) for e in created] or None,
            "Diff": diff if shown else None,
            "FailedTGAllocs": failed or None,
            "Index": index,
            "JobModifyIndex": index,
            "NextPeriodicLaunch": None,
            "Warnings": warnings,
        }

    def scale_job(self, job_id: str, body: Mapping[str, Any], *, namespace: str = "default") -> Json:
        """``POST /v1/job/:id/scale``."""
        self._need_leader()
        target = field_of(body, "Target") or {}
        return self._jobs.scale(
            namespace,
            job_id,
            target.get("Group", ""),
            field_of(body, "Count"),
            message=field_of(body, "Message") or "",
            meta=field_of(body, "Meta"),
        )

    def dispatch_job(
        self,
        job_id: str,
        body: Mapping[str, Any] | None = None,
        *,
        namespace: str = "default",
        idempotency_token: str = "",
    ) -> Json:
        """``POST /v1/job/:id/dispatch``."""
        self._need_leader()
        return self._jobs.dispatch(
            namespace,
            job_id,
            meta=field_of(body, "Meta"),
            payload=field_of(body, "Payload"),
            token=idempotency_token,
        )

    def force_periodic(self, job_id: str, *, namespace: str = "default") -> Json:
        """``PUT /v1/job/:id/periodic/force``."""
        self._need_leader()
        return self._jobs.force_periodic(namespace, job_id)

    # -- evaluations

    def evaluations(
        self,
        *,
        namespace: str = "default",
        prefix: str = "",
        status: str = "",
        job: str = "",
        reverse: bool = False,
        stale: bool = False,
    ) -> list[Json]:
        """``GET /v1/evaluations``, oldest first; ``status`` and ``job`` match exactly."""
        self._need_leader(stale=stale)
        self._trim()
        found = []
        for e in self._store.state.evals.values():
            if namespace not in ("*", e.namespace) or not e.id.startswith(prefix):
                continue
            if (status and e.status != status) or (job and e.job_id != job):
                continue
            found.append(
                self._cached(
                    "eval",
                    e.id,
                    (e.modify_index, e.status),
                    lambda e=e: render.evaluation(e, self._calendar),  # type: ignore[misc]
                )
            )
        return found[::-1] if reverse else found

    def evaluation(self, eval_id: str, *, related: bool = False, stale: bool = False) -> Json:
        """``GET /v1/evaluation/:id``."""
        self._need_leader(stale=stale)
        found = self._store.state.evals.get(eval_id)
        if found is None:
            raise ApiError(404, "eval not found")
        out = render.evaluation(found, self._calendar)
        if related:
            ids = (found.previous, found.next, found.blocked)
            others = [e for i in ids if i and (e := self._store.state.evals.get(i)) is not None]
            out["RelatedEvals"] = [render.evaluation_stub(e, self._calendar) for e in others]
        return out

    def evaluation_allocations(self, eval_id: str, *, stale: bool = False) -> list[Json]:
        """``GET /v1/evaluation/:id/allocations``."""
        self._need_leader(stale=stale)
        return [self._stub(a, resources=False) for a in self._store.state.allocs.values() if a.eval_id == eval_id]

    # -- allocations

    def _stub(self, alloc: Allocation, *, resources: bool, task_states: bool = True) -> Json:
        stamp = (alloc.modify_index, alloc.next)
        spec = self._store.spec(alloc.job_key)
        full = self._cached("alloc stub", alloc.id, stamp, lambda: render.allocation_stub(alloc, spec, self._calendar))
        if resources and task_states:
            return full

        def lean() -> Json:
            out = dict(full)
            if not resources:
                del out["AllocatedResources"]
            if not task_states:
                out["TaskStates"] = None
            return out

        return self._cached(f"alloc stub {resources:d}{task_states:d}", alloc.id, stamp, lean)

    def _full_alloc(self, alloc: Allocation) -> Json:
        spec = self._store.spec(alloc.job_key)
        return self._cached(
            "alloc",
            alloc.id,
            (alloc.modify_index, alloc.next),
            lambda: render.allocation(alloc, spec, dict(spec.raw), self._calendar),
        )

    def allocations(
        self,
        *,
        namespace: str = "default",
        prefix: str = "",
        resources: bool = False,
        task_states: bool = True,
        reverse: bool = False,
        stale: bool = False,
    ) -> list[Json]:
        """``GET /v1/allocations``: stubs, oldest first."""
        self._need_leader(stale=stale)
        self._trim()
        found = [
            self._stub(a, resources=resources, task_states=task_states)
            for a in self._store.state.allocs.values()
            if namespace in ("*", a.namespace) and a.id.startswith(prefix)
        ]
        return found[::-1] if reverse else found

    def allocation(self, alloc_id: str, *, stale: bool = False) -> Json:
        """``GET /v1/allocation/:id``: in full, with its job."""
        self._need_leader(stale=stale)
        found = self._store.state.allocs.get(alloc_id)
        if found is None:
            raise ApiError(404, "alloc not found")
        return self._full_alloc(found)

    def allocation_stub(self, alloc_id: str) -> Json:
        """One allocation as lists show it."""
        return self._stub(self._store.state.allocs[alloc_id], resources=False)

    def stop_allocation(self, alloc_id: str, *, no_shutdown_delay: bool = False, reschedule: bool = False) -> Json:
        """``PUT /v1/allocation/:id/stop``: stop and replace."""
        self._need_leader()
        return self._jobs.stop_alloc(alloc_id, no_shutdown_delay=no_shutdown_delay, reschedule=reschedule)

    def _node_allocs(self, allocs: Iterable[Allocation]) -> list[Json]:
        return [self._full_alloc(a) for a in allocs]

    # -- deployments

    def deployments(self, *, namespace: str = "default", prefix: str = "", stale: bool = False) -> list[Json]:
        """``GET /v1/deployments``, oldest first."""
        self._need_leader(stale=stale)
        return [
            render.deployment(d, self._calendar)
            for d in self._store.state.deployments.values()
            if namespace in ("*", d.namespace) and d.id.startswith(prefix)
        ]

    def promote_deployment(self, deployment_id: str, body: Mapping[str, Any] | None = None) -> Json:
        """``PUT /v1/deployment/promote/:id``; ``All`` or ``Groups``."""
        self._need_leader()
        options = fold(body, {"All": True, "Groups": None})
        return self._deployments.promote(deployment_id, options["Groups"])

    def fail_deployment(self, deployment_id: str) -> Json:
        """``PUT /v1/deployment/fail/:id``."""
        self._need_leader()
        return self._deployments.fail_by_user(deployment_id)

    def pause_deployment(self, deployment_id: str, *, pause: bool) -> Json:
        """``PUT /v1/deployment/pause/:id``."""
        self._need_leader()
        return self._deployments.pause(deployment_id, pause=pause)
