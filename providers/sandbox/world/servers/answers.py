"""What one server agent answers about itself and its peers, in the shapes of Nomad's API.

Source: recordings/http 001-015, 191-206, 267-269.

Every call names the address it is sent to. Nobody there: ``NoAnswerError``. A no: ``ServerError`` with status and text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from providers.sandbox.world.ec2.prices import noise
from providers.sandbox.world.servers import election, gossip, raft
from providers.sandbox.world.servers.autopilot import failure_tolerance
from providers.sandbox.world.servers.state import AutopilotSettings, RaftCluster, Seen, ServerAgent

if TYPE_CHECKING:
    from providers.sandbox.world.servers.context import Servers

Json = dict[str, Any]

_RPC_PORT = 4647
_NO_LEADER_WAIT = 5.0  # seconds that a server looks for a leader before it gives up


class NoAnswerError(Exception):
    """Nothing listens at the address, or what listens does not answer."""


class ServerError(Exception):
    """An answer other than success; ``took`` is how long the caller waited, in seconds."""

    def __init__(self, status: int, text: str, *, took: float = 0.0) -> None:
        self.status, self.text, self.took = status, text, took
        super().__init__(f"{status} {text}")


def members(servers: Servers, address: str) -> Json:
    """``GET /v1/agent/members``: gossip as this agent sees it."""
    agent = _agent(servers, address)
    return {
        "ServerName": agent.name,
        "ServerRegion": agent.region,
        "ServerDC": agent.datacenter,
        "Members": [
            {
                "Name": m.name,
                "Addr": m.address,
                "Port": 4648,
                "Status": m.status,
                "ProtocolMin": 1,
                "ProtocolMax": 5,
                "ProtocolCur": 2,
                "DelegateMin": 2,
                "DelegateMax": 5,
                "DelegateCur": 4,
                "Tags": {
                    "role": "nomad",
                    "region": m.region,
                    "dc": m.datacenter,
                    "build": m.build,
                    "id": m.id,
                    "expect": str(m.expect),
                    "port": str(_RPC_PORT),
                    "rpc_addr": m.address,
                    "raft_vsn": "3",
                    "vsn": "1",
                },
            }
            for m in sorted(agent.members.values(), key=lambda m: m.name)
        ],
    }


def self_(servers: Servers, address: str) -> Json:
    """``GET /v1/agent/self``: configuration, member and figures of this agent, as far as anybody reads them."""
    agent = _agent(servers, address)
    cluster = servers.cluster_of(agent)
    leads = agent.leader == address
    return {
        "config": {
            "Name": agent.name,
            "Region": agent.region,
            "Datacenter": agent.datacenter,
            "LeaveOnTerm": agent.leave_on_terminate,
            "Server": {"Enabled": True, "BootstrapExpect": agent.expect},
            "Version": {"Version": agent.build},
        },
        "member": next(m for m in members(servers, address)["Members"] if m["Name"] == agent.full_name),
        "stats": {
            "nomad": {"server": "true", "leader": str(leads).lower(), "leader_addr": _leader_address(agent)},
            "raft": {"state": "Leader" if leads else "Follower", "term": str(cluster.term if cluster else 0)},
        },
    }


def health(servers: Servers, address: str, *, stale: bool = False) -> Json:
    """``GET /v1/agent/health``: 500 while this server knows no leader; with stale it says so at once."""
    agent = _agent(servers, address)
    if stale and not agent.leader:
        raise ServerError(500, '{"server":{"ok":false,"message":"no leader"}}')
    try:
        _forwarded(servers, agent)
    except ServerError as no:
        raise ServerError(500, '{"server":{"ok":false,"message":"No cluster leader"}}', took=no.took) from no
    return {"server": {"ok": True, "message": "ok"}}


def status_leader(servers: Servers, address: str, *, stale: bool = False) -> str:
    """``GET /v1/status/leader``: the leader's RPC address; "" with stale and none known."""
    agent = _agent(servers, address)
    if stale:
        return _leader_address(agent)
    return f"{_forwarded(servers, agent).leader}:{_RPC_PORT}"


def regions(servers: Servers, address: str) -> list[str]:
    """``GET /v1/regions``: all that this server ever heard of, dead ones too."""
    return sorted({m.region for m in _agent(servers, address).members.values()})


def status_peers(servers: Servers, address: str, *, stale: bool = False) -> list[str]:
    """``GET /v1/status/peers``: RPC addresses of the raft configuration."""
    agent = _agent(servers, address)
    peers = agent.config if stale else _forwarded(servers, agent).peers
    return [f"{p.address}:{_RPC_PORT}" for p in peers]


def raft_configuration(servers: Servers, address: str, *, stale: bool = False) -> Json:
    """``GET /v1/operator/raft/configuration``: stale is this server's own copy."""
    agent = _agent(servers, address)
    cluster = servers.cluster_of(agent) if stale else _forwarded(servers, agent)
    peers = agent.config if stale or cluster is None else cluster.peers
    leader = _leader_address(agent)
    by_address = {m.address: m.name for m in agent.members.values()}
    return {
        "Index": 0,
        "Servers": [
            {
                "ID": p.id,
                "Node": by_address.get(p.address, "(unknown)"),
                "Address": f"{p.address}:{_RPC_PORT}",
                "Leader": f"{p.address}:{_RPC_PORT}" == leader,
                "Voter": p.voter,
                "RaftProtocol": "3",
            }
            for p in peers
        ],
    }


def autopilot_health(servers: Servers, address: str) -> tuple[int, Json]:
    """``GET /v1/operator/autopilot/health``: the leader's belief; 429 with the same body unless all are well."""
    cluster = _forwarded(servers, _agent(servers, address))
    leader = servers.state.agents[cluster.leader]
    shown = [_server_health(servers, cluster, leader, s) for s in cluster.seen.values() if cluster.shown]
    healthy = bool(shown) and all(s["Healthy"] for s in shown)
    body: Json = {
        "Healthy": healthy,
        "FailureTolerance": failure_tolerance(cluster) if shown else 0,
        "Servers": shown or None,
        "Leader": leader.id,
        "Voters": [s["ID"] for s in shown if s["Voter"]],
    }
    return (200 if healthy else 429), body


def autopilot_configuration(servers: Servers, address: str) -> Json:
    """``GET /v1/operator/autopilot/configuration``."""
    settings = _forwarded(servers, _agent(servers, address)).autopilot
    return {
        "CleanupDeadServers": settings.cleanup_dead_servers,
        "LastContactThreshold": f"{round(settings.last_contact_threshold * 1000)}ms",
        "MaxTrailingLogs": settings.max_trailing_logs,
        "MinQuorum": settings.min_quorum,
        "ServerStabilizationTime": f"{round(settings.stabilization)}s",
        "EnableRedundancyZones": False,
        "DisableUpgradeMigration": False,
        "EnableCustomUpgrades": False,
        "CreateIndex": 4,
        "ModifyIndex": settings.modify_index,
    }


def put_autopilot_configuration(
    servers: Servers, address: str, settings: AutopilotSettings, *, cas: int | None
) -> bool:
    """``PUT /v1/operator/autopilot/configuration``: replaces all of it; an old ``cas`` changes nothing."""
    cluster = _forwarded(servers, _agent(servers, address))
    if cas is not None and cas != cluster.autopilot.modify_index:
        return False
    cluster.autopilot = settings
    return True


def join(servers: Servers, address: str, targets: list[str]) -> Json:
    """``PUT /v1/agent/join``: 200 whatever came of it; ``num_joined`` says."""
    agent = _agent(servers, address)
    failed = [t for t in targets if not gossip.join(servers, agent, t.partition(":")[0])]
    lines = "".join(f"\t* failed to join {t}:4648: dial tcp {t}:4648: connect: connection refused\n" for t in failed)
    count = f"{len(failed)} error{'s' if len(failed) > 1 else ''} occurred:\n"
    return {"num_joined": len(targets) - len(failed), "error": f"{count}{lines}\n" if failed else "", "warning": ""}


def force_leave(servers: Servers, address: str, name: str, *, prune: bool = False) -> None:
    """``PUT /v1/agent/force-leave``: 200 whatever came of it."""
    gossip.force_leave(servers, _agent(servers, address), name, prune=prune)


def remove_peer(servers: Servers, address: str, *, server_id: str) -> None:
    """``DELETE /v1/operator/raft/peer?id=``: 500 when no peer has this id."""
    cluster = _forwarded(servers, _agent(servers, address))
    if all(p.id != server_id for p in cluster.peers):
        raise ServerError(500, f'id "{server_id}" was not found in the Raft configuration')
    raft.remove(servers, cluster, server_id)


def transfer_leadership(servers: Servers, address: str, *, server_id: str = "", to_address: str = "") -> Json:
    """``PUT /v1/operator/raft/transfer-leadership``, by ``id`` or ``address``: 400 for one that is no voter."""
    cluster = _forwarded(servers, _agent(servers, address))
    wanted = (p for p in cluster.peers if p.id == server_id or f"{p.address}:{_RPC_PORT}" == to_address)
    target = next((p for p in wanted if p.voter), None)
    if target is None:
        raise ServerError(400, f'id "{server_id}" was not found in the Raft configuration')
    old = next(p for p in cluster.peers if p.address == cluster.leader)
    noop = target.address == cluster.leader
    if not noop:
        cluster.wounded = False
        election.take_lead(servers, cluster, target.address)
    return {
        "From": {"ID": old.id, "Address": f"{old.address}:{_RPC_PORT}"},
        "To": {"ID": target.id, "Address": f"{target.address}:{_RPC_PORT}"},
        "Noop": noop,
        "Err": None,
    }


def write(servers: Servers, address: str) -> None:
    """Commit something through the server at this address, or refuse it in its words.

    While a leader has lost its majority and does not know it yet the write may or may not have happened.
    """
    cluster = _forwarded(servers, _agent(servers, address))
    if len(election.able(servers, cluster)) < election.quorum(cluster):
        raise ServerError(500, "raft apply failed: leadership lost while committing log")


def require_leader(servers: Servers, address: str, *, region: str = "") -> None:
    """Refuse a call that needs the leader, in the words of the server at this address, when it cannot reach one.

    With ``region`` the call goes to a server of that region, if one is known.
    """
    agent = _agent(servers, address)
    if region and region != agent.region:
        there = [m.address for m in agent.members.values() if m.region == region]
        if not there:
            raise ServerError(500, "No path to region")
        if (abroad := next((a for a in map(servers.up, there) if a is not None), None)) is None:
            raise ServerError(500, "rpc error: stream closed")
        agent = abroad
    _forwarded(servers, agent)


def _agent(servers: Servers, address: str) -> ServerAgent:
    if (agent := servers.answering(address)) is None:
        raise NoAnswerError(f"no answer from {address}:4646")
    return agent


def _leader_address(agent: ServerAgent) -> str:
    return f"{agent.leader}:{_RPC_PORT}" if agent.leader else ""


def _forwarded(servers: Servers, agent: ServerAgent) -> RaftCluster:
    """Give the cluster whose leader answers what this server forwards."""
    cluster = servers.cluster_of(agent)
    if cluster is None or not agent.leader:
        raise ServerError(500, "No cluster leader", took=_NO_LEADER_WAIT)
    if servers.up(agent.leader) is None:  # dead, and nobody has noticed yet
        dial = f"dial tcp {agent.leader}:{_RPC_PORT}: connect: connection refused"
        raise ServerError(500, f"rpc error: failed to get conn: {dial}")
    if cluster.leader != agent.leader:
        raise ServerError(500, "rpc error: No cluster leader", took=_NO_LEADER_WAIT)
    if cluster.established_at is None:
        raise ServerError(500, "Not ready to serve consistent reads", took=_NO_LEADER_WAIT)
    return cluster


def _server_health(servers: Servers, cluster: RaftCluster, leader: ServerAgent, seen: Seen) -> Json:
    answers = (agent := servers.up(seen.address)) is not None and agent.id == seen.id
    now = servers.kernel.now
    figures_at = now if answers and seen.figures_at is not None else seen.figures_at
    contact = "0s"
    if seen.address != cluster.leader and figures_at is not None:  # frozen when it stopped answering, else moving
        contact = f"{5 + 75 * noise(servers.kernel.timeline.seed, seen.id, int(figures_at / 2)):.6f}ms"
    return {
        "ID": seen.id,
        "Name": seen.name,
        "Address": f"{seen.address}:{_RPC_PORT}",
        "SerfStatus": seen.status,
        "Version": leader.members[seen.name].build if seen.name in leader.members else "",
        "Leader": seen.address == cluster.leader,
        "LastContact": contact,
        "LastTerm": cluster.term,
        "LastIndex": cluster.index,
        "Healthy": seen.healthy,
        "Voter": seen.voter,
        "StableSince": servers.kernel.calendar.to_datetime(seen.stable_since).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
