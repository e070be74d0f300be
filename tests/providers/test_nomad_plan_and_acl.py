"""Nomad as an oracle for one job, and its first management token: the same through the port and over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reconciler.ports import Nomad
from schemas.faults import Refusal, RefusedError
from support.nomad_jobs import Running, a_job, running, wait

SECRET, OTHER = "3b1ee0b4-67a4-4c0f-9ac1-5f4a7a6f2c11", "7f0c3a52-1b6e-4a3e-8f55-0d6c1a9b2e44"

Door = Callable[[Running], Nomad]


def by_port(wired: Running) -> Nomad:
    return wired.nomad.at(wired.hosts)


def over_http(wired: Running) -> Nomad:
    return wired.real.at(wired.hosts)


both = pytest.mark.parametrize("door", [by_port, over_http])


@both
def test_a_plan_says_how_many_copies_would_find_room_and_why_the_rest_would_not(door: Door) -> None:
    async def work(wired: Running) -> None:
        nomad = door(wired)
        wired.world.nomad.api.register_job({"Job": a_job("many", count=60, cpu=1000)})
        await wait(wired, 10)
        (waiting,) = [j.queued["g"] for j in await nomad.jobs() if j.id == "many"]
        full = await nomad.job_plan("default", "many")
        assert full is not None
        assert (full.placed, full.failed) == ({}, {"g": waiting})
        assert full.failures["g"].dimensions

        wired.world.nomad.api.deregister_job("web")
        await wait(wired, 0.5)  # its copies still end, and their room is not free before
        await wait(wired, 30)
        again = await nomad.job_plan("default", "many")
        assert again is not None
        assert sum(again.failed.values()) < waiting

    running(work)


@both
def test_a_plan_writes_nothing_and_of_no_job_there_is_none(door: Door) -> None:
    async def work(wired: Running) -> None:
        index = wired.world.nomad.api.index
        placed = await door(wired).job_plan("default", "web")
        assert placed is not None
        assert (placed.placed, placed.failed) == ({}, {})
        assert await door(wired).job_plan("default", "nothing") is None
        assert await door(wired).job_plan("default", "team/api") is not None
        assert wired.world.nomad.api.index == index

    running(work)


def with_acl(wired: Running) -> None:
    for agent in wired.world.state.servers.agents.values():
        agent.acl = True


@both
def test_the_first_management_token_is_made_once_and_asking_again_is_success(door: Door) -> None:
    async def work(wired: Running) -> None:
        with_acl(wired)
        await door(wired).acl_bootstrap(SECRET)
        await door(wired).acl_bootstrap(SECRET)
        assert SECRET not in wired.world.save().decode(errors="replace")

    running(work)


@both
def test_a_cluster_that_has_another_management_token_says_how_to_begin_anew(door: Door) -> None:
    async def work(wired: Running) -> None:
        with_acl(wired)
        await door(wired).acl_bootstrap(OTHER)
        with pytest.raises(RefusedError, match=r"already done \(reset index: \d+\)") as refused:
            await door(wired).acl_bootstrap(SECRET)
        assert refused.value.why is Refusal.EXISTS

    running(work)


@both
@pytest.mark.parametrize(("acl", "secret", "said"), [(False, SECRET, "ACL support disabled"), (True, "no", "invalid")])
def test_without_acls_or_without_a_uuid_it_is_refused(door: Door, acl: Any, secret: str, said: str) -> None:
    async def work(wired: Running) -> None:
        if acl:
            with_acl(wired)
        with pytest.raises(RefusedError, match=said) as refused:
            await door(wired).acl_bootstrap(secret)
        assert refused.value.why is Refusal.INVALID

    running(work)
