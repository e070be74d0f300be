"""The routes that one agent answers about itself, its peers and its gossip; and raft's and autopilot's."""

from __future__ import annotations

import base64

from providers.sandbox.wire.nomad.call import Call, Reply, seconds_of
from providers.sandbox.wire.nomad.route import delete, get, put
from providers.sandbox.world.archive import archived
from providers.sandbox.world.nomad.canonical import field_of
from providers.sandbox.world.nomad.errors import ApiError
from providers.sandbox.world.servers import acl, answers
from providers.sandbox.world.servers.state import AutopilotSettings

CLIENTS_ALONE = frozenset({"/v1/agent/servers"})  # and a server agent has none of this
SERVERS_ALONE = frozenset({"/v1/agent/join", "/v1/agent/force-leave"})  # a client agent has no such call


def _leader(call: Call) -> Reply:
    return Reply(body=answers.status_leader(call.world.servers, call.address, stale=call.stale))


def _peers(call: Call) -> Reply:
    return Reply(body=answers.status_peers(call.world.servers, call.address, stale=call.stale))


def _regions(call: Call) -> Reply:
    return Reply(body=regions(call))


def regions(call: Call) -> list[str]:
    """Name the regions that the agent which was asked knows."""
    members = answers.members(call.world.servers, call.address)["Members"]
    return sorted({m["Tags"]["region"] for m in members})


def _members(call: Call) -> Reply:
    return Reply(body=answers.members(call.world.servers, call.address))


def _self(call: Call) -> Reply:
    return Reply(body=answers.self_(call.world.servers, call.address))


def _health(call: Call) -> Reply:
    if call.option("type") == "client":
        raise ApiError(500, '{"client":{"message":"client not enabled","ok":false}}')
    return Reply(body=answers.health(call.world.servers, call.address))


def _join(call: Call) -> Reply:
    addresses = list(call.query.get("address", ()))
    if not addresses:
        raise ApiError(400, "missing address to join")
    return Reply(body=answers.join(call.world.servers, call.address, addresses))


def _force_leave(call: Call) -> Reply:
    if not call.option("node"):
        raise ApiError(400, "missing node to force leave")
    answers.force_leave(call.world.servers, call.address, call.option("node"), prune=call.flag("prune"))
    return Reply(empty=True)


def _raft(call: Call) -> Reply:
    found = answers.raft_configuration(call.world.servers, call.address, stale=call.stale)
    return Reply(body={**found, "Servers": found["Servers"] or None})


def _remove_peer(call: Call) -> Reply:
    if call.option("address"):
        raise ApiError(400, "Removing a peer by address is not supported in the current raft protocol version")
    if not call.option("id"):
        raise ApiError(400, "Must specify the peer's ID to remove")
    answers.remove_peer(call.world.servers, call.address, server_id=call.option("id"))
    return Reply(empty=True)


def _transfer(call: Call) -> Reply:
    if not call.option("id") and not call.option("address"):
        raise ApiError(400, "must specify id or address")
    return Reply(body=answers.transfer_leadership(call.world.servers, call.address, server_id=call.option("id")))


def _autopilot_health(call: Call) -> Reply:
    status, body = answers.autopilot_health(call.world.servers, call.address)
    return Reply(body=body, status=status)


def _autopilot(call: Call) -> Reply:
    return Reply(body=answers.autopilot_configuration(call.world.servers, call.address))


def _snapshot(call: Call) -> Reply:
    saved = archived(call.world)
    digest = base64.b64encode(bytes.fromhex(saved.sha256)).decode()
    return Reply(raw=saved.archive, headers={"Content-Type": "application/x-gzip", "Digest": f"sha-256={digest}"})


def _put_autopilot(call: Call) -> Reply:
    if not call.body:
        raise ApiError(400, "Error parsing autopilot config: Request body is empty")
    try:
        body = call.table()
        settings = AutopilotSettings(
            cleanup_dead_servers=bool(field_of(body, "CleanupDeadServers")),
            last_contact_threshold=seconds_of(str(field_of(body, "LastContactThreshold") or "0s")),
            max_trailing_logs=int(field_of(body, "MaxTrailingLogs") or 0),
            min_quorum=int(field_of(body, "MinQuorum") or 0),
            stabilization=seconds_of(str(field_of(body, "ServerStabilizationTime") or "0s")),
            modify_index=call.world.nomad.store.next_index(),
        )
    except (ApiError, ValueError) as wrong:
        why = wrong.text if isinstance(wrong, ApiError) else str(wrong)
        raise ApiError(400, f"Error parsing autopilot config: {why}") from wrong
    cas = call.number("cas")
    return Reply(body=answers.put_autopilot_configuration(call.world.servers, call.address, settings, cas=cas))


def _servers(call: Call) -> Reply:
    return Reply(body=answers.status_peers(call.world.servers, call.address, stale=True))


def _acl_bootstrap(call: Call) -> Reply:
    secret = field_of(call.table(), "BootstrapSecret") if call.body else ""
    return Reply(body=acl.bootstrap(call.world.servers, call.address, str(secret or "")))


def _acl_token_self(call: Call) -> Reply:
    return Reply(body=acl.token_self(call.world.servers, call.address, call.token))


def _no_licence(_: Call) -> Reply:
    return Reply(status=204, empty=True)


ROUTES = [
    get("/v1/status/leader", _leader, forwarded=False),
    get("/v1/status/peers", _peers, forwarded=False),
    get("/v1/regions", _regions, forwarded=False),
    get("/v1/agent/members", _members, forwarded=False),
    get("/v1/agent/self", _self, forwarded=False),
    get("/v1/agent/health", _health, forwarded=False),
    put("/v1/agent/join", _join, forwarded=False),
    put("/v1/agent/force-leave", _force_leave, forwarded=False),
    get("/v1/operator/raft/configuration", _raft, forwarded=False),
    delete("/v1/operator/raft/peer", _remove_peer),
    put("/v1/operator/raft/transfer-leadership", _transfer),
    get("/v1/operator/autopilot/health", _autopilot_health),
    get("/v1/operator/autopilot/configuration", _autopilot),
    put("/v1/operator/autopilot/configuration", _put_autopilot),
    get("/v1/agent/servers", _servers, forwarded=False),
    get("/v1/operator/snapshot", _snapshot),
    put("/v1/acl/bootstrap", _acl_bootstrap),
    get("/v1/acl/token/self", _acl_token_self),
    get("/v1/operator/license", _no_licence, forwarded=False),
]
