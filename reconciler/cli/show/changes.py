"""What happened from one tick to the next, as short lines; what stays as it was is not said again. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconciler.cli.show.words import count, got_text, listed, money, result_text
from reconciler.loop import Tick
from reconciler.status import Done, done_of, queued
from reconciler.status.tables import node_rows
from schemas.plan import Hold, Launch, Reason, Result
from schemas.world import Role

TOGETHER = 3  # more holds of one reason that come or go in one tick are told in one line
NAMED = 6
FLEETING = frozenset({Reason.NOT_YET_DECIDED, Reason.LAUNCH_RATE, Reason.REPLAYING, Reason.ON_ITS_WAY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line: a sign for its kind, the text, and a style for terminals."""

    sign: str  # + something was made, ! something went wrong, = something is there, . something waits, - gone
    text: str
    style: str


def changes(before: Tick | None, tick: Tick, *, verbose: bool = False) -> list[Change]:
    """Tell what is new in a tick; ``before`` is the same group's last one."""
    return [
        *_outcomes(tick, verbose=verbose),
        *_servers(before, tick),
        *_nodes(before, tick),
        *_holds(before, tick, verbose=verbose),
        *_end(before, tick),
    ]


def waiting(tick: Tick) -> int:
    """Count copies that wait for room."""
    return sum(queued(job) for job in tick.snapshot.jobs)


# --- effects ---------------------------------------------------------------------------------------------------------


def _outcomes(tick: Tick, *, verbose: bool) -> Iterator[Change]:
    for outcome in tick.outcomes:
        done = done_of(outcome, tick.snapshot.instance_by_id)
        if outcome.result is Result.DONE and not done.act.count and not verbose and done.act.kind == "CreateTemplate":
            continue  # a step on the way to a launch
        yield from _outcome(done, asked=isinstance(outcome.action, Launch))


def _outcome(done: Done, *, asked: bool) -> Iterator[Change]:
    act = done.act
    why = f" ({act.reason})"
    if done.result is Result.DONE:
        price = f" at {money(act.price)} USD/h" if act.price else ""
        yield Change(sign="+", text=f"{act.what}{price}{why}", style="good")
    elif done.result is Result.PARTLY:
        text = f"{act.what}: {got_text(done) if done.got else f'{len(done.instances)} of {act.count} came'}{why}"
        yield Change(sign="+", text=text, style="warn")
    else:
        said = f": {done.message}" if done.message else ""
        yield Change(sign="!", text=f"{result_text(done.result)}: {act.what}{said}{why}", style="bad")
    if asked and done.refused:
        told = [refused for refused in done.refused if refused]
        yield Change(
            sign="!", text=f"EC2 refused {count(len(told), 'offering')}: {'; '.join(told[:NAMED])}", style="warn"
        )


# --- machines --------------------------------------------------------------------------------------------------------


def _servers(before: Tick | None, tick: Tick) -> Iterator[Change]:
    def running(some: Tick | None) -> dict[str, str]:
        if some is None:
            return {}
        found = [i for i in some.snapshot.instances if i.role == Role.SERVER and i.state == "running"]
        return {i.id: f"{i.id} ({i.type} in {i.zone})" for i in found}

    now, then = running(tick), running(before)
    if new := [text for id_, text in sorted(now.items()) if id_ not in then]:
        yield Change(sign="=", text=f"{count(len(new), 'server')} running: {', '.join(new)}", style="act")
    if gone := [text for id_, text in sorted(then.items()) if id_ not in now]:
        yield Change(sign="-", text=f"{count(len(gone), 'server')} gone: {', '.join(gone)}", style="bad")


def _nodes(before: Tick | None, tick: Tick) -> Iterator[Change]:
    now = {r.name: r for r in node_rows(tick.snapshot) if r.state == "ready"}
    then = {r.name: r for r in node_rows(before.snapshot) if r.state == "ready"} if before else {}
    pools = sorted({r.pool for r in (*now.values(), *then.values())})
    for pool in pools:
        where = f" of pool {pool}" if pool else " that no pool owns"
        new = [r for name, r in now.items() if r.pool == pool and name not in then]
        if new:
            told = listed([f"{r.name} ({r.instance_type} in {r.zone}, {r.market})" for r in new], NAMED)
            yield Change(sign="=", text=f"{count(len(new), 'node')}{where} ready: {told}", style="act")
        if gone := [name for name, r in then.items() if r.pool == pool and name not in now]:
            text = f"{count(len(gone), 'node')}{where} no longer ready: {listed(gone, NAMED)}"
            yield Change(sign="-", text=text, style="warn")


# --- holds -----------------------------------------------------------------------------------------------------------


def _holds(before: Tick | None, tick: Tick, *, verbose: bool) -> Iterator[Change]:
    """Tell holds that come and go, by subject and reason: their figures change all the time."""
    now = {(h.subject, h.reason): h for h in tick.plan.holds}
    then = {(h.subject, h.reason): h for h in before.plan.holds} if before else {}
    if not verbose:
        now = {key: h for key, h in now.items() if key[1] not in FLEETING}
        then = {key: h for key, h in then.items() if key[1] not in FLEETING}
    for reason, some in _by_reason(h for key, h in now.items() if key not in then):
        style = "faint" if all(h.passing for h in some) else "warn"
        if len(some) > TOGETHER and not verbose:
            names = listed([h.subject for h in some], NAMED)
            yield Change(sign=".", text=f"held, {reason}: {count(len(some), 'hold')}: {names}", style=style)
        else:
            for h in some:
                yield Change(sign=".", text=f"held, {reason}: {h.subject}: {h.message}", style=style)
    for reason, some in _by_reason(h for key, h in then.items() if key not in now):
        names = listed([h.subject for h in some], NAMED)
        yield Change(sign="-", text=f"no longer held, {reason}: {names}", style="faint")


def _by_reason(holds: Iterable[Hold]) -> list[tuple[Reason, list[Hold]]]:
    found: dict[Reason, list[Hold]] = {}
    for hold in holds:
        found.setdefault(hold.reason, []).append(hold)
    return list(found.items())


def _end(before: Tick | None, tick: Tick) -> Iterator[Change]:
    now, then = waiting(tick), waiting(before) if before else 0
    if now != then:
        jobs = sum(1 for job in tick.snapshot.jobs if queued(job))
        text = (
            f"{count(now, 'copy waits', 'copies wait')} for room, of {count(jobs, 'job')}"
            if now
            else "nothing waits for room"
        )
        yield Change(sign=".", text=text, style="faint")
    if tick.converged and tick.group.spec.mode == "enforce" and not (before and before.converged):
        yield Change(sign="=", text="converged", style="good")
