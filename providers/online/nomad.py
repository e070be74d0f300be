"""Nomad before the first tick: each address, TLS, version, clock, and what its token may do, without any effect."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import anyio

from providers.http import Answer, HttpError
from providers.nomad.channel import STALE, Channel
from providers.nomad.faults import is_html
from providers.nomad.settings import Endpoint
from providers.online.clock import clock
from schemas.checks import Check, ok, problem, unknown
from schemas.faults import Fault

AT: Final = "nomad"
NOBODY: Final = "00000000-0000-0000-0000-000000000000"
NOWHERE: Final = "nomad-reconciler-any"
"""A namespace that is not there: only who may read all may read it."""
NEVER: Final = str(2**62)
"""An index that no record has: a write that wants it is refused after its rights were looked at."""
SECONDS: Final = 8.0
BUILT_IN: Final = frozenset({"default", "all"})
OLDEST_1, OLDEST_2 = (1, 11, 3), (2, 0, 2)
"""The first releases of their lines that have all calls."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NomadWanted:
    """What a document wants of Nomad."""

    group: str
    version: str
    namespace: str  # of the journal
    servers: bool
    node_pools: tuple[str, ...] = ()  # of its pools of clients; without any there is nothing to drain
    management: str = ""  # where the management token for server steps is, if the document says


@dataclass(frozen=True, slots=True, kw_only=True)
class _Probe:
    """A call that changes nothing, whatever comes of it; its rights are looked at first."""

    right: str  # the rule that allows it
    breaks: str  # what does not work without
    path: str
    method: str = "GET"
    query: tuple[tuple[str, str], ...] = ()
    body: Any = None


_RAFT: Final = _Probe(right="", breaks="", path="/v1/operator/raft/configuration")


async def check_nomad(
    channel: Channel, wanted: NomadWanted, now: Callable[[], datetime], *, managing: Channel | None = None
) -> tuple[Check, ...]:
    """Look at a cluster through all of its addresses. Raises nothing.

    Args:
        channel: with the token that does everything but server steps.
        wanted: what the document needs.
        now: our clock.
        managing: with the token of ``wanted.management``; None: nothing was found there.

    """
    found: dict[int, Check | Answer] = {}

    async def look(place: int, endpoint: Endpoint) -> None:
        try:
            found[place] = await channel.look(endpoint, "/v1/status/leader", STALE, seconds=SECONDS)
        except HttpError as error:
            found[place] = _unreached(endpoint, error)

    async with anyio.create_task_group() as group:
        for place, endpoint in enumerate(channel.endpoints):
            group.start_soon(look, place, endpoint)
    checks: list[Check] = []
    answered: list[tuple[int, Answer]] = []
    for place, endpoint in enumerate(channel.endpoints):
        heard = found[place]
        if isinstance(heard, Answer):
            answered.append((place, heard))
            heard = _answered(endpoint, heard)
        checks.append(heard)
    if not answered or all(check.silent for check in checks):
        return tuple(checks)
    channel.preferred, first = answered[0]
    if (apart := clock(AT, first.headers.get("date", ""), now())) is not None:
        checks.append(apart)
    checks.append(await _version(channel, wanted))
    checks += [await _right(channel, probe) for probe in _probes(wanted)]
    checks += [await _making(channel, name) for name in sorted(set(wanted.node_pools) - BUILT_IN)]
    if wanted.servers and wanted.management:
        checks.append(await _bootstrap(managing, wanted))
    elif wanted.servers:
        checks.append(await _management(channel))
    return tuple(checks)


# --- reach -----------------------------------------------------------------------------------------------------------


def _unreached(endpoint: Endpoint, error: HttpError) -> Check:
    text = str(error)
    if "CERTIFICATE" in text or "certificate" in text:
        mend = "name the authority in NOMAD_CACERT, or the name in its certificate in NOMAD_TLS_SERVER_NAME" + (
            f' (expected: "{endpoint.server_name}")' if endpoint.server_name else ""
        )
        return problem(AT, f"TLS at {endpoint.name}", f"its certificate is not trusted: {text}", mend, silent=True)
    if "SSL" in text:
        mend = "https:// needs Nomad's tls.http, and http:// its absence; mTLS needs NOMAD_CLIENT_CERT and _KEY"
        return problem(AT, f"TLS at {endpoint.name}", f"no TLS is spoken there: {text}", mend, silent=True)
    mend = "start Nomad there, open port 4646 to this machine, or mend nomad.address"
    return problem(AT, f"address {endpoint.name}", f"does not answer ({text})", mend, silent=True)


def _answered(endpoint: Endpoint, answer: Answer) -> Check:
    what = f"address {endpoint.name}"
    if is_html(answer) or answer.status != 200:
        if answer.status == 400 and "HTTPS" in answer.text:
            return problem(
                AT, what, "speaks TLS, and was asked without", "write https:// in nomad.address", silent=True
            )
        begins = " ".join(answer.text.split())[:60]
        mend = "name Nomad's own address: this is a proxy's, or another service's"
        return problem(AT, what, f"answers {answer.status} {begins!r}", mend, silent=True)
    try:
        leader = json.loads(answer.body)
    except ValueError:
        leader = None
    if not isinstance(leader, str):
        return problem(AT, what, "answers with no JSON text", "name Nomad's own address", silent=True)
    if not leader:
        mend = "wait for the election; if it does not end: docs/runbooks/quorum-lost.md"
        return problem(AT, what, "knows no leader", mend, silent=True)
    return ok(AT, what, f"answers; the leader is {leader}")


# --- version ---------------------------------------------------------------------------------------------------------


async def _version(channel: Channel, wanted: NomadWanted) -> Check:
    what = "version"
    try:
        builds = sorted({m.build for m in await _members(channel) if m.status == "alive" and m.build}, key=_order)
    except Fault as fault:
        return unknown(AT, what, f"not told: {fault.message}", "see the rights below")
    if not builds:
        return unknown(AT, what, "gossip names none")
    told = ", ".join(builds)
    oldest = _order(builds[0])
    if not (OLDEST_1 <= oldest < (2, 0, 0) or oldest >= OLDEST_2):
        return problem(AT, what, f"servers run {told}", "upgrade to 1.11.3, 2.0.2 or newer: calls are missing before")
    if not wanted.servers and oldest < _order(wanted.version):
        mend = f"clients must not be newer than servers: upgrade the servers, or set nomad.version to {builds[0]}"
        return problem(AT, what, f"servers run {told}, the document's clients {wanted.version}", mend)
    return ok(AT, what, f"servers run {told}")


async def _members(channel: Channel) -> Sequence[Any]:
    from providers.nomad.servers import ServerCalls  # noqa: PLC0415 - only here

    return await ServerCalls(channel).members()


def _order(version: str) -> tuple[int, ...]:
    numbers = re.match(r"(\d+)\.(\d+)\.(\d+)", version)
    return tuple(int(n) for n in numbers.groups()) if numbers else (0, 0, 0)


# --- rights ----------------------------------------------------------------------------------------------------------


def _probes(wanted: NomadWanted) -> Iterator[_Probe]:
    page = ("per_page", "1")
    yield _Probe(
        right='node { policy = "read" }', breaks="listing nodes: nothing is planned", path="/v1/nodes", query=(page,)
    )
    anywhere = ("namespace", NOWHERE)
    yield _Probe(
        right='namespace "*" { capabilities = ["list-jobs"] }',
        breaks="listing jobs: what waits in other namespaces is not seen",
        path="/v1/jobs",
        query=(anywhere, page),
    )
    yield _Probe(
        right='namespace "*" { capabilities = ["read-job"] }',
        breaks="reading jobs, evaluations and allocations: nothing is planned",
        path="/v1/evaluations",
        query=(anywhere, page),
    )
    yield _Probe(
        right='node_pool "*" { policy = "read" }',
        breaks="listing node pools: those that are there would be made",
        path="/v1/node/pool/default",
    )
    yield _Probe(
        right='operator { policy = "read" }',
        breaks="reading the scheduler configuration and autopilot: nothing is planned",
        path="/v1/operator/scheduler/configuration",
    )
    journal = f"/v1/var/nomad-reconciler/{wanted.group}/journal"
    where = ("namespace", wanted.namespace)
    rule = f'variables "nomad-reconciler/{wanted.group}/*" in namespace "{wanted.namespace}":'
    yield _Probe(right=f"{rule} read", breaks="reading the journal: nothing is done", path=journal, query=(where,))
    yield _Probe(
        right=f"{rule} write",
        breaks="writing the journal and taking the lock: nothing is done",
        path=journal,
        method="PUT",
        query=(where, ("cas", NEVER)),
        body={"Items": {"nothing": "is written"}},
    )
    if wanted.node_pools:
        yield _Probe(
            right='node { policy = "write" }',
            breaks="cordoning, draining and purging nodes: no machine is ever given back",
            path=f"/v1/node/{NOBODY}/eligibility",
            method="PUT",
            body={"Eligibility": "ineligible"},
        )
    if wanted.servers and not wanted.management:
        yield _Probe(
            right='agent { policy = "write" }',
            breaks="introducing servers to each other and forgetting dead ones: servers are not replaced",
            path="/v1/agent/force-leave",
            method="PUT",
            query=(("node", "nomad-reconciler-nobody"),),
        )


async def _right(channel: Channel, probe: _Probe) -> Check:
    what = f"right {probe.right}"
    try:
        denied = await _denied(channel, probe)
    except (Fault, HttpError) as error:
        return unknown(AT, what, f"not told: {error}")
    if denied:
        mend = "add it to the token's policy: `reconcile iam --only nomad` prints all of it"
        return problem(AT, what, f"missing; it breaks {probe.breaks}", mend)
    return ok(AT, what, "there")


async def _making(channel: Channel, name: str) -> Check:
    """Look whether a node pool is there or may be made: one with a description that is too long never is."""
    what = f"node pool {name}"
    try:
        there = await channel.look(channel.endpoints[channel.preferred], f"/v1/node/pool/{name}", seconds=SECONDS)
        if there.status == 200:
            return ok(AT, what, "there")
        rule = f'node_pool "{name}" {{ capabilities = ["read", "write"] }}'
        body = {"Name": name, "Description": "x" * 1000}
        probe = _Probe(right=rule, breaks="", path="/v1/node/pools", method="PUT", body=body)
        denied = await _denied(channel, probe)
    except (Fault, HttpError) as error:
        return unknown(AT, what, f"not told: {error}")
    if denied:
        return problem(AT, what, "not there, and the token may not make it", f"add {rule} to its policy, or make it")
    return ok(AT, what, "not there yet: will be made")


async def _management(channel: Channel) -> Check:
    what = "management token"
    try:
        denied = await _denied(channel, _RAFT)
    except (Fault, HttpError) as error:
        return unknown(AT, what, f"not told: {error}")
    if not denied:
        return ok(AT, what, "this token may take server steps")
    mend = "set nomad.bootstrapToken, or leave out `servers`: no policy grants raft's calls"
    return problem(AT, what, "missing; it breaks server steps (raft peers, leadership)", mend)


async def _bootstrap(managing: Channel | None, wanted: NomadWanted) -> Check:
    what = f"management token {wanted.management}"
    if managing is None:
        mend = "put a token there, or allow reading it (secretsmanager:GetSecretValue)"
        return problem(AT, what, "nothing was found there; it breaks server steps", mend)
    try:
        denied = await _denied(managing, _RAFT)
    except (Fault, HttpError) as error:
        return unknown(AT, what, f"not told: {error}")
    if denied:
        mend = "put a management token there: no policy grants raft's calls"
        return problem(AT, what, "is none; it breaks server steps (raft peers, leadership)", mend)
    return ok(AT, what, "may take server steps")


async def _denied(channel: Channel, probe: _Probe) -> bool:
    """Make the call and tell whether it failed for lack of rights. Raises Fault, HttpError."""
    if probe.method == "GET":
        endpoint = channel.endpoints[channel.preferred]
        answer = await channel.look(endpoint, probe.path, probe.query, seconds=SECONDS)
    else:
        answer = await channel.write(probe.method, probe.path, probe.query, probe.body, accept=lambda _: True)
    return answer.status in {401, 403}
