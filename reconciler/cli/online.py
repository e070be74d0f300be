"""``reconcile validate --online``: what documents need outside, as a table: ok, or a problem and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from reconciler.cli.exits import FAILED, UNREACHABLE, ExitError
from reconciler.cli.gather import documents_of
from reconciler.cli.options import Given
from reconciler.cli.show.checks import show_checks
from reconciler.cli.show.plain import print_plain
from reconciler.cli.streams import tell
from schemas.checks import Check, Verdict
from schemas.document import ClusterGroup


def validate_online(given: Given) -> None:
    """Check documents, then the outside; ends with 65 for the first, 69 where somebody is silent, 1 for a problem."""
    groups = [document.group for document in documents_of(given, warn=True)]
    tell(f"asking Nomad and AWS about {_named(groups)} ...")
    from reconciler.bootstrap.online import check_all  # noqa: PLC0415 - boto3 takes a second

    report(check_all(groups), given.output)


def report(checks: Mapping[str, Sequence[Check]], output: str) -> None:
    """Print what was found, and end as it deserves."""
    code = exit_code(check for found in checks.values() for check in found)
    if output == "text":
        show_checks(checks)
    else:
        groups = [{"name": name, "checks": found} for name, found in checks.items()]
        print_plain({"exitCode": code, "groups": groups}, output)
    if code:
        raise ExitError(code)


def exit_code(checks: Iterable[Check]) -> int:
    """Give 69 when somebody was silent, 1 for any other problem; what could not be looked at is none."""
    problems = [check for check in checks if check.verdict is Verdict.PROBLEM]
    if any(check.silent for check in problems):
        return UNREACHABLE
    return FAILED if problems else 0


def _named(groups: Sequence[ClusterGroup]) -> str:
    return ", ".join(group.metadata.name for group in groups)
