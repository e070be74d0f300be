"""The whole program on the simulated account over EC2's own protocol, with one call that goes wrong.

A world whose servers were formed by hand waits with queued work; the program buys its machines. A fault strikes one
call of one operation, all of botocore's tries of it, and what the program does then is seen from the account's side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from typing import Any
from urllib.parse import parse_qs

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.exceptions import ReadTimeoutError

from providers.aws.clients import Clients
from providers.ec2.provider import AwsEc2
from providers.prices.shipped import load_catalogue
from providers.sandbox.doors import SandboxNomadDoor
from providers.sandbox.virtualtime import LoopClock, run_virtual
from providers.sandbox.wire.ec2.app import Ec2Wire
from providers.sandbox.world.scenario import Scenario, Step, load_scenario
from providers.sandbox.world.world import World
from providers.stores.sqlite import SqliteStore
from reconciler.loop import GroupLoop, Ports, Tick
from schemas.document import ClusterGroup
from support.aws_wire import REGION, Says, says_no
from support.builders import a_pool
from support.stage import a_job_of
from support.whole_world import Doors, form, through_doors

TAG = "nomad-reconciler:"
LATE_BY = 20.0  # seconds after which a request that was given up arrives all the same
PATIENCE = 1200.0  # virtual seconds in which all must be well again
WRITES = frozenset({"CreateFleet", "CreateLaunchTemplate"})


class Fault(StrEnum):
    """What goes wrong with one call."""

    LOST = "lost after it happened"
    LATE = "lost and happens 20 s later"
    BROKEN = "500 before anything happened"
    THROTTLED = "throttled"
    GARBAGE = "garbage after it happened"
    CUT = "cut off after it happened"


@dataclass(frozen=True, slots=True)
class Strike:
    """The ``nth`` call (from 0) of an operation goes wrong: by a fault, or as EC2 answers instead of doing it.

    With ``then`` EC2 answers so whenever it is asked again under that call's token.
    """

    operation: str
    nth: int
    what: Fault | Says
    then: Says | None = None


@dataclass(slots=True)
class Play:
    """What came of one run, as the account saw it."""

    calls: list[str] = field(default_factory=list)
    fleets: list[tuple[str, str, int]] = field(default_factory=list)  # (token, claim, count) of each CreateFleet
    ticks: list[Tick] = field(default_factory=list)
    launched: dict[str, int] = field(default_factory=dict)  # machines ever launched, by claim
    alive: int = 0
    price: float = 0.0  # USD an hour of those that live
    converged: bool = False
    seconds: float = 0.0  # until all had converged
    rest: int = 0  # place in ``calls`` where rest began


class StruckWire(Ec2Wire):
    """The account, one call to which goes wrong."""

    def __init__(self, world: World, clock: LoopClock, strike: Strike | None, play: Play) -> None:
        super().__init__(world, clock)
        self._strike, self._play, self._seconds = strike, play, clock.seconds
        self._known: dict[str, int] = {}  # botocore's invocation → which call of its operation it is
        self._counted: Counter[str] = Counter()
        self._token = ""
        self._late: list[tuple[float, AWSPreparedRequest]] = []

    def _before_send(self, request: AWSPreparedRequest, **_: object) -> AWSResponse:
        for at, late in list(self._late):
            if self._seconds() >= at:
                self._late.remove((at, late))
                super()._before_send(late)
        operation, form_ = _operation(request)
        invocation = _text(request.headers.get("amz-sdk-invocation-id", ""))
        if invocation not in self._known:
            self._known[invocation] = self._counted[operation]
            self._counted[operation] += 1
            self._play.calls.append(operation)
            if operation == "CreateFleet":
                self._play.fleets.append(_fleet(form_))
        strike = self._strike
        if strike is None or strike.operation != operation:
            return super()._before_send(request)
        if strike.nth == self._known[invocation]:
            self._token = form_.get("ClientToken", "")
            return self._struck(strike.what, request)
        if strike.then is not None and form_.get("ClientToken") == self._token:
            return _answer(request, strike.then)
        return super()._before_send(request)

    def _struck(self, what: Fault | Says, request: AWSPreparedRequest) -> AWSResponse:
        match what:
            case Fault.LOST:
                super()._before_send(request)
                raise ReadTimeoutError(endpoint_url=request.url)
            case Fault.LATE:
                self._late.append((self._seconds() + LATE_BY, request))
                raise ReadTimeoutError(endpoint_url=request.url)
            case Fault.BROKEN:
                return _answer(request, says_no("InternalError", 500))
            case Fault.THROTTLED:
                return _answer(request, says_no("RequestLimitExceeded", 503))
            case Fault.GARBAGE:
                super()._before_send(request)
                return _answer(request, Says("<html>Bad gateway</html>", 200))
            case Fault.CUT:
                whole = super()._before_send(request)
                body = whole.content
                return _answer(request, Says(body[: len(body) // 2].decode(errors="ignore"), whole.status_code))
            case Says():
                return _answer(request, what)


def _answer(request: AWSPreparedRequest, says: Says) -> AWSResponse:
    headers = HTTPHeaders.from_dict({"Content-Type": "text/xml"})
    return AWSResponse(request.url, says.status, headers, _Raw(says.body.encode()))


class _Raw:
    """A body as urllib3 hands it out."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self._body


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _operation(request: AWSPreparedRequest) -> tuple[str, dict[str, str]]:
    target = _text(request.headers.get("X-Amz-Target", ""))
    if target:
        return target.rpartition(".")[2], {}
    body = request.body if isinstance(request.body, bytes) else str(request.body or "").encode()
    form_ = {key: values[0] for key, values in parse_qs(body.decode(), keep_blank_values=True).items()}
    return form_["Action"], form_


def _fleet(form_: dict[str, str]) -> tuple[str, str, int]:
    claim = next(
        form_[key.replace(".Key", ".Value")] for key, value in form_.items() if value == f"{TAG}claim" and "Tag" in key
    )
    return form_["ClientToken"], claim, int(form_["TargetCapacitySpecification.TotalTargetCapacity"])


# --- the play --------------------------------------------------------------------------------------------------------


@cache
def shared_clients() -> Clients:
    return Clients(REGION)


@cache
def _waiting(copies: int, cpu: int) -> tuple[bytes, str]:
    """A saved world with three servers and work that waits; and the address of one of them."""
    spec = load_scenario("demo").account
    job = a_job_of("web", count=copies, cpu=cpu, memory=1024)
    world = World.create(
        Scenario(name="test", account=spec, steps=[Step(do="register-job", job=job)]),
        seed=5,
        catalogue=load_catalogue(),
    )

    async def work(doors: Doors) -> list[str]:
        return await form(doors)

    addresses = through_doors(world, work)
    return world.save(), addresses[0]


def the_group(address: str, *, most: int = 50) -> ClusterGroup:
    """Pools alone: the servers are somebody else's."""
    document: dict[str, Any] = {
        "apiVersion": "nomad-reconciler/v1alpha1",
        "kind": "ClusterGroup",
        "metadata": {"name": "demo"},
        "spec": {
            "nomad": {"address": f"http://{address}:4646"},
            "aws": {
                "region": REGION,
                "subnets": [{"id": f"subnet-{z}1", "zone": f"us-east-1{z}"} for z in "abc"],
                "securityGroups": ["sg-0123"],
                "instanceProfile": "nomad-node",
            },
            "machine": {"images": {"x86_64": "ami-0123"}},
            "pools": [a_pool(size={"min": 0, "max": most}, join=[address])],
            "limits": {"maxNodes": 1000, "maxHourlyCost": 1000, "maxLaunchesPerMinute": 1000},
        },
    }
    return ClusterGroup.model_validate(document)


def play(
    strike: Strike | None = None, *, copies: int = 6, cpu: int = 1000, most: int = 50, at_rest: float = 0.0
) -> Play:
    """Run the program until all has converged (and so many seconds on), with one call that goes wrong."""
    saved, address = _waiting(copies, cpu)
    world, told = World.load(saved, load_catalogue()), Play()
    group = the_group(address, most=most)
    start = world.now

    async def work() -> None:
        clock, kernel = LoopClock(), world.kernel
        StruckWire(world, clock, strike, told).attach(shared_clients())
        ports = Ports(
            clock=clock,
            ec2=AwsEc2(shared_clients(), clock.now, inline=True),
            nomad=SandboxNomadDoor(world, clock),
            store=SqliteStore(),
            catalogue=load_catalogue(),
            new_id=kernel.new_id,
            chance=lambda: 0.5,
        )
        loop = GroupLoop(group, ports)
        while clock.seconds() < start + PATIENCE:
            tick = await loop.tick()
            told.ticks.append(tick)
            if tick.converged and len(told.ticks) > 1:
                told.converged = True
                break
            await clock.sleep(loop.pause(tick))
        told.seconds, told.rest = clock.seconds() - start, len(told.calls)
        end = clock.seconds() + at_rest
        while clock.seconds() < end:
            tick = await loop.tick()
            told.ticks.append(tick)
            await clock.sleep(loop.pause(tick))

    run_virtual(work, start=start)
    machines = [i for i in world.cloud.state.instances.values() if i.tags.get(f"{TAG}role") == "client"]
    told.launched = Counter(i.tags.get(f"{TAG}claim", "") for i in machines)
    living = [i for i in machines if i.state in {"pending", "running"}]
    told.alive = len(living)
    told.price = round(sum(load_catalogue()[i.type].on_demand_usd_per_hour for i in living), 6)
    return told
