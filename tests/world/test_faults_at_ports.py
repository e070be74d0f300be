"""Faults before a port: what the caller meets, what happened behind it, and that a written script replays."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import anyio
import pytest

from providers.sandbox.faults import Crashed, Faults, Kind, ShiftedClock, Strike, faulty, read_script
from schemas.faults import OutcomeUnknownError, Source, UnansweredError
from schemas.world import ServerView

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

NOON = datetime(2026, 1, 5, 12, tzinfo=UTC)


@dataclass(slots=True)
class Port:
    """A port that writes down what was done to it."""

    done: list[str] = field(default_factory=list)

    async def instances(self, group: str) -> tuple[str, ...]:
        return (group, *self.done)

    async def create_fleet(self, name: str) -> str:
        self.done.append(name)
        return f"made {name}"

    async def receive(self) -> tuple[str, ...]:
        return ("notice", "state", "advice")

    async def server_view(self, address: str) -> ServerView:
        return ServerView(address=address, reachable=True)

    def at(self, name: str) -> Port:
        self.done.append(f"opened {name}")
        return self


@dataclass(slots=True)
class Waiting:
    """A clock that only counts."""

    slept: float = 0.0

    def now(self) -> datetime:
        return NOON

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds


def struck(*script: Strike, **more: Any) -> tuple[Port, Port, Faults, Waiting]:
    port, faults, clock = Port(), Faults(script=script, **more), Waiting()
    return port, faulty(port, faults, source=Source.EC2, clock=clock), faults, clock


def run(call: Callable[[], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        return await call()

    return anyio.run(main)


def test_a_port_without_faults_answers_as_it_would() -> None:
    port, faulted, faults, _ = struck()

    assert run(lambda: faulted.create_fleet("a")) == "made a"
    assert run(lambda: faulted.instances("g")) == ("g", "a")
    assert (port.done, faults.calls, faults.struck) == (["a"], 2, [])


@pytest.mark.parametrize(
    ("kind", "error", "done"),
    [
        (Kind.CRASH_BEFORE, Crashed, []),
        (Kind.CRASH_AFTER, Crashed, ["a"]),
        (Kind.LOSE_REPLY, OutcomeUnknownError, ["a"]),
        (Kind.FAIL, UnansweredError, []),
    ],
)
def test_a_write_that_is_struck_happened_or_not_as_its_fault_says(
    kind: Kind, error: type[BaseException], done: list[str]
) -> None:
    port, faulted, faults, _ = struck(Strike(call=0, kind=kind))

    with pytest.raises(error):
        run(lambda: faulted.create_fleet("a"))

    assert port.done == done
    assert [s.name for s in faults.struck] == ["ec2.create_fleet"]


def test_a_crash_is_not_caught_as_an_error() -> None:
    assert not issubclass(Crashed, Exception)


def test_a_read_whose_reply_is_lost_is_unanswered() -> None:
    _, faulted, _, _ = struck(Strike(call=0, kind=Kind.LOSE_REPLY))

    with pytest.raises(UnansweredError):
        run(lambda: faulted.instances("g"))


def test_a_delayed_call_happens_later() -> None:
    port, faulted, _, clock = struck(Strike(call=0, kind=Kind.DELAY, figure=7.5))
    run(lambda: faulted.create_fleet("a"))

    assert (clock.slept, port.done) == (7.5, ["a"])


def test_a_stale_read_gives_an_earlier_answer_to_the_same_question() -> None:
    _, faulted, _, _ = struck(Strike(call=5, kind=Kind.STALE, figure=2))

    async def look() -> list[tuple[str, ...]]:
        seen = [await faulted.instances("g"), await faulted.instances("other")]  # calls 0 and 1
        await faulted.create_fleet("a")
        seen.append(await faulted.instances("g"))
        await faulted.create_fleet("b")
        seen.append(await faulted.instances("g"))  # call 5: two answers ago
        seen.append(await faulted.instances("g"))
        return seen

    assert run(look)[2:] == [("g", "a"), ("g",), ("g", "a", "b")]


def test_a_stale_write_is_a_write() -> None:
    port, faulted, _, _ = struck(Strike(call=1, kind=Kind.STALE, figure=1))
    run(lambda: faulted.create_fleet("a"))
    run(lambda: faulted.create_fleet("a"))

    assert port.done == ["a", "a"]


def test_what_a_port_opens_is_as_faulty() -> None:
    _, faulted, faults, _ = struck(Strike(call=0, kind=Kind.CRASH_BEFORE))

    with pytest.raises(Crashed):
        run(lambda: faulted.at("x").create_fleet("a"))

    assert faults.calls == 1


def test_a_question_that_never_raises_is_answered_with_silence() -> None:
    _, faulted, _, _ = struck(Strike(call=0, kind=Kind.FAIL), Strike(call=1, kind=Kind.LOSE_REPLY))

    assert not run(lambda: faulted.server_view("10.0.0.1")).reachable
    assert not run(lambda: faulted.server_view("10.0.0.1")).reachable
    assert run(lambda: faulted.server_view("10.0.0.1")).reachable


def test_in_a_split_one_observer_sees_what_was_and_the_other_what_is() -> None:
    port, faults = Port(), Faults(script=[Strike(call=3, kind=Kind.SPLIT, figure=2)])
    left, right = (faulty(port, faults, source=Source.EC2, clock=Waiting(), observer=who) for who in ("a", "b"))

    async def look() -> list[tuple[str, ...]]:
        await left.instances("g")
        await right.create_fleet("first")
        await right.instances("g")
        seen = [await left.instances("g")]  # call 3: from here on, for two reads
        await left.create_fleet("second")
        return [*seen, await right.instances("g"), await left.instances("g"), await left.instances("g")]

    both, one = ("g", "first", "second"), ("g", "first")
    assert run(look) == [one, both, one, both]


def test_a_split_view_of_what_nobody_has_asked_begins_with_its_first_answer() -> None:
    port, faults = Port(), Faults(script=[Strike(call=0, kind=Kind.SPLIT, figure=2)])
    left = faulty(port, faults, source=Source.EC2, clock=Waiting())

    async def look() -> list[tuple[str, ...]]:
        seen = [await left.instances("g")]
        await left.create_fleet("a")
        return [*seen, await left.instances("g"), await left.instances("g")]

    assert run(look) == [("g",), ("g",), ("g", "a")]


@pytest.mark.parametrize(
    ("kind", "figure", "seen"),
    [
        (Kind.DUPLICATE, 1, ("notice", "state", "state", "advice")),
        (Kind.REORDER, 0, ("advice", "state", "notice")),
        (Kind.REORDER, 1, ("notice", "advice", "state")),
    ],
)
def test_messages_come_twice_or_in_another_order(kind: Kind, figure: float, seen: tuple[str, ...]) -> None:
    _, faulted, _, _ = struck(Strike(call=0, kind=kind, figure=figure))

    assert run(faulted.receive) == seen


def test_by_chance_only_messages_come_twice() -> None:
    rates = {Kind.DUPLICATE: 1.0}
    lists, messages = Faults(seed=1, rates=rates), Faults(seed=1, rates=rates)
    run(lambda: faulty(Port(), lists, source=Source.EC2, clock=Waiting()).instances("g"))
    run(lambda: faulty(Port(), messages, source=Source.EVENTS, clock=Waiting()).receive())

    assert (len(lists.struck), len(messages.struck)) == (0, 1)


def test_the_program_s_clock_jumps_and_the_world_s_goes_on() -> None:
    _, faulted, faults, clock = struck(Strike(call=1, kind=Kind.JUMP, figure=-90.0), skew=5.0)
    shifted = ShiftedClock(clock, faults)
    before = shifted.now()
    run(lambda: faulted.instances("g"))
    run(lambda: faulted.instances("g"))
    run(lambda: shifted.sleep(3.0))

    assert before - NOON == timedelta(seconds=5)
    assert shifted.now() - NOON == timedelta(seconds=-85)
    assert (clock.now(), clock.slept) == (NOON, 3.0)


RATES = {Kind.FAIL: 0.2, Kind.LOSE_REPLY: 0.2, Kind.STALE: 0.1, Kind.SPLIT: 0.1, Kind.JUMP: 0.1}


def story(faults: Faults) -> list[str]:
    port = faulty(Port(), faults, source=Source.EC2, clock=Waiting())

    async def act() -> list[str]:
        seen = []
        for number in range(40):
            try:
                seen.append(repr(await (port.create_fleet(str(number)) if number % 3 else port.instances("g"))))
            except (UnansweredError, OutcomeUnknownError) as error:
                seen.append(type(error).__name__)
        return seen

    told: list[str] = anyio.run(act)
    return told


@pytest.mark.parametrize("seed", range(5))
def test_the_script_of_what_struck_replays_it(seed: int) -> None:
    by_chance = Faults(seed=seed, rates=RATES)
    first = story(by_chance)
    again = Faults(script=read_script(by_chance.as_script()))

    assert story(again) == first
    assert again.struck == by_chance.struck
    assert by_chance.struck


def test_one_seed_strikes_alike_and_another_otherwise() -> None:
    assert story(Faults(seed=1, rates=RATES)) == story(Faults(seed=1, rates=RATES))
    assert story(Faults(seed=1, rates=RATES)) != story(Faults(seed=2, rates=RATES))


def test_chance_leaves_alone_what_it_is_told_to() -> None:
    some = Faults(seed=1, rates={Kind.FAIL: 1.0}, only=lambda name: name == "ec2.create_fleet", quiet_from=20)
    story(some)

    assert {s.name for s in some.struck} == {"ec2.create_fleet"}
    assert max(s.call for s in some.struck) < 20


def test_a_line_that_is_no_strike_is_refused() -> None:
    with pytest.raises(ValueError, match="not a valid Kind"):
        read_script("3 explode 0 ec2.instances\n")
