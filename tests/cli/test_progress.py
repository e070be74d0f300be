"""Progress tells what is new from tick to tick, and nothing twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import Any

from rich.console import Console

from reconciler.cli.history import Histories
from reconciler.cli.show.changes import Change, changes
from reconciler.cli.show.progress import Progress
from reconciler.loop import Tick
from schemas.plan import Hold, Launch, MarkFormed, Outcome, Plan, Reason, Result
from schemas.world import Content, FleetError, Market, Override, Snapshot, Template
from support.builders import (
    NOON,
    a_group,
    a_job,
    a_node,
    a_pool,
    a_server,
    a_snapshot,
    an_instance,
)

GROUP = a_group(pools=[a_pool()])
LAUNCH = Launch(
    claim="general-1",
    pool="general",
    market=Market.SPOT,
    count=2,
    overrides=(
        Override(instance_type="m6i.large", subnet_id="subnet-a1", zone="us-east-1a", price=0.04),
        Override(instance_type="m6i.xlarge", subnet_id="subnet-b1", zone="us-east-1b", price=0.05),
    ),
    template="t",
    contents=(Content(job="web", group="app", copies=3),),
    cause=Reason.DEMAND,
    reason="for 3 web.app",
)


def a_tick(snapshot: Snapshot | None = None, **given: Any) -> Tick:
    return Tick(group=GROUP, snapshot=snapshot or a_snapshot(), plan=given.pop("plan", Plan()), **given)


def busy(**given: Any) -> Tick:
    """A tick that has not converged."""
    return a_tick(open_intents=1, **given)


def outcome(result: Result, **given: Any) -> Outcome:
    return Outcome(action=LAUNCH, result=result, at=NOON, **given)


def held(*holds: tuple[str, Reason], **given: Any) -> Tick:
    return busy(plan=Plan(holds=tuple(Hold(subject=s, reason=r, message=f"because of {s}") for s, r in holds)), **given)


def texts(found: Sequence[Change]) -> list[str]:
    return [f"{change.sign} {change.text}" for change in found]


def test_a_tick_without_news_is_silent() -> None:
    tick = held(("job/a", Reason.UNSATISFIABLE))

    assert changes(tick, tick) == []


def test_a_launch_says_what_at_what_price_and_why() -> None:
    assert texts(changes(busy(), busy(outcomes=(outcome(Result.DONE),)))) == [
        "+ launch 2 m6i.large or m6i.xlarge, spot in us-east-1a or us-east-1b at 0.1000 USD/h (for 3 web.app)"
    ]


def test_a_launch_that_gave_fewer_says_how_many_and_what_was_refused() -> None:
    error = FleetError(
        instance_type="m6i.large",
        zone="us-east-1a",
        market=Market.SPOT,
        code="InsufficientInstanceCapacity",
        message="no capacity",
        why="capacity",
    )
    partly = outcome(Result.PARTLY, instance_ids=("i-0001",), errors=(error, error))

    assert texts(changes(busy(), busy(outcomes=(partly,)))) == [
        "+ launch 2 m6i.large or m6i.xlarge, spot in us-east-1a or us-east-1b: 1 of 2 came (for 3 web.app)",
        "! EC2 refused 1 offering: m6i.large in us-east-1a (spot): no capacity",
    ]


def test_what_failed_says_what_was_answered() -> None:
    (line,) = texts(changes(busy(), busy(outcomes=(outcome(Result.REFUSED, message="the image is not there"),))))

    assert line.startswith("! refused: launch 2 m6i.large")
    assert ": the image is not there (for 3 web.app)" in line


def test_holds_are_told_when_they_come_and_when_they_go_but_not_when_their_figures_change() -> None:
    before, after = held(("pools", Reason.SERVERS_FORMING)), held(("job/a", Reason.UNSATISFIABLE))
    other_figures = replace(after, plan=Plan(holds=(replace(after.plan.holds[0], message="another number"),)))

    assert texts(changes(before, after)) == [
        ". held, Unsatisfiable: job/a: because of job/a",
        "- no longer held, ServersForming: pools",
    ]
    assert changes(after, other_figures) == []


def test_many_holds_of_one_reason_are_one_line_unless_all_are_wanted() -> None:
    many = held(*((f"job/{n}", Reason.UNSATISFIABLE) for n in range(9)))

    assert texts(changes(busy(), many)) == [
        ". held, Unsatisfiable: 9 holds: job/0, job/1, job/2, job/3, job/4, job/5 and 3 more"
    ]
    assert len(changes(busy(), many, verbose=True)) == 9


def test_what_settles_by_itself_in_seconds_is_told_only_to_who_wants_all() -> None:
    fleeting = held(("job/a", Reason.NOT_YET_DECIDED))

    assert changes(busy(), fleeting) == []
    assert len(changes(busy(), fleeting, verbose=True)) == 1


def test_nodes_and_servers_are_told_as_they_come_and_go() -> None:
    there = a_snapshot(instances=(a_server(0), an_instance(1)), nodes=(a_node(1),))
    gone = a_snapshot(instances=(a_server(0, state="terminated"), an_instance(1)), nodes=(a_node(1, eligible=False),))

    assert texts(changes(busy(), busy(snapshot=there))) == [
        "= 1 server running: i-server-0-0 (t3.small in us-east-1a)",
        "= 1 node of pool general ready: i-0001 (m6i.large in us-east-1a, on-demand)",
    ]
    assert texts(changes(busy(snapshot=there), busy(snapshot=gone))) == [
        "- 1 server gone: i-server-0-0 (t3.small in us-east-1a)",
        "- 1 node of pool general no longer ready: i-0001",
    ]


def test_waiting_work_is_counted_when_it_changes() -> None:
    two = busy(snapshot=a_snapshot(jobs=(a_job("a", queued=2), a_job("b", queued=1))))

    assert texts(changes(busy(), two)) == [". 3 copies wait for room, of 2 jobs"]
    assert texts(changes(two, busy())) == [". nothing waits for room"]
    assert changes(two, two) == []


def test_convergence_is_told_once_and_never_of_a_group_that_is_left_alone() -> None:
    paused = replace(a_tick(), group=a_group(mode="paused"))

    assert texts(changes(busy(), a_tick())) == ["= converged"]
    assert changes(a_tick(), a_tick()) == []
    assert changes(None, paused) == []


def test_lines_carry_the_time_since_the_first_tick_and_the_group_where_there_are_several() -> None:
    text = StringIO()
    progress = Progress([GROUP, GROUP], console=Console(file=text, width=1000))
    progress.tick(busy(outcomes=(outcome(Result.DONE),)))
    progress.tick(a_tick(a_snapshot(observed_at=NOON + timedelta(seconds=3725))))

    first, last = text.getvalue().splitlines()
    assert first.startswith("00:00:00  prod  + launch 2")
    assert last == "01:02:05  prod  = converged"


def test_a_run_remembers_what_it_did_and_what_it_might_have_cost() -> None:
    histories = Histories()
    marked = MarkFormed(
        marker=Template(name="m", image_id="", user_data="", security_groups=(), instance_profile="", tags={}),
        attempts=(),
        reason="3 agents agree",
        count=3,
    )
    shown = a_snapshot(
        observed_at=NOON + timedelta(seconds=90),
        instances=(an_instance(1, zone="us-east-1a"), an_instance(2, type="m6i.xlarge", zone="us-east-1b")),
    )
    histories.add(a_tick(outcomes=(Outcome(action=marked, result=Result.DONE, at=NOON),)))
    bought_now = outcome(Result.DONE, instance_ids=("i-0001", "i-0002"))
    histories.add(a_tick(outcomes=(bought_now,), plan=Plan(actions=(bought_now.action,), bound=0.05)))
    histories.add(
        a_tick(shown, plan=Plan(actions=(bought_now.action,), bound=5.0))
    )  # nothing bought: it does not count

    history = histories.by_name["prod"]
    bought = history.done[1]
    assert (history.ticks, history.seconds) == (3, 90.0)
    assert [b.bound for b in history.bounds] == [0.05]
    assert round(history.bounds[0].gap, 3) == round(history.bounds[0].cost / 0.05 - 1, 3)
    assert [(g.instance_type, g.zone, len(g.instances)) for g in bought.got] == [
        ("m6i.large", "us-east-1a", 1),
        ("m6i.xlarge", "us-east-1b", 1),
    ]
    assert round(bought.price, 6) == 0.09
