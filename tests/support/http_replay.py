"""All recorded exchanges with a real Nomad are asked of the simulated one, in their order, and compared.

    python -m support.http_replay

from the folder ``tests`` prints how many are the same, and why the others are not. Compared are status, header names,
error texts, and of bodies the shape: keys, types, null against absent.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable

from providers.http import Answer, Http, Request
from providers.sandbox.virtualtime import LoopClock, run_virtual
from providers.sandbox.wire.nomad import NomadWire
from providers.sandbox.world.servers import agents
from providers.sandbox.world.world import World
from support.recorded_http import (
    CLIENTS,
    SERVERS,
    Exchange,
    Pairing,
    a_recorded_world,
    add_client,
    differences,
    exchanges,
    recorded_nodes,
)

MAIN, ALONE, SMALL = range(1, 269), range(269, 270), range(270, 306)
ACL = range(306, 355)  # the world has no access control

# Recorded as bytes over time, or without the request: told by tests of their own, or not answered.
BESIDES: dict[int, str] = {
    219: "test_wire_variables",
    **dict.fromkeys(range(257, 266), "event streams: test_nomad_events"),
    266: "no limit of connections",
    283: "no metrics",
    284: "test_wire_answers",
    **dict.fromkeys((301, 302), "event streams: test_nomad_events"),
    **dict.fromkeys((*range(350, 355),), "no access control"),
}

# What the world does not do, by the number of the recording.
CONFIGURATION = "agent/self shows only the part of the configuration that somebody reads"
NOT_ANSWERED: dict[int, str] = {
    4: CONFIGURATION,
    5: CONFIGURATION,
    125: "HCL is not parsed",
    126: "HCL is not parsed",
    272: "HCL is not parsed",
}

# What it answers otherwise, by the name of the exchange.
DIFFERENT: dict[str, str] = {
    "067-evaluations": "an evaluation that was held back for a second does not say so",
    "268-no-leader/3": "no node was drained before",
    "304-allocations-after-purge": "the copies were not healthy yet",
}

EVENTS: dict[int, Callable[[World], None]] = {}  # what happened to the cluster before an exchange, beside the API


def before(number: int) -> Callable[[Callable[[World], None]], Callable[[World], None]]:
    def kept(event: Callable[[World], None]) -> Callable[[World], None]:
        EVENTS[number] = event
        return event

    return kept


@before(29)
def _work_is_placed(world: World) -> None:
    world.advance(world.now + 3)


@before(124)
def _the_stopped_one_has_ended(world: World) -> None:
    world.advance(world.now + 2)


@before(179)
def _the_forced_drain_is_over(world: World) -> None:
    world.advance(world.now + 4)


@before(182)
def _purged(world: World) -> None:
    """The node is asked for before its agent comes back."""


@before(183)
def _a_fifth_client_dies(world: World) -> None:
    add_client(world, "n5")
    world.nomad.kill_agent("n5")
    world.advance(world.now + 15)


@before(189)
def _garbage_is_collected(world: World) -> None:
    world.advance(world.now + 1)


@before(268)
def _two_of_three_servers_die(world: World) -> None:
    for name in ("s1", "s2"):
        agents.kill(world.servers, SERVERS[name])
    world.advance(world.now + 20)


class Replay:
    """Asks one cluster the recorded questions, and keeps what differs."""

    def __init__(self, world: World) -> None:
        self._world, self._clock, self._pairs = world, LoopClock(), Pairing()
        self._http, self._nodes = Http(app=NomadWire(world, self._clock)), recorded_nodes()
        self.same: list[str] = []
        self.different: dict[str, list[str]] = {}
        self.not_asked: dict[str, str] = {}

    async def play(self, exchange: Exchange, begun: float) -> None:
        """Ask, compare, learn."""
        await self._until(begun + exchange.at)
        address = {**SERVERS, **CLIENTS}[exchange.request.get("to", "s1")]
        self._know_nodes()
        if exchange.number in NOT_ANSWERED:
            self.not_asked[exchange.name] = NOT_ANSWERED[exchange.number]
        elif self._pairs.unknown([exchange.request.get(part) for part in ("path", "query", "body")]):
            self.not_asked[exchange.name] = "it names a thing by an id that the world never showed"
        else:
            answer = await self._ask(exchange, address)
            found = self._compared(exchange, answer)
            if found:
                self.different[exchange.name] = found
            else:
                self.same.append(exchange.name)
        self._world.advance(self._clock.seconds() + 0.05)

    def _know_nodes(self) -> None:
        """Nodes have names, also where no answer has shown them yet."""
        ours = {node.name: node.id for node in self._world.nomad.state.nodes.values()}
        for recorded, name in self._nodes.items():
            if name in ours:
                self._pairs.ours.setdefault(recorded, ours[name])

    async def _until(self, seconds: float) -> None:
        await self._clock.sleep(max(0.05, self._world.now - self._clock.seconds(), seconds - self._clock.seconds()))

    async def _ask(self, exchange: Exchange, address: str) -> Answer:
        path, _, more = str(self._pairs.translated(exchange.request["path"])).partition("?")
        query = [*dict(self._pairs.translated(exchange.request.get("query") or {})).items()]
        query += [(name, value) for name, _, value in (pair.partition("=") for pair in more.split("&") if pair)]
        query = [(k, str(self._pairs.indexes.get(int(v), int(v))) if k == "cas" else v) for k, v in query]
        body = self._pairs.translated(exchange.request.get("body"))
        content = None if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        url = f"http://{address}:4646{path}"
        request = Request(method=exchange.request["method"], url=url, query=query, body=content, seconds=400)
        return await self._http.ask(request)

    def _compared(self, exchange: Exchange, answer: Answer) -> list[str]:
        recorded, text = exchange.response.get("body"), bytes(answer.body).decode()
        found = []
        if answer.status != exchange.response["status"]:
            found.append(f"status {exchange.response['status']}, ours {answer.status} {text[:120]!r}")
        elif answer.status >= 300 and isinstance(recorded, str):
            if _numberless(recorded) != _numberless(text):
                found.append(f"text {recorded!r}, ours {text!r}")
        else:
            ours = json.loads(text) if text else None
            self._pairs.learn(recorded, ours)
            found += differences(recorded, ours)
        theirs = {name.lower() for name in exchange.response.get("headers") or {}} - PASSING
        mine = set(answer.headers) - PASSING
        if theirs != mine and not found:
            found.append(f"headers {sorted(theirs - mine)} missing, {sorted(mine - theirs)} too many")
        return found


PASSING = {"content-length", "content-encoding", "date", "transfer-encoding", "x-nomad-nexttoken"}


def _numberless(text: str) -> str:
    """Indexes are not the same in two clusters."""
    return "".join("#" if c.isdigit() else c for c in text)


def replayed(world: World, numbers: range) -> Replay:
    """Ask a cluster all exchanges of a range."""
    replay: Replay

    async def work() -> None:
        nonlocal replay
        replay = Replay(world)
        last, begun = 0, 0.0
        for exchange in exchanges():
            if exchange.number not in numbers:
                continue
            if exchange.number != last:
                if (event := EVENTS.get(exchange.number)) is not None:
                    event(world)
                last, begun = exchange.number, max(world.now, LoopClock().seconds())
            await replay.play(exchange, begun)

    run_virtual(work, start=world.now)
    return replay


CLUSTERS: dict[str, tuple[Callable[[], World], range]] = {
    "main": (a_recorded_world, MAIN),
    "never bootstrapped": (lambda: a_recorded_world(1, (), expect=3), ALONE),
    "small": (lambda: a_recorded_world(1, ("n1", "n2")), SMALL),
}


def tell(line: str) -> None:
    """Print it."""
    sys.stdout.write(f"{line}\n")


def main() -> None:
    """Print what the tests judge."""
    same, whole, why = 0, 0, Counter[str]()
    for name, (build, numbers) in CLUSTERS.items():
        replay = replayed(build(), numbers)
        asked = len(replay.same) + len(replay.different) + len(replay.not_asked)
        tell(f"{name}: {len(replay.same)} of {asked} exchanges the same")
        same, whole = same + len(replay.same), whole + asked
        why.update(DIFFERENT.get(one, f"a surprise in {one}: {found}") for one, found in replay.different.items())
        why.update(replay.not_asked.values())
    tell(f"all: {same} of {whole}; the others:")
    for reason, count in why.most_common():
        tell(f"  {count:3} {reason}")
    outside = sum(exchange.number in ACL for exchange in exchanges())
    tell(f"  and {outside} with access control on, which the simulated cluster does not have")
    besides = Counter(BESIDES.values())
    tell(f"{len(BESIDES)} recordings are no pairs of question and answer:")
    for reason, count in besides.most_common():
        tell(f"  {count:3} {reason}")


if __name__ == "__main__":
    main()
