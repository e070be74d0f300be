"""Serf: who has heard of whom (facts: nomad §6.2, §6.5; recordings/servers 01, 02, 05, 08, 15, 19, 29, 30).

News travels to each observer by itself, within half a second. A dead server is suspected after some seconds, and thirty
seconds later it is ``failed``. A name that an observer knows at another address does not get in.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from providers.sandbox.world.servers.raft import member_alive, member_gone, member_known, wake_bootstrap
from providers.sandbox.world.servers.state import ALIVE, CUT, DOWN, FAILED, LEAVING, LEFT, Member, ServerAgent

if TYPE_CHECKING:
    from providers.sandbox.world.servers.context import Servers

_SPREAD = (0.05, 0.5)  # seconds until another server hears
_FAILED_AFTER = (36.0, 43.0)
_FAILED_AFTER_ALONE = (36.0, 52.0)  # nobody helps the last observer, and all its own probes fail
_ALONE = (0.0, 5.0)  # more, for who became the last one meanwhile
_SUSPICION = 30.0
_REFUTED = 0.5  # seconds until a returning member has refuted an old leave
_PUSH_PULL = (1.0, 60.0)  # until two servers next compare all they know
_PROVIDER = "provider="


def register(servers: Servers) -> None:
    """Let news travel."""
    on = servers.kernel.on
    on("serf.join", lambda address, life: _retry_join(servers, address, life))
    on("serf.hear", lambda observer, subject, status: _hear(servers, observer, subject, status))
    on("serf.suspect", lambda address, life: _suspect(servers, address, life))
    on("serf.deaf", lambda address, life: _deaf(servers, address, life))
    on("serf.dead", lambda address, life, patient: _dead(servers, address, life, patient))
    on("serf.pushpull", lambda address, life: _push_pull(servers, address, life))


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
    """Begin to gossip: know oneself, then try the join addresses and whom the last process knew."""
    agent.met = [m.address for m in agent.members.values() if m.status == ALIVE and m.address != agent.address]
    agent.members = {agent.full_name: member_of(agent)}
    delay = servers.lots.seconds("first-join", agent.name, 0.1, 0.4)
    servers.kernel.after(delay, "serf.join", agent.address, agent.life)


def join(servers: Servers, agent: ServerAgent, address: str) -> bool:
    """Join one address; reaching oneself counts. False when nobody (of our key) listens there."""
    if address == agent.address:
        return True
    other = servers.up(address)
    if other is None or other.gossip_key != agent.gossip_key or servers.up(agent.address) is None:
        return False  # nobody there, of another key, or it is cut off itself
    for known in list(other.members.values()):  # of who has failed or left, a newcomer is not told
        unnoticed = known.status == ALIVE and not known.suspected and servers.up(known.address) is None
        if unnoticed and known.name not in agent.members:
            agent.members[known.name] = replace(known)
    before, beyond = _reached_by(servers, agent), _reached_by(servers, other)
    for one in before:
        for another in beyond:
            if one.address != another.address:
                _tell(servers, one, another, ALIVE)
                _tell(servers, another, one, ALIVE)
    for another in beyond:  # who joins has the whole answer at once
        if another.address != agent.address:
            _hear(servers, agent.address, another.address, ALIVE)
    return True


def spread(servers: Servers, agent: ServerAgent, status: str, delay: float = 0.0) -> None:
    """Let everyone who lives and knows the agent hear of its new status."""
    for observer in servers.state.agents.values():
        known = observer.members.get(agent.full_name)
        if observer.address != agent.address and known is not None and known.address == agent.address:
            lag = delay + servers.lots.seconds("spread", agent.name, *_SPREAD)
            servers.kernel.after(lag, "serf.hear", observer.address, agent.address, status)


def fall_silent(servers: Servers, agent: ServerAgent) -> None:
    """Let the others notice, late, that a process answers no more."""
    alone = _observers(servers, agent) < 2
    noticed = servers.lots.seconds("failed", agent.name, *(_FAILED_AFTER_ALONE if alone else _FAILED_AFTER))
    servers.kernel.after(noticed - _SUSPICION, "serf.suspect", agent.address, agent.life)
    servers.kernel.after(noticed, "serf.dead", agent.address, agent.life, not alone)


def hear_nobody(servers: Servers, agent: ServerAgent) -> None:
    """Let a server that is cut off call all others failed, as late as they call it so."""
    servers.kernel.after(
        servers.lots.seconds("failed", agent.name, *_FAILED_AFTER), "serf.deaf", agent.address, agent.life
    )


def catch_up(servers: Servers, agent: ServerAgent) -> None:
    """Let a server that was cut off compare what it knows with another, and notice who died meanwhile."""
    others = [m for m in agent.members.values() if m.address != agent.address]
    for member in others:
        if servers.up(member.address) is not None:
            _tell(servers, agent, servers.state.agents[member.address], ALIVE)
        elif member.status == ALIVE:
            noticed = servers.lots.seconds("failed", member.name, *_FAILED_AFTER)
            servers.kernel.after(noticed, "serf.hear", agent.address, member.address, FAILED)
    servers.kernel.after(1.0, "serf.pushpull", agent.address, agent.life)


def _deaf(servers: Servers, address: str, life: int) -> None:
    agent = servers.state.agents[address]
    if agent.life == life and agent.process == CUT:
        for member in agent.members.values():
            if member.address != address and member.status == ALIVE:
                member.status = FAILED


def force_leave(servers: Servers, agent: ServerAgent, name: str, *, prune: bool) -> None:
    """Make a member that does not answer leave: ``failed`` is left now, what is not noticed yet is left when it is.

    With ``prune`` who has left or failed is forgotten, and a newcomer of that name can get in. A living member refutes
    it, an unknown name is no error.
    """
    known = agent.members.get(name)
    if known is None or (known.status == ALIVE and servers.up(known.address) is not None):
        return
    for observer in list(servers.state.agents.values()):
        theirs = observer.members.get(name)
        if servers.up(observer.address) is None or theirs is None or theirs.address != known.address:
            continue
        subject = servers.state.agents.get(known.address)
        if theirs.status == ALIVE:
            theirs.status = LEAVING
        elif theirs.status == FAILED:
            theirs.status = LEFT
            if subject is not None:
                member_gone(servers, observer, subject, LEFT)
        if prune and theirs.status == LEFT:
            del observer.members[name]
            observer.forced_out = [*(n for n in observer.forced_out if n != name), name]
    _admit_namesakes(servers, name, known.address)


def _admit_namesakes(servers: Servers, name: str, old_address: str) -> None:
    for waiting in servers.state.agents.values():
        if waiting.full_name == name and waiting.address != old_address and servers.up(waiting.address) is not None:
            delay = servers.lots.seconds("push-pull", waiting.address, *_PUSH_PULL)
            servers.kernel.after(delay, "serf.pushpull", waiting.address, waiting.life)


def _push_pull(servers: Servers, address: str, life: int) -> None:
    agent = servers.up(address)
    if agent is not None and agent.life == life:
        for member in [m for m in agent.members.values() if m.status == ALIVE and m.address != address]:
            join(servers, agent, member.address)


def _retry_join(servers: Servers, address: str, life: int) -> None:
    agent = servers.up(address)
    if agent is None or agent.life != life or agent.joined:
        return
    targets = [target for entry in agent.retry_join for target in _resolve(servers, entry)]
    reached = sum(join(servers, agent, target) for target in dict.fromkeys([*targets, *agent.met]))
    agent.joined = reached > 0 or not agent.retry_join
    if not agent.joined:
        servers.kernel.after(agent.retry_interval, "serf.join", address, life)
    wake_bootstrap(servers, agent)


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
    lag = servers.lots.seconds("spread", subject.name, *_SPREAD)
    servers.kernel.after(lag, "serf.hear", observer.address, subject.address, status)


def _hear(servers: Servers, observer_address: str, subject_address: str, status: str) -> None:
    observer, subject = servers.up(observer_address), servers.state.agents.get(subject_address)
    if observer is None or subject is None:
        return
    known = observer.members.get(subject.full_name)
    if known is not None and known.address != subject.address:
        return  # the name is taken: the newcomer is not let in (recordings/servers 15, 16)
    if status == ALIVE:
        if subject.process != DOWN:
            _hear_alive(servers, observer, subject, known)
    elif known is not None and known.status not in {status, LEFT}:
        if known.status == LEAVING and status == FAILED:
            status = LEFT  # it was told to leave, and now it is noticed that it has
        observer.members[subject.full_name] = member_of(subject, status)
        if status in {LEFT, FAILED}:
            member_gone(servers, observer, subject, status)


def _hear_alive(servers: Servers, observer: ServerAgent, subject: ServerAgent, known: Member | None) -> None:
    name = subject.full_name
    if known is None and name in observer.forced_out:
        observer.forced_out.remove(name)
        observer.members[name] = member_of(subject, LEAVING)  # until it has refuted the leave that is remembered
        servers.kernel.after(_REFUTED, "serf.hear", observer.address, subject.address, ALIVE)
        return
    before, same = (known.status, known.id == subject.id) if known is not None else ("", False)
    observer.members[name] = member_of(subject)
    if before == ALIVE and same:
        return
    wake_bootstrap(servers, observer)
    if before in {"", FAILED, LEFT}:  # serf tells of a join; of a changed or refuted record it does not
        member_alive(servers, observer, subject)
    else:
        member_known(servers, observer)


def _suspect(servers: Servers, address: str, life: int) -> None:
    agent = servers.state.agents[address]
    if agent.life != life or servers.up(address) is not None or agent.left:
        return
    for observer in servers.state.agents.values():
        known = observer.members.get(agent.full_name)
        if known is not None and known.address == address and observer.address != address:
            known.suspected = True


def _dead(servers: Servers, address: str, life: int, patient: bool) -> None:  # noqa: FBT001 - an event's argument
    agent = servers.state.agents[address]
    if agent.life != life or servers.up(address) is not None or agent.left:
        return
    if patient and _observers(servers, agent) < 2:
        delay = servers.lots.seconds("failed-alone", agent.name, *_ALONE)
        servers.kernel.after(delay, "serf.dead", address, life, False)  # noqa: FBT003 - same
        return
    spread(servers, agent, FAILED)


def _observers(servers: Servers, agent: ServerAgent) -> int:
    """Count the living who know an agent."""
    others = (o for o in servers.state.agents.values() if o.address != agent.address)
    return sum(servers.up(o.address) is not None and agent.full_name in o.members for o in others)
