"""The service put together: documents that are followed, a loop for each group, and queues that hurry them."""

from __future__ import annotations

import signal
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import anyio

from providers.events.poller import Consumer, Poller
from reconciler.bootstrap.outside import Doors
from reconciler.bootstrap.watched import Documents, follow
from reconciler.loop import Report, Surprised
from reconciler.service import Service
from schemas.document import ClusterGroup
from schemas.events import Event


async def serve(
    doors: Doors,
    files: Sequence[str],
    *,
    wanted: Callable[[str], bool],
    report: Report,
    surprised: Surprised,
    told: Callable[[str], None],
) -> None:
    """Serve all wanted groups until SIGTERM, which is how a service is told to end: what is begun is in the journal.

    ``told`` hears what is wrong with documents that are not in force, each trouble once.
    """
    async with anyio.create_task_group() as tasks:
        service = Service(tasks=tasks, outside=doors, report=report, surprised=surprised)
        news = _News(told=told)
        queues = _Queues(doors=doors, service=service)

        def changed(documents: Documents) -> None:
            standing = {n: s for n, s in documents.in_force.groups.items() if wanted(n)}
            service.serve({name: one.loaded.group for name, one in standing.items()})
            for poll in queues.opened(one.loaded.group for one in standing.values()):
                tasks.start_soon(poll)
            news.tell(
                [*documents.troubles, *(str(p) for p in documents.in_force.problems)]
                + [f"{p}; its last sound version stays in force" for s in standing.values() for p in s.problems]
            )

        tasks.start_soon(partial(follow, files, changed))
        with anyio.open_signal_receiver(signal.SIGTERM) as signals:
            async for _ in signals:
                tasks.cancel_scope.cancel()


@dataclass(slots=True, kw_only=True)
class _News:
    """Tells a trouble when it begins, and again when it comes back."""

    told: Callable[[str], None]
    last: frozenset[str] = frozenset()

    def tell(self, troubles: Sequence[str]) -> None:
        for trouble in troubles:
            if trouble not in self.last:
                self.told(trouble)
        self.last = frozenset(troubles)


@dataclass(slots=True, kw_only=True)
class _Queues:
    """Empties each queue once, for all groups that share it; a warning brings the tick of its group forward.

    Nothing is decided from a warning alone, so that there is nothing to be written down before it is deleted: what it
    warns of is seen by the tick that it hurries, and by every later one.
    """

    doors: Doors
    service: Service
    polled: set[str] = field(default_factory=set)

    def opened(self, groups: Iterable[ClusterGroup]) -> list[Callable[[], Coroutine[Any, Any, None]]]:
        """Give what empties the queues that nobody empties yet."""
        found = []
        for group in groups:
            url, box = group.spec.aws.interruption_queue, self.doors.box(group)
            if url is None or box is None or url in self.polled:
                continue
            self.polled.add(url)
            poller = Poller(box, partial(self._consumers, url), self.doors(group).clock.now)
            found.append(poller.run)
        return found

    def _consumers(self, url: str) -> list[Consumer]:
        loops = self.service.loops
        sharing = [n for n, loop in loops.items() if loop.group.spec.aws.interruption_queue == url]
        return [Consumer(name=n, owns=partial(self.service.owns, n), keep=partial(self._hurry, n)) for n in sharing]

    async def _hurry(self, name: str, _: Sequence[Event]) -> None:
        self.service.hurry(name)
