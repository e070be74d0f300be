"""``reconcile simulate``: what a document would do to a workload, over virtual days."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import click

from reconciler.bootstrap import simulation
from reconciler.cli.exits import FAILED, INVALID, USAGE, ExitError
from reconciler.cli.gather import documents_of, duration, problems
from reconciler.cli.options import Given
from reconciler.cli.show.console import console_for
from reconciler.cli.show.plain import plain, print_plain
from reconciler.cli.show.simulation import show_report
from reconciler.cli.simulation.diary import Diary
from reconciler.cli.simulation.report import report_of
from reconciler.cli.streams import tell
from schemas.workload import Workload

TRIALS_MAX = 60  # runs that looking for the smallest fault script may take


def simulate(given: Given, *, workload: str, length: str, faults: str | None, smallest: bool, every_look: bool) -> None:
    """Run and report; ends with 1 when something that must hold was broken."""
    documents = documents_of(replace(given, sandbox="", seed=None))
    if len(documents) != 1:
        names = ", ".join(document.group.metadata.name for document in documents)
        raise click.UsageError(f"one group is simulated at a time: choose it with --group ({names})")
    plot = simulation.Plot(
        group=documents[0].group,
        workload=_workload(workload),
        seconds=duration(length, option="--for").total_seconds(),
        seed=given.seed or 0,
        every_look=every_look,
    )
    plot = _with_faults(plot, faults)
    diary = Diary()
    run = simulation.simulate(plot, diary.add)
    began = run.world.kernel.calendar.epoch
    diary.close(began + timedelta(seconds=plot.seconds))
    report = report_of(run, diary)
    if given.output == "text":
        show_report(console_for(sys.stdout), report, began=began)
    else:
        print_plain({"began": began, **plain(report)}, given.output)
    if not report.sound:
        _tell_script(run, smallest=smallest)
        raise ExitError(FAILED)


def _workload(name: str) -> Workload:
    try:
        loaded = simulation.workload_of(name)
    except simulation.WorkloadNotFoundError as error:
        raise ExitError(USAGE, f"Error: --workload: {error}") from error
    if loaded.workload is None:
        for problem in loaded.problems:
            tell(str(problem))
        raise ExitError(INVALID, f"{problems(len(loaded.problems))}; nothing was simulated")
    return loaded.workload


def _with_faults(plot: simulation.Plot, faults: str | None) -> simulation.Plot:
    """Read --faults: a file is a script, anything else says how often what goes wrong."""
    if faults is None:
        return plot
    path = Path(faults)
    if path.is_file():
        try:
            return replace(plot, script=simulation.fault_script(path.read_text(encoding="utf-8")))
        except (ValueError, OSError) as error:
            raise ExitError(USAGE, f"Error: --faults {faults}: no fault script: {error}") from error
    try:
        return replace(plot, rates=simulation.fault_rates(faults))
    except ValueError as error:
        kinds = ", ".join(simulation.KINDS)
        said = f"neither a file nor light, heavy or kind=chance,… ({error}); kinds: {kinds}"
        raise click.UsageError(f"--faults {faults}: {said}") from error


def _tell_script(run: simulation.Simulated, *, smallest: bool) -> None:
    """Say with which faults the run can be had again."""
    if not run.faults.struck:
        tell("no fault struck: the same command does it again")
        return
    script = run.faults.as_script()
    if smallest:
        shrunk = simulation.smallest(run, trials_max=TRIALS_MAX)
        if shrunk is None:
            tell("replayed by its script it does not fail: something beside the faults decides")
        else:
            script = shrunk
    tell(f"the faults that do it again, for a file and --faults FILE:\n{script}".rstrip())
