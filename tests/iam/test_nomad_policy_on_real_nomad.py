"""The Nomad policy held against a real Nomad with ACLs: it is enough, and each of its rules is needed."""

from __future__ import annotations

import contextlib
import re
import time
import urllib.error
from collections.abc import Awaitable, Callable
from datetime import timedelta

import anyio
import pytest

from providers.http import Answer, HttpError
from providers.nomad.client import NomadCluster
from providers.nomad.door import RealNomadDoor
from providers.nomad.settings import NomadSettings
from providers.stores.nomad_locks import NomadLocks
from providers.stores.nomad_variables import NomadVariables
from reconciler.iam import nomad_policy
from schemas.faults import Fault, Source, UnansweredError
from support.builders import GROUP, a_group, a_pool
from support.guarded_nomad import Guarded, asked, nomad
from support.real_nomad import needs_nomad

__all__ = ["nomad"]

pytestmark = [needs_nomad, pytest.mark.xdist_group("real nomad with acl")]

NOBODY = "00000000-0000-0000-0000-000000000000"
DENIED = re.compile(r"40[13] ")


Call = Callable[[NomadCluster], Awaitable[object]]


def _plainly(_: Answer) -> None:
    return None


async def _events(cluster: NomadCluster) -> None:
    """Open the stream as the follower does: a subscription that is granted says so at once, one that is not ends."""
    topics = (("topic", "Allocation"), ("topic", "Evaluation"), ("namespace", "*"))
    with contextlib.suppress(HttpError):
        async with cluster.channel.lines("/v1/event/stream", topics, idle=2.0) as (_, lines):
            async for line in lines:
                if "denied" not in line:
                    return
    raise UnansweredError(Source.NOMAD, "events", "as if it were 403 ")


async def _all_namespaces(cluster: NomadCluster) -> None:
    try:
        await cluster.see_all_namespaces()
    except UnansweredError as hidden:
        raise UnansweredError(hidden.source, hidden.what, f"as if it were 403 {hidden.message}") from hidden


CALLS: dict[str, Call] = {
    "events": _events,
    "all namespaces": _all_namespaces,
    "nodes": lambda n: n.nodes(),
    "jobs": lambda n: n.jobs(),
    "jobs of a namespace": lambda n: n.channel.read("/v1/jobs", (("namespace", "other"),), decode=_plainly),
    "evaluations": lambda n: n.evaluations(),
    "allocations": lambda n: n.allocations(),
    "node pools": lambda n: n.channel.read("/v1/node/pool/default", decode=_plainly),  # the list narrows silently
    "make a node pool": lambda n: n.create_node_pool("gpu"),
    "broker": lambda n: n.broker_paused(),
    "autopilot": lambda n: n.autopilot(),
    "gossip": lambda n: n.members(),
    "forget a server": lambda n: n.force_leave("nobody.global"),
    "drain": lambda n: n.effects.drain(NOBODY, deadline=timedelta(minutes=1)),
    "eligibility": lambda n: n.effects.set_eligibility(NOBODY, eligible=False),
    "purge": lambda n: n.effects.purge(NOBODY),
    "journal": lambda n: NomadVariables(n.channel).read(f"nomad-reconciler/{GROUP}/journal"),
    "lock": lambda n: NomadLocks(n.channel).acquire(f"nomad-reconciler/{GROUP}/lock", holder="a test"),
}


def denied(nomad: Guarded, rules: str) -> set[str]:
    """Name the calls for which a token with these rules has no right; other refusals are Nomad's business."""
    settings = NomadSettings(token=nomad.token(rules))
    found: set[str] = set()

    async def all_calls() -> None:
        async with RealNomadDoor(settings) as door:
            cluster = door.at([nomad.address])
            for name, call in CALLS.items():
                try:
                    await call(cluster)
                except Fault as fault:
                    if DENIED.search(fault.message):
                        found.add(name)

    with contextlib.suppress(urllib.error.HTTPError):  # made anew by each token
        asked(nomad.address, "DELETE", "/v1/node/pool/gpu", token=nomad.management)
    anyio.run(all_calls)
    return found


def policy() -> str:
    return nomad_policy(a_group(pools=[a_pool(nodePool="gpu")]))


def test_a_token_with_the_policy_may_make_every_call(nomad: Guarded) -> None:
    assert denied(nomad, policy()) == set()


@pytest.mark.parametrize("rule", [b.split(" {")[0].splitlines()[-1] for b in policy().split("\n\n")])
def test_without_any_one_of_its_rules_a_call_is_denied(nomad: Guarded, rule: str) -> None:
    rest = "\n\n".join(block for block in policy().split("\n\n") if f"{rule} {{" not in block)

    assert denied(nomad, rest)


def test_a_policy_for_servers_alone_may_drain_nothing(nomad: Guarded) -> None:
    assert denied(nomad, nomad_policy(a_group())) == {"make a node pool", "drain", "eligibility", "purge"}


def test_a_policy_for_looking_alone_lets_everything_be_seen_and_nothing_be_done(nomad: Guarded) -> None:
    done = {"make a node pool", "forget a server", "drain", "eligibility", "purge", "lock"}

    assert denied(nomad, nomad_policy(a_group(pools=[a_pool(nodePool="gpu")]), looks=True)) == done


def test_no_policy_grants_what_raft_wants(nomad: Guarded) -> None:
    """Why server steps need a management token."""
    settings = NomadSettings(token=nomad.token(policy()))

    async def raft() -> None:
        async with RealNomadDoor(settings) as door:
            await door.at([nomad.address]).raft_configuration()

    with pytest.raises(Fault, match="403"):
        anyio.run(raft)


def test_stopping_a_copy_needs_alloc_lifecycle(nomad: Guarded) -> None:
    """Asked for one that is not there Nomad says so before it looks at rights: this takes a real one."""
    if not nomad.cluster.clients:
        nomad.cluster.start_client()
    task = {"Name": "t", "Driver": "raw_exec", "Config": {"command": "sleep", "args": ["600"]}}
    task["Resources"] = {"CPU": 50, "MemoryMB": 32}
    job = {"ID": "sleeper", "Type": "batch", "Datacenters": ["*"], "TaskGroups": [{"Name": "g", "Tasks": [task]}]}
    asked(nomad.address, "PUT", "/v1/jobs", {"Job": job}, token=nomad.management)
    end = time.monotonic() + 40
    while not (copies := asked(nomad.address, "GET", "/v1/job/sleeper/allocations", token=nomad.management)):
        assert time.monotonic() < end, "nothing was placed"
        time.sleep(0.2)

    async def stop(rules: str) -> None:
        async with RealNomadDoor(NomadSettings(token=nomad.token(rules))) as door:
            await door.at([nomad.address]).effects.stop_allocation(copies[0]["ID"])

    with pytest.raises(Fault, match="403"):
        anyio.run(stop, policy().replace(', "alloc-lifecycle"', ""))
    anyio.run(stop, policy())
