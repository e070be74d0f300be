"""What the reconciler asks of the outside, as async Protocols; providers satisfy them, and bootstrap picks who.

Every method may raise ``UnansweredError`` (nothing happened, nothing was learnt); writes also ``RefusedError`` (a no)
and ``OutcomeUnknownError`` (sent, no answer: it may have happened). See ``schemas.faults``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from schemas.nomad_plan import JobPlan
from schemas.record import Lease, Record
from schemas.servers import Autopilot, Member, StateSnapshot
from schemas.supply import Supply
from schemas.trouble import Trouble
from schemas.world import (
    Address,
    Allocation,
    Evaluation,
    FleetAnswer,
    FleetRequest,
    Instance,
    Job,
    Node,
    RaftPeer,
    ServerView,
    Template,
)


class Clock(Protocol):
    """The time, and waiting for it; virtual in the sandbox."""

    def now(self) -> datetime:
        """Give the time, with time zone."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Ec2(Protocol):
    """The part of EC2 that we use, in one region; lists hold only what carries the group's cluster tag."""

    async def instances(self, group: str) -> tuple[Instance, ...]:
        """List instances with the group's tag, in every state, whole or not at all; new ones may lag for seconds."""
        ...

    async def template_names(self, group: str) -> frozenset[str]:
        """List the names of launch templates with the group's tag."""
        ...

    async def template(self, name: str) -> Template | None:
        """Read one launch template by name; None only when EC2 says that there is none."""
        ...

    async def create_template(self, group: str, template: Template) -> None:
        """Make a launch template. RefusedError(EXISTS): the name is taken."""
        ...

    async def delete_template(self, name: str) -> None:
        """Delete a launch template; one that is not there is deleted."""
        ...

    async def run_instance(self, template: Template, *, token: str, tags: Mapping[str, str]) -> Instance:
        """Launch one instance from a template that names type and subnet (RunInstances); one token gives one."""
        ...

    async def terminate(self, instance_ids: Sequence[str]) -> None:
        """End machines (TerminateInstances); one that ends already is ended.

        RefusedError(INVALID): EC2 does not know one of them (yet, or any more); RefusedError(PROTECTED): one of them
        is protected. The others end all the same.
        """
        ...

    async def protect(self, instance_id: str, *, on: bool) -> None:
        """Set or lift termination protection; as it is already is as asked. Servers are launched with it."""
        ...

    async def addresses(self) -> tuple[Address, ...]:
        """List the region's Elastic IPs, whoever has them (DescribeAddresses)."""
        ...

    async def associate_address(self, allocation_id: str, instance_id: str) -> None:
        """Give an Elastic IP to a running instance, in the place of one that it has; to whom it has already: nothing.

        RefusedError(CONFLICT): another instance has it, or this one still boots. RefusedError(INVALID): EC2 does not
        know the address or the instance.
        """
        ...

    async def impaired(self, instance_ids: Sequence[str]) -> frozenset[str]:
        """Tell which of these running instances EC2's status checks call failed (DescribeInstanceStatus)."""
        ...

    async def trouble(self, instance_ids: Sequence[str], *, spot: bool) -> Trouble:
        """Tell what EC2 has against these running instances: checks, dates, closed spot requests; a minute old.

        ``spot``: some of them are; without any, spot requests are not asked for, and need no right.
        """
        ...

    async def supply(self, *, zones: Sequence[str], subnets: Sequence[str], known: Collection[str]) -> Supply:
        """Tell what the zones sell, at which on-demand prices, and how much room the subnets have.

        ``known`` names the types that need no description. Answers are kept for hours; who is silent is named in it.
        """
        ...

    async def create_fleet(self, request: FleetRequest) -> FleetAnswer:
        """Launch up to ``count`` instances (CreateFleet ``instant``); repeated byte for byte: the same answer."""
        ...

    async def spot_prices(self, types: Sequence[str], zones: Sequence[str]) -> Mapping[tuple[str, str], float]:
        """Give current spot prices, USD an hour by (type, zone); what is missing has no spot offering."""
        ...


class Nomad(Protocol):
    """A Nomad cluster, asked through any of its addresses; reads are the leader's unless they say otherwise."""

    async def nodes(self) -> tuple[Node, ...]:
        """List all clients in full."""
        ...

    async def jobs(self) -> tuple[Job, ...]:
        """List all jobs of all namespaces with their summaries."""
        ...

    async def evaluations(self) -> tuple[Evaluation, ...]:
        """List the evaluations that are blocked or pending."""
        ...

    async def allocations(self) -> tuple[Allocation, ...]:
        """List the allocations that take room."""
        ...

    async def node_pools(self) -> frozenset[str]:
        """Give the names of the node pools."""
        ...

    async def broker_paused(self) -> bool:
        """Tell whether the scheduler configuration pauses the broker: then queued work is no lack of room."""
        ...

    async def create_node_pool(self, name: str) -> None:
        """Make a node pool; one that is there stays as it is."""
        ...

    async def job_plan(self, namespace: str, job_id: str) -> JobPlan | None:
        """Ask Nomad's scheduler what it would do with a stored job now, writing nothing; None: there is no such job.

        It costs the leader a scheduling: for single questions, not for every tick.
        """
        ...

    async def server_view(self, address: str) -> ServerView:
        """Ask one server at its own address, with stale reads; never raises: who does not answer is not reachable."""
        ...

    async def autopilot(self) -> Autopilot:
        """Give what autopilot on the leader believes (consistent); 429 is an answer, ``Servers: null`` an empty one."""
        ...

    async def raft_configuration(self) -> tuple[RaftPeer, ...]:
        """Give the leader's raft configuration (consistent)."""
        ...

    async def members(self) -> tuple[Member, ...]:
        """Give the servers that gossip knows, the dead too, as whichever agent answers knows them."""
        ...

    async def remove_peer(self, peer_id: str) -> None:
        """Take a dead peer out of raft by its id; one that is not in it is out. A living one would come back."""
        ...

    async def force_leave(self, name: str) -> None:
        """Make gossip forget a failed member, by its name with region (``prune``); unknown and living ones stay."""
        ...

    async def transfer_leadership(self, peer_id: str) -> None:
        """Hand leadership to a voter by its raft id; to the one that leads already changes nothing."""
        ...

    async def join(self, address: str, addresses: Sequence[str]) -> int:
        """Tell the agent at ``address`` to join others; gives how many it reached."""
        ...

    async def snapshot(self) -> StateSnapshot:
        """Save the servers' state; an archive that does not match its digest is no answer."""
        ...

    async def acl_bootstrap(self, secret: str) -> None:
        """Make ``secret`` (a UUID) the first management token; where it is one already nothing happens.

        RefusedError(EXISTS): bootstrapped with another secret. RefusedError(INVALID): no UUID, or ACLs are off.
        """
        ...


class NomadDoor(Protocol):
    """Finds a cluster by its addresses; cheap, called anew each tick."""

    def at(self, addresses: Sequence[str]) -> Nomad:
        """Give the cluster behind these addresses (host, or URL), tried in turn."""
        ...


class Store(Protocol):
    """Small durable records by path, compare-and-set (Nomad Variables; SQLite in the sandbox)."""

    async def read(self, path: str) -> Record | None:
        """Read a record; None only when the store says that there is none."""
        ...

    async def write(self, path: str, items: Mapping[str, str], *, index: int) -> int:
        """Write a whole record if its index is still ``index`` (0: it is not there yet), and give the new index.

        Raises RefusedError(CONFLICT) when somebody else wrote first.
        """
        ...


class SnapshotPlace(Protocol):
    """Keeps the servers' snapshots by name, at a place: a directory, or ``s3://bucket/prefix``."""

    async def put(self, place: str, name: str, data: bytes) -> None:
        """Keep a snapshot, whole or not at all."""
        ...

    async def get(self, place: str, name: str) -> bytes:
        """Read a snapshot; one that is not there is no answer."""
        ...

    async def names(self, place: str) -> tuple[str, ...]:
        """List what is there, sorted."""
        ...

    async def delete(self, place: str, name: str) -> None:
        """Remove one; one that is not there is removed."""
        ...


class Locks(Protocol):
    """Locks on records of the store, for one holder at a time; ``schemas.record`` has their times."""

    async def acquire(self, path: str, *, holder: str) -> Lease | None:
        """Take the lock, and write the holder's name into its record; None: somebody has it.

        Raises OutcomeUnknownError when it may have been taken: then nobody uses it, and it expires.
        """
        ...

    async def renew(self, lease: Lease) -> Lease:
        """Keep the lock from now on. Raises RefusedError(CONFLICT) when it is not ours any more.

        After any other fault it is ours as long as the lease says, and no longer.
        """
        ...

    async def release(self, lease: Lease) -> bool:
        """Give the lock back, so that nobody has to wait; one that is over by our clock is left to expire."""
        ...
