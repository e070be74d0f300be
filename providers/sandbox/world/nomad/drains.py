"""Drains: work leaves a node in steps, by a deadline (source: facts/nomad.md §4, ``nomad/drainer``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from providers.sandbox.world.nomad import evaluation as ev
from providers.sandbox.world.nomad import node as nd
from providers.sandbox.world.nomad.allocation import Transition
from providers.sandbox.world.nomad.evaluation import Evaluation
from providers.sandbox.world.nomad.node import DrainStrategy, LastDrain
from providers.sandbox.world.nomad.nodes import DRAIN
from providers.sandbox.world.nomad.state import DrainWork

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.allocation import Allocation
    from providers.sandbox.world.nomad.jobspec import GroupSpec
    from providers.sandbox.world.nomad.node import Node
    from providers.sandbox.world.nomad.nodes import Nodes
    from providers.sandbox.world.nomad.store import Store
    from providers.sandbox.world.nomad.worker import Worker

DRAINING, COMPLETE, CANCELED = "draining", "complete", "canceled"
_ACCESSOR = "token:acls-disabled"
_LOOK = 0.02  # how soon the job watcher sees a change
_AT_ONCE, _SOON = 0.5, 0.005  # an empty node's drain may be complete before the request is answered, or just after


class Drainer:
    """The leader's drainer."""

    def __init__(self, store: Store, nodes: Nodes, worker: Worker) -> None:
        self._store = store
        self._nodes = nodes
        self._worker = worker
        self._state = store.state.drainer
        store.kernel.on("nomad.drain_look", self._look)
        store.kernel.on("nomad.drain_work", self._work)
        store.kernel.on("nomad.drain_deadline", self._deadline)
        store.kernel.on("nomad.drain_done", self._done)

    @property
    def _now(self) -> float:
        return self._store.kernel.now

    # -- what people ask for

    def set_drain(
        self, node: Node, spec: Mapping[str, Any] | None, *, mark_eligible: bool, meta: Mapping[str, str] | None
    ) -> int:
        """Start, change (the deadline counts anew) or cancel a drain; gives the index of the write."""
        old, new = node.drain, None
        if spec is not None:
            deadline = spec["Deadline"] / 1e9
            new = DrainStrategy(
                deadline=deadline,
                ignore_system_jobs=spec["IgnoreSystemJobs"],
                started_at=old.started_at if old is not None else self._now,
                force_deadline=self._now + deadline if deadline > 0 else None,
            )
        message = {
            (False, True): "Node drain strategy set",
            (True, True): "Node drain strategy updated",
            (True, False): "Node drain disabled",
        }.get((old is not None, new is not None), "")
        index = self._write(node, new, message, mark_eligible=mark_eligible, meta=meta)
        if new is not None:
            self._track(node)
        else:
            self._forget(node.id)
        return index

    def _write(
        self,
        node: Node,
        drain: DrainStrategy | None,
        message: str,
        *,
        mark_eligible: bool = False,
        meta: Mapping[str, str] | None = None,
        completed: bool = False,
        details: Mapping[str, str] | None = None,
    ) -> int:
        index = self._store.next_index("nodes")
        node.status_updated_at = self._now
        if message:
            self._nodes.add_event(node, index, message, DRAIN, **(details or {}))
        old, node.drain = node.drain, drain
        if drain is not None:
            node.eligibility = nd.INELIGIBLE
        elif mark_eligible:
            node.eligibility = nd.ELIGIBLE
        if old is not None or drain is not None:
            if old is None:
                node.last_drain = LastDrain(self._now, self._now, DRAINING, meta=dict(meta) if meta else None)
            elif node.last_drain is None:
                node.last_drain = LastDrain(old.started_at, self._now, DRAINING, meta=dict(meta) if meta else None)
            last = node.last_drain
            if last is not None:
                last.updated_at = self._now
                if meta:
                    last.meta = dict(meta)
                if not completed:
                    last.accessor_id = _ACCESSOR
                last.status = DRAINING if drain is not None else COMPLETE if completed else CANCELED
        node.modify_index = index
        return index

    # -- tracking

    def _track(self, node: Node) -> None:
        """Begin with a node, or take a changed drain in: watch its deadline and jobs; done at once when empty."""
        drain = node.drain
        if drain is None:
            return
        if drain.deadline < 0:  # over at once, but the job watcher is heard first (recorded)
            self._state.deadlines[node.id] = self._now + 2 * _LOOK
        elif drain.force_deadline is not None:
            self._state.deadlines[node.id] = drain.force_deadline
        else:
            self._state.deadlines.pop(node.id, None)
        before = len(self._state.jobs)
        for alloc in self._store.node_allocs(node.id):
            if not alloc.terminal and alloc.job_type != "system":
                self._state.jobs[f"{alloc.namespace}/{alloc.job_id}"] = None
        if len(self._state.jobs) != before:
            self._state.handled = 1  # with a new job the watcher looks at everything again
            self._wake()
        self._set_timer()
        if self._is_done(node):
            if self._store.kernel.chance().random() < _AT_ONCE:
                self._finish(node)
            else:
                self._store.kernel.after(_SOON, "nomad.drain_done", node.id)

    def _finish(self, node: Node) -> None:
        self._transition(self._remaining(node))
        self._complete(node)

    def _done(self, node_id: str) -> None:
        node = self._store.state.nodes.get(node_id)
        if node is not None and node.drain is not None and self._is_done(node):
            self._finish(node)

    def restore(self) -> None:
        """Take up all drains, as a new leader does."""
        self._state.jobs, self._state.queue, self._state.deadlines = {}, [], {}
        self._state.requested, self._state.migrated, self._state.timer = False, [], None
        for node in list(self._store.state.nodes.values()):
            self._track(node)

    def _forget(self, node_id: str) -> None:
        self._state.deadlines.pop(node_id, None)
        self._set_timer()

    def changed(self, allocs: Iterable[Allocation]) -> None:
        """Look again when something of a draining job changed."""
        if self._state.jobs and any(f"{a.namespace}/{a.job_id}" in self._state.jobs for a in allocs):
            self._wake()

    def node_gone(self, node_id: str) -> None:
        """A node was purged."""
        self._forget(node_id)

    def _wake(self) -> None:
        if not self._state.looking and not self._state.requested:
            self._state.looking = True
            self._store.kernel.after(_LOOK, "nomad.drain_look")

    # -- the job watcher

    def _look(self) -> None:
        """Find what may leave now and which nodes lost their last work."""
        state = self._state
        state.looking = False
        if not self._store.state.leader or state.requested:
            return
        last, state.handled = state.handled, 0
        drain: list[str] = []
        for name in list(state.jobs):
            job = self._store.state.jobs.get(name)
            if job is None or job.type == "system":
                del state.jobs[name]
                continue
            allocs = self._store.job_allocs(name, create_index=job.create_index)
            state.handled = max([state.handled, *(a.modify_index for a in allocs)])
            done = True
            for group in self._store.spec(job.key).groups.values():
                if group.migrate is not None or job.type == "batch":
                    mine = [a for a in allocs if a.group == group.name]
                    done = self._look_at_group(group, mine, last, drain, batch=job.type == "batch") and done
            if done:
                del state.jobs[name]
        state.handled = state.handled or self._store.state.index
        if drain:
            state.requested = True
            self._queue(DrainWork("drain", drain))
        elif state.migrated:
            self._check_migrated()

    def _look_at_group(
        self, group: GroupSpec, allocs: list[Allocation], last: int, drain: list[str], *, batch: bool
    ) -> bool:
        """Choose what may leave so that enough healthy copies stay; whether nothing is left on draining nodes."""
        healthy = 0
        done = True
        drainable: list[str] = []
        for alloc in allocs:
            node = self._store.state.nodes.get(alloc.node_id)
            draining = node is not None and node.drain is not None
            if alloc.client_terminal and draining and alloc.modify_index > last:
                self._state.migrated.append(alloc.node_id)
                continue
            if not batch and not alloc.terminal and alloc.healthy is not None and not alloc.wants_migration:
                healthy += 1
            if not draining or alloc.client_terminal:
                continue
            done = False
            if not batch and not alloc.wants_migration:
                drainable.append(alloc.id)
        if not batch and group.migrate is not None:
            count = max(0, min(len(drainable), healthy - (group.count - group.migrate.max_parallel)))
            if count < len(drainable):
                self._store.kernel.chance().shuffle(drainable)
            drain += drainable[:count]
        return done

    def _check_migrated(self) -> None:
        """Complete the drains of nodes whose last work ended."""
        nodes, self._state.migrated = list(dict.fromkeys(self._state.migrated)), []
        done = []
        for node_id in nodes:
            node = self._store.state.nodes.get(node_id)
            if node is not None and node.drain is not None and self._is_done(node):
                done.append(node)
        self._transition([a for n in done for a in self._remaining(n)])
        for node in done:
            self._complete(node)

    # -- the work itself, one thing after the other

    def _queue(self, work: DrainWork) -> None:
        self._state.queue.append(work)
        if len(self._state.queue) == 1:
            self._begin()

    def _begin(self) -> None:
        """Transitions are gathered for a second before they are written."""
        self._store.kernel.after(self._store.state.settings.delays.drain_batch, "nomad.drain_work")

    def _work(self) -> None:
        state = self._state
        if not state.queue or not self._store.state.leader:
            return
        work = state.queue.pop(0)
        if work.kind == "drain":
            self._transition([a for i in work.ids if (a := self._store.state.allocs.get(i)) is not None])
            state.requested = False
            if state.migrated:
                self._check_migrated()
            self._wake()
        else:
            nodes = [n for i in work.ids if (n := self._store.state.nodes.get(i)) is not None and n.drain is not None]
            self._transition([a for n in nodes for a in self._remaining(n)])
            for node in nodes:
                self._complete(node, deadline_reached="true")
        if state.queue:
            self._begin()

    def _transition(self, allocs: list[Allocation]) -> None:
        """Mark allocations for migration and have their jobs looked at."""
        if not allocs:
            return
        changed: list[Allocation] = []
        evals: dict[str, Evaluation] = {}
        for alloc in allocs:
            new = alloc.clone()
            new.transition = new.transition or Transition()
            new.transition.migrate = True
            if alloc.job_type == "batch":
                new.transition.migrate_disable_placement = True
            changed.append(new)
            key = f"{alloc.namespace}/{alloc.job_id}"
            evals[key] = Evaluation(
                id=self._store.kernel.new_id(),
                namespace=alloc.namespace,
                job_id=alloc.job_id,
                type=alloc.job_type,
                priority=self._store.spec(alloc.job_key).priority,
                triggered_by=ev.NODE_DRAIN,
                create_time=self._now,
                modify_time=self._now,
            )
        index = self._store.next_index("allocs")
        self._store.upsert_allocs(index, changed)
        self._store.upsert_evals(index, evals.values(), nested=True)
        self._worker.hand_on(evals.values())
        self.changed(changed)

    def _is_done(self, node: Node) -> bool:
        return all(a.job_type == "system" or a.client_terminal for a in self._store.node_allocs(node.id))

    def _remaining(self, node: Node) -> list[Allocation]:
        skip = node.drain is not None and node.drain.ignore_system_jobs
        return [a for a in self._store.node_allocs(node.id) if not a.terminal and not (skip and a.job_type == "system")]

    def _complete(self, node: Node, **details: str) -> None:
        self._write(node, None, "Node drain complete", completed=True, details=details)
        self._forget(node.id)

    # -- deadlines

    def _set_timer(self) -> None:
        """Wait for the earliest deadline; those shortly after it are handled together, at the last of them."""
        state = self._state
        if not state.deadlines:
            state.timer = None
            return
        first = min(state.deadlines.values())
        window = first + self._store.state.settings.delays.drain_coalesce
        at = max(d for d in state.deadlines.values() if d < window)
        if at != state.timer:
            state.timer = at
            self._store.kernel.after(at - self._now, "nomad.drain_deadline", at)

    def _deadline(self, at: float) -> None:
        state = self._state
        if state.timer != at or not self._store.state.leader:
            return
        state.timer = None
        due = [n for n, deadline in state.deadlines.items() if deadline <= at]
        for node_id in due:
            del state.deadlines[node_id]
        if due:
            self._queue(DrainWork("deadline", due))
        self._set_timer()
