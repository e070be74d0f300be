"""The long-running service: a loop for each group in force, whose documents change while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from anyio.abc import TaskGroup

from reconciler.loop import GroupLoop, Outside, Report, Surprised, run_for_ever
from schemas.document import ClusterGroup


@dataclass(slots=True, kw_only=True)
class Service:
    """Starts, changes and ends the loops of groups; each goes on by itself, whatever befalls the others."""

    tasks: TaskGroup
    outside: Outside
    report: Report
    surprised: Surprised
    loops: dict[str, GroupLoop] = field(default_factory=dict)

    def serve(self, groups: Mapping[str, ClusterGroup]) -> None:
        """Have these groups served from now on, each as its document says; any other group is left alone.

        A document takes its loop's next tick, and brings it forward. One that says that the cluster is to be found
        elsewhere has a loop of its own, and the old one gives its lock back.
        """
        for name in self.loops.keys() - groups.keys():
            self.loops.pop(name).end()
        for name, group in groups.items():
            loop, ports = self.loops.get(name), self.outside(group)
            if loop is not None and loop.ports is ports:
                if loop.group != group:
                    loop.take(group)
                continue
            if loop is not None:
                loop.end()
            self.loops[name] = GroupLoop(group, ports)
            self.tasks.start_soon(self._run, self.loops[name])

    def hurry(self, name: str) -> None:
        """Bring a group's next tick forward: something may have changed."""
        if name in self.loops:
            self.loops[name].hurry()

    def owns(self, name: str, instance_id: str) -> bool | None:
        """Tell whether a machine is the group's, by its last look; None: it has not looked yet, or saw nothing."""
        seen = self.loops[name].seen if name in self.loops else frozenset[str]()
        return None if seen is None else instance_id in seen

    async def _run(self, loop: GroupLoop) -> None:
        await run_for_ever(loop, report=self.report, surprised=self.surprised)
