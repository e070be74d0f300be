"""``reconcile`` itself: one pass, as many as it takes, or for ever."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from functools import partial
from traceback import format_exception

import anyio
import click

from reconciler.cli.exits import FAILED, ExitError
from reconciler.cli.gather import Document, documents_of, duration
from reconciler.cli.history import Histories
from reconciler.cli.options import Given
from reconciler.cli.show.progress import Progress
from reconciler.cli.show.report import show_runs
from reconciler.cli.world import open_world
from reconciler.errors import ReconcilerError
from reconciler.loop import GroupLoop, Outside, Run, Tick, exit_code, run_for_ever, run_once
from schemas.document import ClusterGroup


def run(given: Given, *, once: bool, wait: str | None, digest: str | None) -> None:
    """Do what the command line says; ends with an ExitError unless all is well."""
    waiting = duration(wait, option="--wait") if wait is not None else None
    documents = documents_of(given, warn=True)
    if digest is not None and len(documents) > 1:
        names = ", ".join(d.group.metadata.name for d in documents)
        raise click.UsageError(f"--digest names the plan of one group: choose it with --group ({names})")
    world = open_world(given)
    groups = [document.group for document in documents]
    if not once:
        with Progress(groups, verbose=given.verbose, dated=True) as progress:
            world.run_in_real_time(lambda outside: _for_ever(documents, outside, progress))
        return
    histories = Histories()
    with Progress(groups, verbose=given.verbose) as progress:

        def report(tick: Tick) -> None:
            histories.add(tick)
            progress.tick(tick)

        async def all_groups(outside: Outside) -> list[Run]:
            loops = [GroupLoop(group, outside(group)) for group in groups]
            if digest is not None:
                await _check_digest(loops, digest)
            runs: list[Run] = []

            async def one(loop: GroupLoop) -> None:
                runs.append(await run_once(loop, wait=waiting, report=report))

            try:
                async with anyio.create_task_group() as tasks:
                    for loop in loops:
                        tasks.start_soon(one, loop)
            except* ReconcilerError as several:
                raise _first(several) from None  # the others say the same of their groups
            return sorted(runs, key=lambda r: r.last.group.metadata.name)

        runs = world.run(all_groups)
    show_runs(runs, histories.by_name, {d.group.metadata.name: d.warnings for d in documents}, given.output)
    if code := exit_code(runs):
        raise ExitError(code)


def _first(several: BaseExceptionGroup[ReconcilerError]) -> ReconcilerError:
    found = several.exceptions[0]
    return _first(found) if isinstance(found, BaseExceptionGroup) else found


async def _for_ever(documents: Sequence[Document], outside: Outside, progress: Progress) -> None:
    """Tick all groups until SIGTERM, which is how a service is told to end: what is begun is in the journal."""

    def surprised(group: ClusterGroup, mistake: Exception) -> None:
        click.echo("".join(format_exception(mistake)), err=True)
        click.echo(f"{group.metadata.name}: a mistake of ours, above; tried again in a minute", err=True)

    async with anyio.create_task_group() as tasks:
        for loop in [GroupLoop(d.group, outside(d.group)) for d in documents]:
            tasks.start_soon(partial(run_for_ever, loop, report=progress.tick, surprised=surprised))
        with anyio.open_signal_receiver(signal.SIGTERM) as signals:
            async for _ in signals:
                tasks.cancel_scope.cancel()


async def _check_digest(loops: Sequence[GroupLoop], digest: str) -> None:
    """Refuse to go on unless the plan is still the one that somebody looked at."""
    for loop in loops:
        now = (await loop.plan()).plan.digest
        if now != digest:
            message = f"Error: the plan has changed: its digest is {now} now, not {digest}; nothing was done."
            raise ExitError(FAILED, f"{message} Look at it again with `reconcile plan`")
