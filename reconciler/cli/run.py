"""``reconcile`` itself: one pass, as many as it takes, or for ever."""

from __future__ import annotations

from collections.abc import Sequence

import anyio

from reconciler import bootstrap
from reconciler.cli.exits import ExitError
from reconciler.cli.gather import duration, groups_of, open_sandbox
from reconciler.cli.options import Given
from reconciler.cli.show.progress import Progress
from reconciler.cli.show.report import show_runs
from reconciler.loop import Ports, Run, exit_code, run_for_ever, run_once
from schemas.document import ClusterGroup


def run(given: Given, *, once: bool, wait: str | None, digest: str | None) -> None:
    """Do what the command line says; ends with an ExitError unless all is well."""
    waiting = duration(wait, option="--wait") if wait else None
    groups = groups_of(given)
    world = open_sandbox(given)
    progress = Progress(groups, verbose=given.verbose)
    if not once:
        world.run_in_real_time(lambda ports: _for_ever(groups, ports, progress))
        return

    async def all_groups(ports: Ports) -> list[Run]:
        loops = bootstrap.loops(groups, ports)
        if digest is not None:
            await _check_digest(loops, digest)
        runs: list[Run] = []

        async def one(loop: bootstrap.GroupLoop) -> None:
            runs.append(await run_once(loop, ports.clock, wait=waiting, report=progress.tick))

        async with anyio.create_task_group() as tasks:
            for loop in loops:
                tasks.start_soon(one, loop)
        return sorted(runs, key=lambda r: r.last.group.metadata.name)

    runs = world.run(all_groups)
    show_runs(runs, given.output)
    if code := exit_code(runs):
        raise ExitError(code)


async def _for_ever(groups: Sequence[ClusterGroup], ports: Ports, progress: Progress) -> None:
    async with anyio.create_task_group() as tasks:
        for loop in bootstrap.loops(groups, ports):
            tasks.start_soon(run_for_ever, loop, ports.clock, progress.tick)


async def _check_digest(loops: Sequence[bootstrap.GroupLoop], digest: str) -> None:
    """Refuse to go on unless the plan is still the one that somebody looked at."""
    digests = [(await loop.plan()).plan.digest for loop in loops]
    if digest not in digests or len(loops) > 1:
        raise ExitError(1, f"the plan has changed since: its digest is {', '.join(digests)}, not {digest}; nothing was done")
