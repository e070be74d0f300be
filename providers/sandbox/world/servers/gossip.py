"""Serf: who has heard of whom (facts: nomad §6.2, §6.5; recordings/servers 01, 02, 05, 15).

News travels to each observer by itself, within half a second. A dead server is ``failed`` after 36 to 43 seconds. A
name that an observer knows at another address does not get in.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from providers.sandbox.world.servers.raft import consider_bootstrap, member_alive, member_gone
from providers.sandbox.world.servers.state import ALIVE, DOWN, FAILED, LEAVING, LEFT, Member, ServerAgent

if TYPE_CHECKING:
    from providers.sandbox.world.servers.context import Servers

_SPREAD = (0.05, 0.5)  # seconds until another server hears
_FAILED_AFTER = (36.0, 41.5)
_PROVIDER = "provider="


def register(servers: Servers) -> None:
    """Let news travel."""
    on = servers.kernel.on
    on("serf.join", lambda address, life: _retry_join(servers, address, life))
    on("serf.hear", lambda observer, subject, status: _hear(servers, observer, subject, status))
    on("serf.suspect", lambda address, life: _suspect(servers, address, life))


def member_of(agent: ServerAgent, status: str = ALIVE) -> Member:
    """Give the record under which an agent is known."""
    return Member(
        name=agent.full_name,
        address=agent.address,
        id=agent.id,
        region=agent.region,
        datacenter=agent.datacenter,
        expect=agent.expect,
        build=agent.build,
        status=status,
    )


def come_up(servers: Servers, agent: ServerAgent) -> None:
    """Begin to gossip: know oneself, then try the join addresses."""
    agent.members[agent.full_name] = member_of(agent)
    servers.kernel.after(servers.kernel.chance().uniform(0.1, 0.4), "serf.join", agent.address, agent.life)


def join(servers: Servers, agent: ServerAgent, address: str) -> bool:
    """Join one address; reaching oneself counts. False when nobody (of our key) listens there."""
    if address == agent.address:
        return True
    other = servers.up(address)
    if other is None or other.gossip_key != agent.gossip_key:
        return False
    for known in list(other.members.values()):  # push and pull: who is gone is told too
        mine = agent.members.get(known.name)
        if known.status != ALIVE and (mine is None or (mine.status == ALIVE and mine.address == known.address)):
            agent.members[known.name] = replace(known)
    for one in _reached_by(servers, agent):
        for another in _reached_by(servers, other):
            if one.address != another.address:
                _tell(servers, one, another, ALIVE)
                _tell(servers, another, one, ALIVE)
    return True


def spread(servers: Servers, agent: ServerAgent, status: str, *, delay: float = 0.0) -> None:
    """Let every server that lives and knows the agent hear of its new status."""
    for observer in servers.state.agents.values():
        known = observer.members.get(agent.full_name)
        if observer.address != agent.address and known is not None and known.address == agent.address:
            lag = delay + servers.kernel.chance().uniform(*_SPREAD)
            servers.kernel.after(lag, "serf.hear", observer.address, agent.address, status)


def fall_silent(servers: Servers, agent: ServerAgent) -> None:
    """Let the others notice, late, that a process answers no more."""
    servers.kernel.after(servers.kernel.chance().uniform(*_FAILED_AFTER), "serf.suspect", agent.address, agent.life)


def _retry_join(servers: Servers, address: str, life: int) -> None:
    agent = servers.up(address)
    if agent is None or agent.life != life or agent.joined:
        return
    targets = [target for entry in agent.retry_join for target in _resolve(servers, entry)]
    known = [m.address for m in agent.members.values() if m.address != agent.address and m.status == ALIVE]
    reached = sum(join(servers, agent, target) for target in dict.fromkeys([*targets, *known]))
    agent.joined = reached > 0 or not agent.retry_join
    if not agent.joined:
        servers.kernel.after(agent.retry_interval, "serf.join", address, life)
    consider_bootstrap(servers, agent)


def _resolve(servers: Servers, entry: str) -> list[str]:
    """Read one retry_join entry: an address, or what go-discover finds by a tag among running instances."""
    if not entry.startswith(_PROVIDER):
        return [entry.rsplit(":", 1)[0] if entry.count(":") == 1 else entry]
    pairs = dict(part.split("=", 1) for part in entry.split() if "=" in part)
    return servers.discover(pairs.get("tag_key", ""), pairs.get("tag_value", ""))


def _reached_by(servers: Servers, agent: ServerAgent) -> list[ServerAgent]:
    known = [servers.up(m.address) for m in agent.members.values() if m.status == ALIVE]
    return [agent, *(a for a in known if a is not None and a.address != agent.address)]


def _tell(servers: Servers, observer: ServerAgent, subject: ServerAgent, status: str) -> None:
    lag = servers.kernel.chance().uniform(*_SPREAD)
    servers.kernel.after(lag, "serf.hear", observer.address, subject.address, status)


def _hear(servers: Servers, observer_address: str, subject_address: str, status: str) -> None:
    observer, subject = servers.up(observer_address), servers.state.agents.get(subject_address)
    if observer is None or subject is None:
        return
    known = observer.members.get(subject.full_name)
    if known is not None and known.address != subject.address:
        return  # the name is taken: the newcomer is not let in (recordings/servers 15, 16)
    if status == ALIVE and subject.process == DOWN:
        return
    if status == FAILED and (known is None or known.status in {LEFT, LEAVING}):
        return
    if known is not None and known.status == status and known.id == subject.id:
        return
    observer.members[subject.full_name] = member_of(subject, status)
    if status == ALIVE:
        consider_bootstrap(servers, observer)
        member_alive(servers, observer, subject)
    elif status in {LEFT, FAILED}:
        member_gone(servers, observer, subject, status)


def _suspect(servers: Servers, address: str, life: int) -> None:
    agent = servers.state.agents[address]
    if agent.life == life and servers.up(address) is None and not agent.left:
        spread(servers, agent, FAILED)
