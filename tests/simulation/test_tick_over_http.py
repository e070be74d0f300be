"""A tick whose requests to Nomad go wrong, one kind at a time: it ends, does nothing wrong, and the next one heals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from providers.http import App, Message
from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings
from providers.prices.shipped import load_catalogue
from providers.sandbox.doors import SandboxEc2
from providers.sandbox.virtualtime import LoopClock, run_virtual
from providers.sandbox.wire.nomad import NomadWire
from providers.sandbox.world.world import World
from reconciler.loop import GroupLoop, Ports, Tick
from schemas.document import ClusterGroup
from schemas.faults import Refusal, RefusedError, Source
from schemas.plan import Launch
from schemas.record import Record
from support.builders import a_group, a_pool
from support.stage import a_job_of, a_scenario

Kept = dict[str, tuple[dict[str, str], int]]

PATHS = (
    "/v1/nodes",
    "/v1/node/",
    "/v1/jobs",
    "/v1/job/",
    "/v1/evaluations",
    "/v1/allocations",
    "/v1/node/pools",
    "/v1/operator/scheduler/configuration",
    "/v1/",
)
WAYS = ("cut", "500", "a page", "garbage", "an empty list of nobody", "silence")


@dataclass(slots=True)
class DictStore:
    """Records in memory, so that a world and its journal can be taken up again and again."""

    kept: Kept = field(default_factory=dict)

    async def read(self, path: str) -> Record | None:
        items, index = self.kept.get(path, ({}, 0))
        return Record(items=items, index=index) if index else None

    async def write(self, path: str, items: Mapping[str, str], *, index: int) -> int:
        if index != self.kept.get(path, ({}, 0))[1]:
            raise RefusedError(Source.STORE, f"write {path}", "somebody else wrote first", why=Refusal.CONFLICT)
        self.kept[path] = (dict(items), index + 1)
        return index + 1


@dataclass(slots=True)
class Broken:
    """Stands before the wire and breaks every request whose path begins so, while it is on."""

    app: App
    path: str
    way: str
    on: bool = False
    broken: int = 0

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        here = scope["path"] == self.path or (self.path.endswith("/") and self._below(scope["path"]))
        if not self.on or not here:
            await self.app(scope, receive, send)
            return
        self.broken += 1
        plain, page = [(b"content-type", b"text/plain")], [(b"content-type", b"text/html")]
        match self.way:
            case "silence":
                while (await receive())["type"] != "http.disconnect":
                    pass
            case "cut":
                await send({"type": "http.response.start", "status": 200, "headers": plain})
                await send({"type": "http.response.body", "body": b'[{"ID": "', "more_body": True})
                raise ConnectionResetError
            case "500":
                await _say(send, 500, plain, b"rpc error: stream closed")
            case "a page":
                await _say(send, 200, page, b"<html>We will be back soon</html>")
            case "garbage":
                await _say(send, 200, plain, b'\x00[{"ID": 7}]')
            case _:
                await _say(send, 200, [(b"content-type", b"application/json")], b"[]")

    def _below(self, path: str) -> bool:
        return path.startswith(self.path) and path not in PATHS


async def _say(send: Any, status: int, headers: Any, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def the_group() -> ClusterGroup:
    return a_group(pools=[a_pool(size={"min": 1, "max": 6})], limits={"maxNodes": 8, "maxHourlyCost": 3})


@cache
def a_quiet_cluster() -> tuple[bytes, Kept]:
    """Form a cluster with some work placed, over HTTP, until nothing is left to do."""
    world = World.create(a_scenario(a_job_of("web", count=2)), seed=3, catalogue=load_catalogue())
    store = DictStore()
    ticks = played(world, store, seconds=1200, broken=None)
    assert ticks[-1].converged
    return world.save(), store.kept


def played(
    world: World, store: DictStore, *, seconds: float, broken: tuple[str, str] | None, more_work: bool = False
) -> list[Tick]:
    """Run ticks until converged; the first one meets what is broken."""
    ticks: list[Tick] = []

    async def work() -> None:
        clock, kernel = LoopClock(), world.kernel
        path, way = broken or ("", "")
        app = Broken(NomadWire(world, clock), path, way)
        async with RealNomadDoor(NomadSettings(), app=app, chance=lambda: 0.0) as nomad:
            loop = GroupLoop(
                the_group(),
                Ports(
                    clock=clock,
                    ec2=SandboxEc2(world, clock),
                    nomad=nomad,
                    store=store,
                    catalogue=load_catalogue(),
                    new_id=kernel.new_id,
                    chance=lambda: 0.5,
                ),
            )
            if more_work:
                world.nomad.api.register_job({"Job": a_job_of("more", count=8, cpu=2000)})
                await clock.sleep(5)
            end = clock.seconds() + seconds
            app.on = broken is not None
            while clock.seconds() < end:
                ticks.append(await loop.tick())
                assert not (app.on and app.broken == 0), f"no request met {path}"
                app.on = False
                if ticks[-1].converged:
                    return
                await clock.sleep(5)

    run_virtual(work, start=world.now)
    return ticks


def again() -> tuple[World, DictStore]:
    saved, kept = a_quiet_cluster()
    return World.load(saved, load_catalogue()), DictStore(dict(kept))


def instances(world: World) -> list[str]:
    return sorted(i.id for i in world.state.ec2.instances.values() if i.state in {"pending", "running"})


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("path", PATHS)
def test_in_a_quiet_cluster_nothing_is_done_while_nomad_answers_wrongly(path: str, way: str) -> None:
    world, store = again()
    before = instances(world)

    first, *rest = played(world, store, seconds=120, broken=(path, way))

    assert Source.NOMAD in first.snapshot.unanswered
    assert first.plan.actions == ()
    assert rest[-1].converged
    assert rest[-1].snapshot.unanswered == {}
    assert instances(world) == before


@pytest.mark.parametrize("path", PATHS[:6])
def test_queued_work_is_bought_once_after_nomad_answers_again(path: str) -> None:
    calm, store = again()
    played(calm, store, seconds=900, broken=None, more_work=True)
    world, store = again()

    first, *rest = played(world, store, seconds=900, broken=(path, "cut"), more_work=True)

    assert not any(isinstance(action, Launch) for action in first.plan.actions)
    assert rest[-1].converged
    assert len(instances(world)) == len(instances(calm)) > len(instances(again()[0]))
