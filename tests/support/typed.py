"""The command line as a user types it: in a process of its own, with what it printed and how it ended."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from reconciler.cli.main import main

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """What came of a command."""

    code: int
    out: str
    err: str


def command(*arguments: str) -> list[str]:
    """Give the command line of ``reconcile`` with these arguments, for this interpreter."""
    return [sys.executable, "-m", "reconciler.cli.main", *arguments]


def environment(**more: str) -> dict[str, str]:
    """Give a plain environment: nothing in it colours, widens or redirects."""
    kept = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "TMPDIR", "COVERAGE_PROCESS_START"}}
    return {**kept, "PYTHONPATH": str(ROOT), "LC_ALL": "C.UTF-8", **more}


def reconcile(*arguments: str, cwd: Path = ROOT, env: Mapping[str, str] | None = None, timeout: float = 60) -> Typed:
    """Type ``reconcile`` with these arguments, output going into pipes."""
    done = subprocess.run(  # noqa: S603 - our own program
        command(*arguments),
        cwd=cwd,
        env=environment(**(env or {})),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Typed(code=done.returncode, out=done.stdout, err=done.stderr)


def reconcile_here(*arguments: str) -> Typed:
    """Do the same within this process, for what fails before anything heavy: many times quicker."""
    out, err, code = StringIO(), StringIO(), 0
    with chdir(ROOT), redirect_stdout(out), redirect_stderr(err):
        try:
            main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
    return Typed(code=code, out=out.getvalue(), err=err.getvalue())
