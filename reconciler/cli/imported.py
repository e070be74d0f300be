"""``reconcile sandbox import``: a live cluster's jobs as a workload file."""

from __future__ import annotations

from reconciler.bootstrap.importing import SettingsError, import_workload
from reconciler.cli.exits import UNREACHABLE, USAGE, ExitError
from reconciler.cli.show.plain import print_plain
from reconciler.cli.streams import tell
from schemas.faults import Fault


def import_jobs(address: str | None, *, name: str) -> None:
    """Print the workload; ends with 69 when Nomad does not answer."""
    try:
        found = import_workload(address, name=name)
    except SettingsError as error:
        raise ExitError(USAGE, f"Error: {error}") from error
    except Fault as fault:
        raise ExitError(UNREACHABLE, f"Error: {fault}") from fault
    print_plain(found, "yaml")
    tell(f"{len(found['jobs'])} jobs; counts as they are now: add daily, counts or arrivals to let them change")
