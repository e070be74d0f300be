"""Choosing a node for one copy: filters, room, scores, in Nomad's order (source: ``scheduler/feasible/stack.go``)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from providers.sandbox.world.nomad.allocation import PlacementMetrics
from providers.sandbox.world.nomad.feasible import Feasibility
from providers.sandbox.world.nomad.preemption import Preemptor
from providers.sandbox.world.nomad.rank import (
    BinPack,
    Ranked,
    finish,
    score_affinity,
    score_anti_affinity,
    score_penalty,
)
from providers.sandbox.world.nomad.spread import Spreads

if TYPE_CHECKING:
    from providers.sandbox.world.nomad.context import Context
    from providers.sandbox.world.nomad.jobspec import GroupSpec, JobSpec
    from providers.sandbox.world.nomad.node import Node

_MAX_SKIP = 3  # nodes that score no more than 0 are looked at last
_DEFAULT_NODE_LIMIT = 100


class GenericStack:
    """For service and batch jobs: a few feasible nodes in random order, the best of them."""

    def __init__(self, ctx: Context, job: JobSpec, *, batch: bool) -> None:
        self._ctx = ctx
        self._batch = batch
        self._nodes: list[Node] = []
        self._offset = 0
        self._limit = 2
        self.set_job(job)

    def set_job(self, job: JobSpec) -> None:
        """Place copies of this version from now on."""
        self._job = job
        self._ctx.eligibility.set_job(job)
        self._feasible = Feasibility(self._ctx, job, distinct_hosts=True)
        self._pack = BinPack(self._ctx, job)
        self._spreads = Spreads(self._ctx, job)

    def set_nodes(self, nodes: list[Node]) -> None:
        """Look at these from now on, shuffled."""
        self._nodes = list(nodes)
        if len(nodes) > 1:
            self._ctx.kernel.chance().shuffle(self._nodes)
        self._offset = 0
        self._limit = 2
        if not self._batch and nodes:
            self._limit = max(2, math.ceil(math.log2(len(nodes))))

    def select(
        self,
        group: GroupSpec,
        name: str,
        *,
        penalty: frozenset[str] = frozenset(),
        preferred: Node | None = None,
        preempt: bool = False,
    ) -> Ranked | None:
        """Choose a node for the copy called ``name``; None when there is none (see the metrics)."""
        if preferred is not None:
            nodes, offset = self._nodes, self._offset
            self._nodes, self._offset = [preferred], 0
            found = self.select(group, name, penalty=penalty, preempt=preempt)
            self._nodes, self._offset = nodes, offset if found is None else 0
            if found is not None:
                return found
            self._offset = 0
        self._ctx.metrics = PlacementMetrics()
        self._feasible.set_group(group)
        spreads = self._spreads.set_group(group)
        self._pack.evict = preempt
        if spreads or self._job.affinities or group.affinities:
            self._limit = max(group.count, self._ctx.config.node_limit or _DEFAULT_NODE_LIMIT)
        best: Ranked | None = None
        for option in self._limited(self._ranked(group, name, penalty, spreads=spreads)):
            if best is None or option.final > best.final:
                best = option
        return best

    def _walk(self) -> Iterator[Node]:
        """Go once round the ring of nodes, on from where the last selection stopped."""
        for _ in range(len(self._nodes)):
            if self._offset == len(self._nodes):
                self._offset = 0
            node = self._nodes[self._offset]
            self._offset += 1
            self._ctx.metrics.nodes_evaluated += 1
            yield node

    def _ranked(self, group: GroupSpec, name: str, penalty: frozenset[str], *, spreads: bool) -> Iterator[Ranked]:
        for node in self._walk():
            if not self._feasible.passes(node, group, name):
                continue
            option = self._pack.try_node(node, group)
            if option is None:
                continue
            score_anti_affinity(option, self._ctx.proposed(node.id), self._job, group)
            score_penalty(option, penalty)
            score_affinity(option, self._job, group)
            if spreads and (score := self._spreads.score(node, group)) != 0.0:
                option.add("allocation-spread", score)
            if option.victims:
                option.add("preemption", Preemptor(self._ctx, self._job, node).score(option.victims))
            finish(option)
            self._ctx.score_node(node, option.final, option.parts)
            yield option

    def _limited(self, source: Iterator[Ranked]) -> Iterator[Ranked]:
        """Look at a few only; those scoring no more than 0 are put off, three at most."""
        skipped: list[Ranked] = []
        taken = 0

        def following() -> Ranked | None:
            nonlocal taken
            option = next(source, None)
            if option is None and taken < len(skipped):
                option = skipped[taken]
                taken += 1
            return option

        for _ in range(self._limit):
            option = following()
            if option is None:
                return
            while option is not None and option.final <= 0 and len(skipped) < _MAX_SKIP:
                skipped.append(option)
                option = next(source, None)
            if option is None:
                option = following()
            if option is None:
                return
            yield option


class SystemStack:
    """For system and sysbatch jobs: each node by itself."""

    def __init__(self, ctx: Context, job: JobSpec, *, sysbatch: bool) -> None:
        self._ctx = ctx
        self._job = job
        ctx.eligibility.set_job(job)
        self._feasible = Feasibility(ctx, job, distinct_hosts=False)
        self._pack = BinPack(ctx, job)
        self._pack.evict = ctx.config.preempt_sysbatch if sysbatch else ctx.config.preempt_system

    def select(self, node: Node, group: GroupSpec, name: str) -> Ranked | None:
        """Try one node for the copy called ``name``."""
        self._ctx.metrics = PlacementMetrics()
        self._ctx.eligibility.reset()
        self._feasible.set_group(group)
        self._ctx.metrics.nodes_evaluated = 1
        if not self._feasible.passes(node, group, name):
            return None
        option = self._pack.try_node(node, group)
        if option is not None:
            finish(option)
            self._ctx.score_node(node, option.final, option.parts)
        return option
