"""Each call to AWS, replayed from what the simulated account answered over HTTP: what we send and what we read.

A change of either shows as a diff of a cassette. ``pytest --update-golden`` records them anew.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.abc import TaskStatus
from anyio.from_thread import start_blocking_portal

from providers.aws.clients import Clients
from providers.ec2.provider import AwsEc2
from providers.events.queue import Queue
from providers.prices.shipped import load_catalogue
from providers.sandbox.doors.time import catch_up
from providers.sandbox.virtualtime import LoopClock
from providers.sandbox.wire.ec2.app import Ec2Wire
from providers.sandbox.wire.serve import serve
from providers.sandbox.world.ec2 import lifecycle, scheduled
from providers.sandbox.world.ec2.interruption import interrupt
from providers.sandbox.world.ec2.state import CapacityLimit
from providers.sandbox.world.scenario import Scenario, load_scenario
from providers.sandbox.world.world import World
from schemas.catalogue import Catalogue
from schemas.faults import Refusal, RefusedError
from support.aws_wire import REGION
from support.builders import NOON
from support.cassettes import cassette
from support.whole_world import Doors, a_client_template, a_request, a_server_template, through_doors

PATH = Path(__file__).parents[1] / "recordings" / "cassettes" / "aws" / "account.json"
HIDDEN = ("authorization", "x-amz-date", "amz-sdk-invocation-id", "amz-sdk-request", "content-length")
ZONES = ("us-east-1a", "us-east-1b")
FEW = ("m6i.large", "c6i.large", "t3.small", "m6g.large", "m5.metal")

Family = Callable[[AwsEc2, Clients], Awaitable[dict[str, Any]]]


async def templates(ec2: AwsEc2, _: Clients) -> dict[str, Any]:
    template = a_client_template()
    await ec2.create_template("demo", template)
    with pytest.raises(RefusedError) as taken:
        await ec2.create_template("demo", template)
    read, names = await ec2.template(template.name), await ec2.template_names("demo")
    await ec2.delete_template(template.name)
    await ec2.delete_template(template.name)
    return {
        "taken": taken.value.why,
        "as written": read == template,
        "names": sorted(names),
        "gone": await ec2.template(template.name),
    }


async def launches(ec2: AwsEc2, _: Clients) -> dict[str, Any]:
    server = await ec2.run_instance(a_server_template("subnet-a1"), token="t", tags={})
    await ec2.create_template("demo", a_client_template("general-cassette"))
    fleet = await ec2.create_fleet(a_request(2, "m6i.large", "c6i.large", template="general-cassette"))
    return {
        "server": (server.type, server.zone, server.market, server.state),
        "fleet": [(i.type, i.zone, i.market, i.claim) for i in fleet.instances],
        "errors": [(e.instance_type, e.zone, e.code, e.why) for e in fleet.errors],
    }


async def machines(ec2: AwsEc2, _: Clients) -> dict[str, Any]:
    listed = sorted(await ec2.instances("demo"), key=lambda i: i.launched_at)
    ids = [i.id for i in listed]
    trouble = await ec2.trouble(ids, spot=True)
    return {
        "listed": [(i.type, i.zone, i.market, i.state, i.role) for i in listed],
        "impaired": [ids.index(i) for i in sorted(await ec2.impaired(ids))],
        "since": [at is not None for at in trouble.impaired.values()],
        "events": [(ids.index(e.instance_id), e.code) for e in trouble.events],
        "reclaimed": {ids.index(i): status for i, status in trouble.reclaimed.items()},
    }


async def endings(ec2: AwsEc2, _: Clients) -> dict[str, Any]:
    server = next(i.id for i in await ec2.instances("demo") if i.role == "server")
    await ec2.associate_address("eipalloc-1", server)
    held = {a.allocation_id: a.instance_id == server for a in await ec2.addresses()}
    with pytest.raises(RefusedError) as kept:
        await ec2.terminate([server])
    await ec2.protect(server, on=False)
    await ec2.terminate([server])
    with pytest.raises(RefusedError) as unknown:
        await ec2.terminate(["i-0123456789abcdef0"])
    return {"held": held, "kept": kept.value.why, "unknown": unknown.value.why}


async def supply(ec2: AwsEc2, _: Clients) -> dict[str, Any]:
    prices = await ec2.spot_prices(FEW[:2], ZONES)
    told = await ec2.supply(zones=ZONES, subnets=["subnet-a1", "subnet-gone"], known=FEW[1:])
    return {
        "spot": sorted(prices),
        "offered": {zone: sorted(types) for zone, types in told.offered.items()},
        "described": [(t.name, t.vcpu, t.memory_mib, t.cpu_mhz, t.arch) for t in told.types],
        "free": dict(told.free_addresses),
        "on demand": sorted(told.on_demand),
        "silent": dict(told.silent),
    }


async def queue(_: AwsEc2, clients: Clients) -> dict[str, Any]:
    box = Queue(clients, "http://127.0.0.1/123456789012/interruptions", inline=True)
    messages = await box.receive(wait=0)
    await box.delete(messages)
    return {"messages": len(messages), "left": len(await box.receive(wait=0))}


async def parameters(ec2: AwsEc2, _: Clients) -> dict[str, Any]:
    named = replace(a_client_template("by-name"), image_id="ssm:/images/nomad/x86_64")
    await ec2.create_template("demo", named)
    stored = await ec2.template("by-name")
    unknown = replace(named, name="by-no-name", image_id="ssm:/images/other")
    with pytest.raises(RefusedError, match="/images/other") as no:
        await ec2.create_template("demo", unknown)
    return {"pinned": stored.image_id if stored else None, "refused": no.value.why}


FAMILIES: dict[str, Family] = {
    "templates": templates,
    "launches": launches,
    "machines": machines,
    "endings": endings,
    "supply": supply,
    "queue": queue,
    "parameters": parameters,
}
SPOT = ("m6i.large", "us-east-1b", "spot")
EXPECTED: dict[str, dict[str, Any]] = {
    "templates": {
        "taken": Refusal.EXISTS,
        "as written": True,
        "names": ["general-1234", "general-first"],
        "gone": None,
    },
    "launches": {
        "server": ("t3.small", "us-east-1a", "on-demand", "pending"),
        "fleet": [(*SPOT, "general-1")],
        "errors": [
            ("c6i.large", "us-east-1b", "InvalidFleetConfiguration", Refusal.IMPOSSIBLE),
            ("m6i.large", "us-east-1b", "InsufficientInstanceCapacity", Refusal.CAPACITY),
        ],
    },
    "machines": {
        "listed": [
            ("t3.small", "us-east-1a", "on-demand", "running", "server"),
            *[(*SPOT, "running", "client")] * 4,
            ("t3.small", "us-east-1a", "on-demand", "pending", "server"),
            (*SPOT, "pending", "client"),
        ],
        "impaired": [1],
        "since": [True],
        "events": [(2, "instance-retirement")],
        "reclaimed": {3: "instance-terminated-no-capacity"},
    },
    "endings": {"held": {"eipalloc-1": True}, "kept": Refusal.PROTECTED, "unknown": Refusal.INVALID},
    "supply": {
        "spot": [("c6i.large", "us-east-1a"), ("m6i.large", "us-east-1a"), ("m6i.large", "us-east-1b")],
        "offered": {
            "us-east-1a": ["c6i.large", "m5.metal", "m6i.large", "t3.small"],
            "us-east-1b": ["m5.metal", "m6g.large", "m6i.large", "t3.small"],
        },
        "described": [("m6i.large", 2, 8192, 7000, "x86_64")],
        "free": {"subnet-a1": 4089},
        "on demand": ["c6i.large", "m5.metal", "m6g.large", "m6i.large", "t3.small"],
        "silent": {},
    },
    "queue": {"messages": 3, "left": 0},
    "parameters": {"pinned": "ami-0123", "refused": Refusal.SPECIFICATION},
}


def an_account() -> World:
    """A server and four spot machines: one hangs, one is to be retired, one is taken back; two messages wait."""
    spec = load_scenario("demo").account
    spec.describe_lag_max, spec.elastic_ips, spec.not_offered = (
        0.0,
        ["eipalloc-1"],
        ["m6g.large/us-east-1a", "c6i.large/us-east-1b"],
    )
    few = Catalogue(load_catalogue()[name] for name in FEW)
    world = World.create(Scenario(name="test", account=spec), 1, few)

    async def work(doors: Doors) -> None:
        await doors.ec2.run_instance(a_server_template("subnet-a1"), token="first", tags={})
        await doors.ec2.create_template("demo", a_client_template("general-first"))
        made = await doors.ec2.create_fleet(a_request(4, "m6i.large", token="first", template="general-first"))
        ids = [i.id for i in made.instances]
        await doors.clock.sleep(240)
        lifecycle.crash(world.cloud, ids[0])
        await doors.clock.sleep(150)
        catch_up(world, doors.clock).cloud.state.messages.clear()
        scheduled.schedule(world.cloud, ids[1], scheduled.RETIREMENT, after=86_400)
        interrupt(world.cloud, ids[2])
        await doors.clock.sleep(1)
        catch_up(world, doors.clock)

    through_doors(world, work)
    world.state.ec2.capacity = [CapacityLimit(live_max=5, types="m6i.large")]
    return world


async def everything(clients: Clients) -> dict[str, dict[str, Any]]:
    ec2 = AwsEc2(clients, lambda: NOON, inline=True)  # one call after the other, so that a tape has one order
    return {name: await family(ec2, clients) for name, family in FAMILIES.items()}


@contextmanager
def served(world: World) -> Iterator[str]:
    """Serve an account beside this thread; gives its URL."""

    async def serving(*, task_status: TaskStatus[int]) -> None:
        await serve(Ec2Wire(world, LoopClock(world.now - anyio.current_time())), task_status=task_status)

    with start_blocking_portal() as portal:
        server, port = portal.start_task(serving)
        yield f"http://127.0.0.1:{port}"
        server.cancel()


def test_what_is_sent_and_what_is_read_are_as_recorded(
    no_account: None, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = bool(request.config.getoption("--update-golden"))
    with served(an_account()) if record else nullcontext("http://127.0.0.1:9") as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with cassette(PATH, record=record, hidden=HIDDEN):
            told = anyio.run(everything, Clients(REGION))

    assert told == EXPECTED
