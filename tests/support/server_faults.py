"""What goes wrong with servers, one function each: what dies, hangs, is cut off, is late, or is done by hand."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from providers.sandbox.faults import Faults, Kind, Strike
from providers.sandbox.world.ec2 import launch, lifecycle
from providers.sandbox.world.ec2.errors import Ec2Error
from providers.sandbox.world.ec2.state import Mishap, Outage
from providers.sandbox.world.servers import agents, raft
from providers.sandbox.world.servers.state import ServerAgent

if TYPE_CHECKING:
    from support.servers_play import Play

WRITES = (
    "create_template",
    "delete_template",
    "run_instance",
    "terminate",
    "protect",
    "remove_peer",
    "force_leave",
    "transfer_leadership",
    "join",
    "write",
)
A_WHILE, ZONE_OUT, CUT_OFF, STRANGER = 600.0, 900.0, 300.0, 600.0  # seconds


@dataclass(slots=True, kw_only=True)
class ServerFaults(Faults):
    """Faults that may also strike the next write, whenever it comes."""

    next_writes: list[Kind] = field(default_factory=list)

    def next(self, name: str) -> Strike | None:
        """Say what happens to this call."""
        if self.next_writes and name.rpartition(".")[2] in WRITES:
            strike = Strike(call=self.calls, kind=self.next_writes.pop(0), name=name)
            self.calls += 1
            self.names.append(name)
            self.struck.append(strike)
            return strike
        return Faults.next(self, name)


# --- who dies ---------------------------------------------------------------------------------------------------------


def _killed(play: Play, address: str) -> None:
    play.hurt.add(address)
    agents.kill(play.stage.world.servers, address)


def follower_dies(play: Play) -> None:
    """Its process is killed; the machine stays."""
    if found := play.followers():
        _killed(play, found[0])


def leader_dies(play: Play) -> None:
    """Same, the leader."""
    if play.leader:
        _killed(play, play.leader)


def follower_hangs(play: Play) -> None:
    """It answers nobody, for ever."""
    if found := play.followers():
        play.hurt.add(found[-1])
        agents.freeze(play.stage.world.servers, found[-1])


def follower_restarts(play: Play) -> None:
    """Its process is killed and comes back a minute later with its data."""
    if found := play.followers():
        _killed(play, found[0])
        play.stage.world.kernel.after(60.0, "back", found[0])


def machine_crashes(play: Play) -> None:
    """The instance hangs; EC2 calls it running and impaired."""
    if found := play.followers():
        play.hurt.add(found[0])
        lifecycle.crash(play.stage.world.cloud, play.machine(found[0]))


def machine_is_ended_by_hand(play: Play) -> None:
    """An operator terminates one."""
    if found := play.followers():
        _ended_by_hand(play, found[0])


def leader_is_ended_by_hand(play: Play) -> None:
    """An operator terminates the leader's machine."""
    if play.leader and any(i.private_ip == play.leader for i in play.stage.live()):
        _ended_by_hand(play, play.leader)


def _ended_by_hand(play: Play, address: str) -> None:
    play.hurt.add(address)
    instance = play.machine(address)
    play.stage.world.cloud.state.instances[instance].protected = False
    lifecycle.terminate(play.stage.world.cloud, [instance])


# --- zones and networks -----------------------------------------------------------------------------------------------


def zone_is_down(play: Play) -> None:
    """All servers of a follower's zone are without power for a quarter of an hour, and EC2 launches nothing there."""
    if found := play.followers():
        _zone_down(play, found[0])


def leaders_zone_is_down(play: Play) -> None:
    """Same, the leader's zone."""
    if play.leader:
        _zone_down(play, play.leader)


def _zone_down(play: Play, address: str) -> None:
    world = play.stage.world
    zone = next((i.zone for i in play.stage.live() if i.private_ip == address), "")
    if not zone:
        return
    now = world.now
    world.cloud.state.outages.append(Outage(zone=zone, since=now, until=now + ZONE_OUT))
    for instance in play.stage.live():
        if instance.zone != zone:
            continue
        if instance.private_ip in world.servers.state.agents:
            _killed(play, instance.private_ip)
        elif instance.id in world.state.machines.machines:
            world.state.machines.machines[instance.id].life += 1  # it never comes up
        instance.impaired = True
    world.kernel.after(ZONE_OUT, "zone-back", zone)


def follower_is_cut_off(play: Play) -> None:
    """For five minutes no other server hears it; we reach it all the same."""
    if found := play.followers():
        _cut(play, found[0])


def leader_is_cut_off(play: Play) -> None:
    """Same, the leader."""
    if play.leader:
        _cut(play, play.leader)


def _cut(play: Play, address: str) -> None:
    play.hurt.add(address)
    agents.cut_off(play.stage.world.servers, address)
    play.stage.world.kernel.after(CUT_OFF, "reconnected", address)


def follower_is_out_of_our_reach(play: Play) -> None:
    """For ten minutes one that is well does not answer us; its peers hear it."""
    if found := play.followers():
        _out_of_reach(play, found[:1])


def all_are_out_of_our_reach(play: Play) -> None:
    """For ten minutes nobody answers us."""
    _out_of_reach(play, [i.private_ip for i in play.stage.live()])


def _out_of_reach(play: Play, addresses: list[str]) -> None:
    play.stage.dark.update(addresses)
    for address in addresses:
        play.stage.world.kernel.after(A_WHILE, "in-reach", address)


# --- who comes --------------------------------------------------------------------------------------------------------


def next_boots_never(play: Play) -> None:
    """The next machine never boots."""
    _mishap(play, "never-boots")


def next_boots_late(play: Play) -> None:
    """The next machine boots four minutes late."""
    _mishap(play, "boots-late", figure=240.0)


def next_joins_nobody(play: Play) -> None:
    """The next server's agent comes up, answers us, and finds no other: its gossip key is wrong."""
    _mishap(play, "joins-nobody")


def _mishap(play: Play, kind: str, figure: float = 0.0) -> None:
    play.stage.world.state.ec2.mishaps.append(Mishap(kind=kind, figure=figure, role="server"))


def operator_removes_a_peer(play: Play) -> None:
    """An operator takes a living follower out of raft; its leader adds it again within a minute."""
    servers = play.stage.world.servers
    for cluster in list(servers.state.clusters.values()):
        peer = next((p for p in cluster.peers if p.address in play.followers() and p.voter), None)
        if peer is not None and cluster.leader and sum(p.voter for p in cluster.peers) > 1:
            raft.remove(servers, cluster, peer.id)


def operator_adds_a_server(play: Play) -> None:
    """An operator launches one more machine like those that are there, tags and all."""
    cloud, like = play.stage.world.cloud, next(iter(play.stage.live()), None)
    if like is not None:
        tags = {k: v for k, v in like.tags.items() if k != "nomad-reconciler:claim"}
        order = launch.MachineOrder(
            image=like.image,
            instance_type=like.type,
            subnet=like.subnet,
            user_data=cloud.state.user_data[like.user_data],
            security_groups=tuple(like.security_groups),
            instance_profile=like.instance_profile,
            tags=tags,
            tags_in_metadata=True,
            shutdown_behavior="terminate",
        )
        with contextlib.suppress(Ec2Error):  # its zone may be down
            launch.run_instance(cloud, order, token=f"by-hand-{play.stage.world.now:.0f}")


def a_stranger_joins(play: Play) -> None:
    """A server of nobody's joins, votes, and leaves again in good order after ten minutes."""
    servers = play.stage.world.servers
    known = [a for a in servers.state.agents if servers.up(a)]
    if known and "10.9.9.9" not in servers.state.agents:
        stranger = ServerAgent(
            address="10.9.9.9",
            name="legacy-1",
            id=play.stage.world.kernel.new_id(),
            retry_join=known,
            leave_on_terminate=True,
        )
        play.hurt.add(stranger.address)
        agents.start(servers, stranger)
        play.stage.world.kernel.after(STRANGER, "stranger-leaves", stranger.address)


# --- between us and the world -----------------------------------------------------------------------------------------


def answers_are_lost(play: Play) -> None:
    """For ten minutes every tenth answer is lost."""
    _for_a_while(play, {Kind.LOSE_REPLY: 0.1})


def calls_fail(play: Play) -> None:
    """For ten minutes every tenth call fails."""
    _for_a_while(play, {Kind.FAIL: 0.1})


def we_crash(play: Play) -> None:
    """For ten minutes we die at every twentieth call, before or after it."""
    _for_a_while(play, {Kind.CRASH_BEFORE: 0.025, Kind.CRASH_AFTER: 0.025})


def reads_are_stale(play: Play) -> None:
    """For ten minutes every tenth read answers as of earlier."""
    _for_a_while(play, {Kind.STALE: 0.1})


def _for_a_while(play: Play, rates: Mapping[Kind, float]) -> None:
    faults = play.stage.faults
    faults.rates = {**faults.rates, **rates}
    play.stage.world.kernel.after(A_WHILE, "calm")


def we_crash_before_the_next_write(play: Play) -> None:
    """We die just before we change anything."""
    _next_write(play, Kind.CRASH_BEFORE)


def we_crash_after_the_next_write(play: Play) -> None:
    """We die just after we changed something, before we hear of it."""
    _next_write(play, Kind.CRASH_AFTER)


def the_next_writes_answer_is_lost(play: Play) -> None:
    """What we change next happens, and we are not told."""
    _next_write(play, Kind.LOSE_REPLY)


def _next_write(play: Play, kind: Kind) -> None:
    assert isinstance(play.stage.faults, ServerFaults)
    play.stage.faults.next_writes.append(kind)


def another_replica_comes(play: Play) -> None:
    """A second reconciler works on the same group, without any lock."""
    play.replicas = 2


FAULTS: Mapping[str, Callable[[Play], None]] = {
    f.__name__.replace("_", " "): f
    for f in (
        follower_dies,
        leader_dies,
        follower_hangs,
        follower_restarts,
        machine_crashes,
        machine_is_ended_by_hand,
        leader_is_ended_by_hand,
        zone_is_down,
        leaders_zone_is_down,
        follower_is_cut_off,
        leader_is_cut_off,
        follower_is_out_of_our_reach,
        all_are_out_of_our_reach,
        next_boots_never,
        next_boots_late,
        next_joins_nobody,
        operator_removes_a_peer,
        operator_adds_a_server,
        a_stranger_joins,
        answers_are_lost,
        calls_fail,
        we_crash,
        reads_are_stale,
        we_crash_before_the_next_write,
        we_crash_after_the_next_write,
        the_next_writes_answer_is_lost,
        another_replica_comes,
    )
}

HURTING = frozenset(
    f
    for f in FAULTS
    if f.startswith(("follower", "leader", "machine", "zone", "a stranger")) and f != "follower is out of our reach"
)


def pairs() -> Iterator[tuple[str, str]]:
    """Give every pair of faults, each with itself too; the first one listed comes first."""
    names = list(FAULTS)
    for place, first in enumerate(names):
        for second in names[place:]:
            yield first, second
