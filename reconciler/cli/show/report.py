"""The closing output of ``--once``: what there is now, what was launched, for which work, at what price, and why."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from reconciler.cli.history import History
from reconciler.cli.show import parts
from reconciler.cli.show.console import console_for
from reconciler.cli.show.plain import plain, print_plain
from reconciler.cli.show.tables import Column, section, table
from reconciler.cli.show.words import count, got_text, money, result_text, span, why_text
from reconciler.loop import Run, exit_code
from reconciler.status import Act, Bound, Done, GroupStatus, status_of
from schemas.plan import Reason, Result


def show_runs(
    runs: Sequence[Run], histories: Mapping[str, History], warnings: Mapping[str, Sequence[str]], output: str
) -> None:
    """Print what came of a run, for all groups."""
    found = [
        (
            run,
            histories[name],
            status_of(
                run.last.group,
                run.last.snapshot,
                run.last.plan,
                converged=run.last.converged,
                warnings=warnings.get(name, ()),
            ),
        )
        for run in runs
        for name in [run.last.group.metadata.name]
    ]
    if output != "text":
        groups = [_plain(run, history, status) for run, history, status in found]
        print_plain({"exitCode": exit_code(list(runs)), "groups": groups}, output)
        return
    console = console_for(sys.stdout)
    for place, (run, history, status) in enumerate(found):
        if place:
            console.print()
        _text(console, run, history, status)


# --- programs --------------------------------------------------------------------------------------------------------


def _plain(run: Run, history: History, status: GroupStatus) -> dict[str, Any]:
    """Give a group's status with the actions that were carried out; those only planned are ``pending``."""
    whole: dict[str, Any] = plain(status)
    pending = plain(_pending(run, status))
    whole["cost"] |= {"bought": plain(_bought(history)), "plans": [_bounded(b) for b in history.bounds]}
    whole |= {
        "actions": [_done(done) for done in history.done],
        "pending": pending,
        "ticks": history.ticks,
        "seconds": plain(history.seconds),
        "waitedOut": run.waited_out,
    }
    return whole


def _pending(run: Run, status: GroupStatus) -> tuple[Act, ...]:
    """Give what was planned and not carried out."""
    return () if run.last.outcomes else status.actions


def _done(done: Done) -> dict[str, Any]:
    whole: dict[str, Any] = plain(done)
    act = whole.pop("act")
    return {**act, **whole}


# --- people ----------------------------------------------------------------------------------------------------------


def _text(console: Console, run: Run, history: History, status: GroupStatus) -> None:
    parts.title(console, status, *_verdict(run, history))
    parts.servers(console, status)
    parts.nodes(console, status)
    _launched(console, history)
    if pending := _pending(run, status):
        parts.actions(console, pending, "Planned", "and not carried out")
    _failed(console, history)
    parts.holds(console, status.holds)
    parts.conditions(console, status.conditions, notable=True)
    parts.cost(console, status)
    parts.predictions(console, status)
    _bound(console, history)


def _verdict(run: Run, history: History) -> tuple[str, str]:
    took = f"{span(history.seconds)}, {count(history.ticks, 'tick')}"
    done = sum(o.result in {Result.DONE, Result.PARTLY} for o in history.outcomes)
    effects = f"{count(done, 'effect')}" if done else "nothing was done"
    if any(hold.reason is Reason.OBSERVING for hold in run.last.plan.holds):
        return f"mode: observe: {count(len(run.last.plan.actions), 'action is', 'actions are')} planned; {took}", "warn"
    if run.last.led_by:
        return f"{run.last.led_by} acts for it, and still did when its lock had to expire; {effects}, {took}", "bad"
    if run.last.group.spec.mode == "paused":
        return f"mode: paused: nothing was done; {took}", "warn"
    if run.waited_out:
        return f"not converged when --wait ran out; {effects}, {took}", "bad"
    if run.last.converged:
        return f"converged; {effects}, {took}", "good"
    return f"one pass, not converged yet; {effects}, {took}", "warn"


def _launched(console: Console, history: History) -> None:
    """Print what launches gave; the servers' too."""
    given = [d for d in history.done if d.act.count and d.result in {Result.DONE, Result.PARTLY}]
    if not given:
        return
    machines = sum(len(d.instances) for d in given)
    section(console, "Launched", f"{count(machines, 'machine')} in {count(len(given), 'launch', 'launches')}")
    table(
        console,
        (Column("LAUNCH"), Column("CAUSE"), Column("MACHINES"), Column("USD/H", right=True), Column("WHY")),
        [(d.act.claim or d.act.subject, d.act.cause, got_text(d), money(d.price), why_text(d.act)) for d in given],
    )


def _failed(console: Console, history: History) -> None:
    """Print what was refused or failed."""
    bad = [d for d in history.done if d.result not in {Result.DONE, Result.PARTLY} or d.refused]
    if not bad:
        return
    section(console, "Refused or failed", count(len(bad), "action"))
    table(
        console,
        (Column("LAUNCH"), Column("RESULT"), Column("WHAT WAS SAID")),
        [
            (
                d.act.claim or d.act.subject,
                Text(result_text(d.result), style="warn" if d.result is Result.PARTLY else "bad"),
                "; ".join(t for t in (d.message, *d.refused) if t),
            )
            for d in bad
        ],
    )


def _bought(history: History) -> float:
    """USD an hour of the clients that launches gave."""
    return sum(d.price for d in history.done if d.act.kind == "Launch")


def _bound(console: Console, history: History) -> None:
    bought = _bought(history)
    if not bought:
        return
    text = f"{money(bought)} USD an hour for the clients of this run"
    if history.bounds:
        each = ", ".join(f"{money(b.cost)} (bound {money(b.bound)}, gap {100 * b.gap:.1f}%)" for b in history.bounds)
        text += f"; planned for work and headroom in {count(len(history.bounds), 'plan')}: {each}"
    parts.labelled(console, "Bought", Text(text))


def _bounded(bound: Bound) -> dict[str, Any]:
    """Give one plan's cost beside its own bound: the bounds of several plans together are a bound on nothing."""
    return {"cost": plain(bound.cost), "bound": plain(bound.bound), "gap": plain(bound.gap)}
