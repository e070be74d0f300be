"""A world for others to reach: today's dates, any pace, loopback addresses; and doors that are where its agents are."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import anyio
import anyio.lowlevel
import msgspec
import pytest

from providers.http import Answer, Http, Request
from providers.prices.shipped import load_catalogue
from providers.sandbox.wire.loopback import listening, on_loopback
from providers.sandbox.wire.nomad import NomadWire
from providers.sandbox.wire.served import PortError, Ports, serve_world
from providers.sandbox.world.epoch import Calendar
from providers.sandbox.world.servers import agents
from providers.sandbox.world.world import World
from support.nomad_jobs import a_running_world
from support.served_world import connects

NOON = datetime(2031, 5, 6, 12, 0, 0, tzinfo=UTC)


class HandClock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = NOON

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        await anyio.lowlevel.checkpoint()


class WallClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)  # noqa: TID251 - what is served goes by it

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


def a_moved_world(*, pace: float = 1.0, now: datetime = NOON) -> World:
    """A running cluster whose present is ``now``, on loopback addresses."""
    saved, lived = a_running_world()[0].save(), a_running_world()[0].now
    return on_loopback(saved, load_catalogue(), Calendar(now - timedelta(seconds=lived / pace), pace))


def test_all_addresses_of_a_moved_world_are_of_loopback_and_what_was_said_of_them_holds() -> None:
    world = a_moved_world()

    saved = world.save().decode()
    assert re.findall(r"\b10\.\d+\.\d+\.\d+\b|ip-10-\d+", saved) == []
    assert len(listening(world)) == 6
    assert all(address.startswith("127.") for address in listening(world))
    assert {s.prefix.partition(".")[0] for s in world.state.ec2.subnets.values()} == {"127"}
    node = next(iter(world.nomad.state.nodes.values()))
    assert node.attributes["unique.network.ip-address"] == node.resources.address


@pytest.mark.parametrize("pace", [1.0, 10.0])
def test_what_happens_now_has_todays_date_at_any_pace(pace: float) -> None:
    world, clock = a_moved_world(pace=pace), HandClock()

    async def work() -> None:
        http = Http(app=NomadWire(world, clock))
        clock.at += timedelta(seconds=60)
        answer = await http.ask(Request(method="PUT", url="http://nomad:4646/v1/var/a", body=b'{"Items": {"a": "b"}}'))
        at = msgspec.json.decode(answer.body)["CreateTime"] / 1e9
        assert abs(at - (NOON + timedelta(seconds=60)).timestamp()) < 1.5

    anyio.run(work)
    assert world.now == pytest.approx(a_running_world()[0].now + 60 * pace, abs=2 * pace)


def test_a_lock_lasts_as_long_as_its_holder_counts_however_fast_the_world_goes() -> None:
    world, clock = a_moved_world(pace=20.0), HandClock()

    async def work() -> None:
        http = Http(app=NomadWire(world, clock))

        async def acquire() -> Answer:
            body = b'{"Lock": {"TTL": "15s", "LockDelay": "10s"}, "Items": {"a": "b"}}'
            return await http.ask(Request(method="PUT", url="http://nomad:4646/v1/var/lock?lock-acquire", body=body))

        assert (await acquire()).status == 200
        for seconds, status in ((1, 409), (28, 409), (10, 409), (2, 200)):  # two TTLs and the delay: 40 s
            clock.at += timedelta(seconds=seconds)
            assert (await acquire()).status == status, seconds

    anyio.run(work)


def on_ports(world: World, work: Callable[[Ports], Awaitable[None]]) -> None:
    async def opened() -> None:
        async with anyio.create_task_group() as group:
            ready, told = anyio.Event(), list[Ports]()

            def started(ports: Ports) -> None:
                told.append(ports)
                ready.set()

            group.start_soon(_serve, world, started)
            with anyio.fail_after(20):
                await ready.wait()
                await work(told[0])
            group.cancel_scope.cancel()

    anyio.run(opened)


async def _serve(world: World, started: Callable[[Ports], None], nomad_port: int = 0) -> None:
    await serve_world(world, WallClock(), nomad_port=nomad_port, ec2_port=0, started=started)


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 - nobody could tell us
        await anyio.sleep(0.05)


def test_each_agent_is_at_its_own_address_and_a_dead_ones_port_is_closed() -> None:
    world = a_moved_world(now=datetime.now(UTC).replace(microsecond=0))  # noqa: TID251 - what is served goes by it
    servers = [address for address, agent in world.state.servers.agents.items() if agent.process == "up"]

    async def work(ports: Ports) -> None:
        http = Http()

        async def asked(host: str, path: str = "/v1/agent/self") -> dict[str, dict[str, str]]:
            answer = await http.ask(Request(method="GET", url=f"http://{host}:{ports.nomad}{path}"))
            found: dict[str, dict[str, str]] = msgspec.json.decode(answer.body)
            return found

        await until(lambda: all(connects(host, ports.nomad) for host in listening(world)))
        assert [(await asked(host))["member"]["Addr"] for host in servers] == servers
        agents.kill(world.servers, servers[0])
        await until(lambda: not connects(servers[0], ports.nomad))
        assert connects(servers[1], ports.nomad)
        assert connects("127.0.0.1", ports.nomad), "all servers together"
        agents.restart(world.servers, servers[0])
        await until(lambda: connects(servers[0], ports.nomad))
        await http.aclose()

    on_ports(world, work)


def test_a_taken_port_is_named() -> None:
    world = a_moved_world()

    async def work(ports: Ports) -> None:
        with pytest.raises(ExceptionGroup) as several:
            await _serve(world, lambda _: None, nomad_port=ports.nomad)
        assert several.group_contains(PortError, match=f"port {ports.nomad} of 127.0.0.1 .* somebody listens there")

    on_ports(world, work)
