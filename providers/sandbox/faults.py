"""Faults on purpose: any port call can crash before or after, lose its reply, fail, wait, or answer as of earlier.

``Faults`` decides, by a script (which call, what) or by seed, and writes down what struck; ``faulty`` puts it before a
port, ``ShiftedClock`` before the program's clock. The written script replays exactly: the same calls in the same order
meet the same faults.
"""

from __future__ import annotations

import inspect
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from schemas.faults import OutcomeUnknownError, Source, UnansweredError
from schemas.world import ServerView

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Port = TypeVar("Port")

_REMEMBERED = 8  # earlier answers of one question that a stale read may give


class Kind(StrEnum):
    """What can go wrong with one call."""

    CRASH_BEFORE = "crash-before"  # the process dies, nothing was sent
    CRASH_AFTER = "crash-after"  # it happened, and the process dies before it hears of it
    LOSE_REPLY = "lose-reply"  # it happened, and the caller does not learn of it
    FAIL = "fail"  # it did not happen, and the caller learns that
    DELAY = "delay"  # it happens ``figure`` seconds later
    STALE = "stale"  # a read answers as it did ``figure`` answers ago
    SPLIT = "split"  # this observer's next ``figure`` reads show what was so when they began; others see on
    DUPLICATE = "duplicate"  # a list that is read holds its entry number ``figure`` twice
    REORDER = "reorder"  # a list that is read comes in another order, turned by ``figure``
    JUMP = "jump"  # the program's clock jumps by ``figure`` seconds; the world's goes on


_OF_MESSAGES = frozenset({Kind.DUPLICATE, Kind.REORDER})  # by chance they strike the interruption queue alone


class Crashed(BaseException):
    """The process died here, as after kill -9."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """One fault: what happened to the ``call``-th call of a run (from 0), and which that was."""

    call: int
    kind: Kind
    figure: float = 0.0
    name: str = ""  # "ec2.create_fleet", for people; a replay goes by the number


class Sleeper(Protocol):
    """The part of the clock port that a delay needs."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


@dataclass(slots=True, kw_only=True)
class Split:
    """One observer's view of one source, as of an earlier moment, for so many more reads."""

    left: int
    seen: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Faults:
    """Decides call by call what goes wrong, and keeps the list of what did.

    ``script`` strikes by number. ``rates`` (probabilities by kind) strike by ``seed``: calls that the script leaves
    alone, whose name ``only`` wants, and whose number is below ``quiet_from``. ``heard`` is what
    stale reads give again, ``skew`` the seconds by which the program's clock is wrong.
    """

    script: Sequence[Strike] = ()
    seed: int = 0
    rates: Mapping[Kind, float] = field(default_factory=dict)
    only: Callable[[str], bool] = lambda _: True
    quiet_from: int | None = None
    calls: int = 0
    names: list[str] = field(default_factory=list)
    struck: list[Strike] = field(default_factory=list)
    heard: dict[str, list[Any]] = field(default_factory=dict, repr=False)
    splits: dict[str, Split] = field(default_factory=dict, repr=False)
    skew: float = 0.0

    def next(self, name: str) -> Strike | None:
        """Say what happens to this call, the next in order."""
        number, self.calls = self.calls, self.calls + 1
        self.names.append(name)
        strike = next((s for s in self.script if s.call == number), None) or self._by_chance(number, name)
        if strike is not None:
            self.struck.append(Strike(call=number, kind=strike.kind, figure=strike.figure, name=name))
        return strike

    def as_script(self) -> str:
        """Print what struck, one line each; ``read_script`` reads it back."""
        return "".join(f"{s.call} {s.kind} {s.figure:g} {s.name}\n" for s in self.struck)

    def _by_chance(self, number: int, name: str) -> Strike | None:
        if not self.only(name) or (self.quiet_from is not None and number >= self.quiet_from):
            return None
        chance = random.Random(f"{self.seed}/{number}")  # noqa: S311 - a simulation, not a secret
        draw = chance.random()
        for kind, rate in sorted(self.rates.items()):
            if kind in _OF_MESSAGES and not name.startswith(Source.EVENTS):
                continue
            if draw < rate:
                return Strike(call=number, kind=kind, figure=_figure(kind, chance))
            draw -= rate
        return None


def read_script(text: str) -> tuple[Strike, ...]:
    """Read what ``Faults.as_script`` printed. Raises ``ValueError`` on a line that is none of its."""
    strikes = []
    for line in text.splitlines():
        call, kind, figure, *name = line.split(" ", 3)
        strikes.append(Strike(call=int(call), kind=Kind(kind), figure=float(figure), name="".join(name)))
    return tuple(strikes)


_WRITES = frozenset(
    {
        "create_template",
        "delete_template",
        "run_instance",
        "create_fleet",
        "terminate",
        "protect",
        "associate_address",
        "create_node_pool",
        "join",
        "acl_bootstrap",
        "remove_peer",
        "force_leave",
        "transfer_leadership",
        "write",
        "delete",
    }
)
_OPENS = frozenset({"at"})  # gives another port, which is as faulty
_NEVER_RAISES: Mapping[str, Callable[[str], Any]] = {
    "server_view": lambda address: ServerView(address=address, reachable=False)
}


class ProgramClock(Protocol):
    """The clock port."""

    def now(self) -> datetime:
        """Give the time, with time zone."""

    async def sleep(self, seconds: float) -> None:
        """Wait."""


@dataclass(frozen=True, slots=True)
class ShiftedClock:
    """The program's clock, wrong by what the faults say; it waits as long as any other."""

    clock: ProgramClock
    faults: Faults

    def now(self) -> datetime:
        """Give the time that the program believes in."""
        return self.clock.now() + timedelta(seconds=self.faults.skew)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await self.clock.sleep(seconds)


def faulty(port: Port, faults: Faults, *, source: Source, clock: Sleeper, observer: str = "") -> Port:
    """Put faults before a port; what is given has the port's methods, each call counted by ``faults``.

    ``observer`` names who asks: a split view is one observer's.
    """
    return cast("Port", _Faulty(port, faults, source, clock, observer))


class _Faulty:
    """A port whose calls may go wrong."""

    def __init__(self, port: object, faults: Faults, source: Source, clock: Sleeper, observer: str) -> None:
        self._port, self._faults, self._source, self._clock = port, faults, source, clock
        self._observer = observer

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._port, name)
        if name in _OPENS:
            return lambda *args, **named: faulty(
                method(*args, **named), self._faults, source=self._source, clock=self._clock, observer=self._observer
            )
        if not inspect.iscoroutinefunction(method):
            return method

        async def called(*args: Any, **named: Any) -> Any:
            return await self._call(name, method, args, named)

        return called

    async def _call(self, name: str, method: Callable[..., Any], args: Sequence[Any], named: Mapping[str, Any]) -> Any:
        what, writes = f"{self._source}.{name}", name in _WRITES
        strike = self._faults.next(what)
        if strike is not None and strike.kind in {Kind.JUMP, Kind.SPLIT}:
            self._begin(strike)
        match strike.kind if strike else None:
            case Kind.CRASH_BEFORE:
                raise Crashed(what)
            case Kind.FAIL:
                return self._unheard(name, args, UnansweredError(self._source, what, "it was made to fail"))
            case Kind.DELAY if strike is not None:
                await self._clock.sleep(strike.figure)
            case Kind.STALE if strike is not None and not writes:
                if (earlier := self._faults.heard.get(_question(what, args, named))) is not None:
                    return earlier[-min(len(earlier), max(1, int(strike.figure)))]
            case _:
                pass
        answer = await method(*args, **named) if writes else await self._read(what, method, args, named)
        match strike.kind if strike else None:
            case Kind.CRASH_AFTER:
                raise Crashed(what)
            case Kind.LOSE_REPLY:
                lost = OutcomeUnknownError if writes else UnansweredError
                return self._unheard(name, args, lost(self._source, what, "the reply was lost"))
            case Kind.DUPLICATE | Kind.REORDER if strike is not None and isinstance(answer, tuple):
                return _disturbed(answer, strike)
            case _:
                return answer

    def _begin(self, strike: Strike) -> None:
        """Let the program's clock jump, or this observer's view stand still."""
        if strike.kind is Kind.JUMP:
            self._faults.skew += strike.figure
            return
        seen = {q: answers[-1] for q, answers in self._faults.heard.items() if q.startswith(f"{self._source}.")}
        self._faults.splits[self._view] = Split(left=int(strike.figure), seen=seen)

    @property
    def _view(self) -> str:
        return f"{self._observer}/{self._source}"

    async def _read(self, what: str, method: Callable[..., Any], args: Sequence[Any], named: Mapping[str, Any]) -> Any:
        question, split = _question(what, args, named), self._faults.splits.get(self._view)
        if split is not None and split.left > 0:
            split.left -= 1
            if question in split.seen:
                return split.seen[question]
        answer = await method(*args, **named)
        if split is not None and split.left > 0:
            split.seen[question] = answer
        kept = self._faults.heard.setdefault(question, [])
        kept[:] = [*kept, answer][-_REMEMBERED:]
        return answer

    def _unheard(self, name: str, args: Sequence[Any], error: Exception) -> Any:
        if (instead := _NEVER_RAISES.get(name)) is not None:
            return instead(args[0])
        raise error


def _disturbed(answer: tuple[Any, ...], strike: Strike) -> tuple[Any, ...]:
    """Give a list with one entry twice, or turned."""
    if not answer:
        return answer
    place = int(strike.figure) % len(answer)
    if strike.kind is Kind.DUPLICATE:
        return (*answer[: place + 1], *answer[place:])
    return (*answer[place:], *answer[:place])[::-1]


def _question(what: str, args: Sequence[Any], named: Mapping[str, Any]) -> str:
    return f"{what}{args!r}{sorted(named.items())!r}"


def _figure(kind: Kind, chance: random.Random) -> float:
    match kind:
        case Kind.DELAY:
            return round(chance.uniform(0.5, 30.0), 1)
        case Kind.STALE:
            return float(chance.randint(1, _REMEMBERED))
        case Kind.SPLIT:
            return float(chance.randint(2, 40))
        case Kind.DUPLICATE | Kind.REORDER:
            return float(chance.randint(0, 9))
        case Kind.JUMP:
            return round(chance.uniform(-300.0, 300.0), 1)
        case _:
            return 0.0
