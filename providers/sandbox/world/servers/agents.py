"""A server agent's process: started, killed, hung, cut off, told to stop (recordings/servers 02, 05, 06, 18, 27)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from providers.sandbox.world.servers import autopilot, election, gossip, raft
from providers.sandbox.world.servers.state import ALIVE, CUT, DOWN, FROZEN, LEAVING, LEFT, UP, ServerAgent

if TYPE_CHECKING:
    from providers.sandbox.world.servers.context import Servers

_PROCESS_ENDS = (2.1, 3.1)  # seconds after a graceful leave began
_LEASE = 0.5  # so long a leader that hears nobody still believes that it leads
_MISSED = (1.3, 1.9)  # and so long a follower believes in a leader that it does not hear


def register(servers: Servers) -> None:
    """Let servers live."""
    gossip.register(servers)
    raft.register(servers)
    election.register(servers)
    autopilot.register(servers)
    servers.kernel.on("server.left", lambda address, life: _left(servers, address, life))
    servers.kernel.on("server.ended", lambda address, life: _ended(servers, address, life))
    servers.kernel.on("server.alone", lambda address, life: _alone(servers, address, life))


def start(servers: Servers, agent: ServerAgent) -> None:
    """Start an agent on an empty disk; whatever was at its address before is gone with its disk."""
    if (before := servers.state.agents.get(agent.address)) is not None:
        agent.life = before.life + 1
    servers.state.agents[agent.address] = agent
    gossip.come_up(servers, agent)
    raft.process_back(servers, agent)


def restart(servers: Servers, address: str) -> None:
    """Start an agent again with its data."""
    agent = servers.state.agents[address]
    agent.process, agent.life = UP, agent.life + 1
    agent.joined = agent.left = False
    agent.leader = ""
    gossip.come_up(servers, agent)
    raft.process_back(servers, agent)


def kill(servers: Servers, address: str) -> None:
    """End a process at once; the others notice in their own time."""
    agent = servers.state.agents.get(address)
    if agent is None or agent.process == DOWN:
        return
    agent.process, agent.leader = DOWN, ""
    if not agent.left:
        gossip.fall_silent(servers, agent)
    raft.process_gone(servers, agent)


def freeze(servers: Servers, address: str) -> None:
    """Stop a process so that it answers nothing and loses nothing."""
    agent = servers.state.agents[address]
    agent.process = FROZEN
    gossip.fall_silent(servers, agent)
    raft.process_gone(servers, agent)


def thaw(servers: Servers, address: str) -> None:
    """Let a frozen process go on."""
    agent = servers.state.agents[address]
    agent.process, agent.life = UP, agent.life + 1
    gossip.spread(servers, agent, ALIVE)
    raft.process_back(servers, agent, new_process=False)


def cut_off(servers: Servers, address: str) -> None:
    """Let a running server hear no other one, and none hear it; whoever is beside both still reaches it."""
    agent = servers.up(address)
    if agent is None:
        return
    patience = (_LEASE, _LEASE) if agent.leader == address else _MISSED
    agent.process = CUT
    gossip.fall_silent(servers, agent)
    gossip.hear_nobody(servers, agent)
    raft.process_gone(servers, agent)
    alone = servers.lots.seconds("alone", agent.name, *patience)
    servers.kernel.after(alone, "server.alone", address, agent.life)


def reconnect(servers: Servers, address: str) -> None:
    """Let a server that was cut off be heard again, and hear what has changed meanwhile."""
    agent = servers.state.agents.get(address)
    if agent is None or agent.process != CUT:
        return
    agent.process, agent.life = UP, agent.life + 1
    gossip.spread(servers, agent, ALIVE)
    gossip.catch_up(servers, agent)
    raft.process_back(servers, agent, new_process=False)


def terminate(servers: Servers, address: str) -> None:
    """SIGTERM: a server with ``leave_on_terminate`` says goodbye first, any other just ends."""
    agent = servers.up(address)
    if agent is None:
        return
    if not agent.leave_on_terminate:
        kill(servers, address)
        return
    agent.left = True
    agent.members[agent.full_name].status = LEAVING
    gossip.spread(servers, agent, LEAVING)
    cluster = servers.cluster_of(agent)
    if cluster is not None and cluster.leader == address and len(cluster.peers) > 1:
        raft.remove(servers, cluster, agent.id)  # a leader takes itself out first
    servers.kernel.after(0.8, "server.left", address, agent.life)
    ends = servers.lots.seconds("process-ends", agent.name, *_PROCESS_ENDS)
    servers.kernel.after(ends, "server.ended", address, agent.life)


def _alone(servers: Servers, address: str, life: int) -> None:
    agent = servers.state.agents[address]
    if agent.life == life and agent.process == CUT:
        agent.leader = ""


def _left(servers: Servers, address: str, life: int) -> None:
    agent = servers.up(address)
    if agent is not None and agent.life == life:
        agent.members[agent.full_name].status = LEFT
        gossip.spread(servers, agent, LEFT)


def _ended(servers: Servers, address: str, life: int) -> None:
    agent = servers.state.agents[address]
    if agent.life == life:
        kill(servers, address)
