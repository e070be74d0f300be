"""``python -m reconciler.cli.pack``: packs workload files, one line of JSON for each file and size.

Each plan is counted again by ``solver.faults`` before its line is printed. ``seconds`` is the time from problem to plan
(the first one imports HiGHS), ``peak_mib`` the most memory that the process has had so far.
"""

from __future__ import annotations

import json
import math
import resource
from pathlib import Path
from time import perf_counter

import click

from reconciler.packing import workloads
from reconciler.packing.solver import Budget, Packing, faults, solve
from schemas.catalogue import InstanceType

_KIB = 1024
_DIGITS = 6


class PlanError(Exception):
    """A plan that its second counting refuses: an error of the solver."""


def line(workload: str, units: int, packing: Packing, seconds: float) -> dict[str, object]:
    """Write one result: USD an hour, the bound rounded down; ``unplaced`` only when some copies have no place."""
    scale = 10**_DIGITS
    found: dict[str, object] = {
        "workload": workload,
        "units": units,
        "cost": round(packing.cost, _DIGITS),
        "bound": math.floor(packing.bound * scale) / scale,
        "gap": round(packing.gap, _DIGITS) if math.isfinite(packing.gap) else None,
        "machines": packing.machines,
        "rounds": packing.rounds,
        "seconds": round(seconds, 3),
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _KIB, 1),
    }
    if packing.unplaced:
        found["unplaced"] = sum(u.count for u in packing.unplaced)
    return found


def pack_one(workload: workloads.Workload, units: int, types: list[InstanceType], budget: Budget) -> dict[str, object]:
    """Pack one size of a workload; raises PlanError when the plan is wrong."""
    problem = workloads.problem_of(workload, units, types)
    start = perf_counter()
    packing = solve(problem, budget=budget)
    seconds = perf_counter() - start
    if wrong := faults(problem, packing):
        raise PlanError(f"{workload.name}, {units} units: {'; '.join(wrong[:5])}")
    return line(workload.name, units, packing, seconds)


@click.command()
@click.option("--max-vcpu", type=click.IntRange(min=1), metavar="N", help="Only types of at most N vCPUs.")
@click.option("--units", type=int, multiple=True, metavar="N", help="Only this size of each workload (repeatable).")
@click.option("--steps", type=click.IntRange(min=0), metavar="N", help="Work budget, instead of the default.")
@click.argument("files", type=click.Path(exists=True, dir_okay=False, path_type=Path), nargs=-1, required=True)
def main(*, max_vcpu: int | None, units: tuple[int, ...], steps: int | None, files: tuple[Path, ...]) -> None:
    """Pack workload FILES onto the shipped catalogue: cost, bound and effort, one line of JSON for each size."""
    from reconciler.bootstrap.source import catalogue  # noqa: PLC0415 - --help and errors of usage need none

    types = tuple(catalogue().values())
    budget = Budget() if steps is None else Budget(steps=steps, most=steps)
    for file in files:
        try:
            workload = workloads.read(file.read_bytes())
            allowed = workloads.catalogue_for(workload, types, vcpu_max=max_vcpu)
            for size in workload.sizes:
                if not units or size in units:
                    click.echo(json.dumps(pack_one(workload, size, allowed, budget)))
        except (workloads.WorkloadError, PlanError) as error:
            raise click.ClickException(f"{file}: {error}") from error


if __name__ == "__main__":
    main()
