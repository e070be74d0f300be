"""``reconcile`` itself: one pass, as many as it takes, or for ever."""

from __future__ import annotations

from traceback import format_exception

import anyio
import click

from reconciler.bootstrap.serving import serve
from reconciler.cli.exits import FAILED, ExitError
from reconciler.cli.gather import documents_of, duration
from reconciler.cli.history import Histories
from reconciler.cli.options import Given
from reconciler.cli.show.progress import Progress
from reconciler.cli.show.report import show_runs
from reconciler.cli.streams import tell
from reconciler.cli.world import open_world
from reconciler.errors import PlanChangedError, ReconcilerError
from reconciler.loop import GroupLoop, Outside, Run, Tick, exit_code, run_once
from schemas.document import ClusterGroup


def run(given: Given, *, once: bool, wait: str | None, digest: str | None) -> None:
    """Do what the command line says; ends with an ExitError unless all is well."""
    if not once:
        _for_ever(given)
        return
    waiting = duration(wait, option="--wait") if wait is not None else None
    documents = documents_of(given, warn=True)
    if digest is not None and len(documents) > 1:
        names = ", ".join(d.group.metadata.name for d in documents)
        raise click.UsageError(f"--digest names the plan of one group: choose it with --group ({names})")
    world = open_world(given)
    groups = [document.group for document in documents]
    histories = Histories()
    with Progress(groups, verbose=given.verbose) as progress:

        def report(tick: Tick) -> None:
            histories.add(tick)
            progress.tick(tick)

        async def all_groups(outside: Outside) -> list[Run]:
            loops = [GroupLoop(group, outside(group)) for group in groups]
            runs: list[Run] = []

            async def one(loop: GroupLoop) -> None:
                runs.append(await run_once(loop, wait=waiting, report=report, only=digest))

            try:
                async with anyio.create_task_group() as tasks:
                    for loop in loops:
                        tasks.start_soon(one, loop)
            except* PlanChangedError as several:
                raise ExitError(FAILED, f"Error: {_first(several)}") from None  # --digest goes with one group
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


def _for_ever(given: Given) -> None:
    """Serve all groups until told to end. A document that is not sound stops its own group alone; all of them, us."""
    documents = documents_of(given, warn=True, some=True)
    groups = [document.group for document in documents]
    world = open_world(given)

    def surprised(group: ClusterGroup, mistake: Exception) -> None:
        tell("".join(format_exception(mistake)))
        tell(f"{group.metadata.name}: a mistake of ours, above; tried again in a minute")

    with Progress(groups, verbose=given.verbose, dated=True) as progress:
        world.run_in_real_time(
            lambda doors: serve(
                doors,
                given.files,
                wanted=lambda name: not given.group or name in given.group,
                report=progress.tick,
                surprised=surprised,
                told=tell,
            )
        )
