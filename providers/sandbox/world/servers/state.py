"""The server agents and what binds them, as data that can be written down and read back.

A server is named by its address (one process an address); a raft cluster by an id of its own, so that two of them can
exist.
"""

from __future__ import annotations

from dataclasses import dataclass, field

UP, FROZEN, DOWN = "up", "frozen", "down"
CUT = "cut"  # it runs and answers who asks it, but hears no other server, and none hears it
ALIVE, LEAVING, LEFT, FAILED = "alive", "leaving", "left", "failed"


@dataclass(slots=True, kw_only=True)
class Peer:
    """One server of a raft configuration."""

    id: str
    name: str  # with region: "i-0abc.global"
    address: str
    voter: bool


@dataclass(slots=True, kw_only=True)
class Member:
    """What one server's gossip knows of another (or of itself)."""

    name: str
    address: str
    id: str
    region: str
    datacenter: str
    expect: int
    build: str
    status: str = ALIVE
    suspected: bool = False  # it does not answer and is not called failed yet; newcomers are not told of it


@dataclass(slots=True, kw_only=True)
class ServerAgent:
    """A server agent, its disk included: what it knows survives its process."""

    address: str
    name: str
    id: str
    region: str = "global"
    datacenter: str = "dc1"
    expect: int = 0
    retry_join: list[str] = field(default_factory=list)
    retry_interval: float = 30.0
    gossip_key: str = ""
    leave_on_terminate: bool = False
    build: str = "2.0.5"
    acl: bool = False
    process: str = UP
    life: int = 1  # processes that ran on this disk; events of an earlier one are void
    joined: bool = False
    left: bool = False
    members: dict[str, Member] = field(default_factory=dict)
    met: list[str] = field(default_factory=list)  # addresses that its last process knew, to join again
    forced_out: list[str] = field(default_factory=list)  # names whose forced leave it remembers
    cluster: str = ""  # the raft cluster its log belongs to; "": the log is empty
    config: list[Peer] = field(default_factory=list)  # the configuration in its own log
    leader: str = ""  # address of the leader that this process believes in
    figures_from: float = 0.0  # when this process began to answer autopilot

    @property
    def full_name(self) -> str:
        """Its name in gossip."""
        return f"{self.name}.{self.region}"


@dataclass(slots=True, kw_only=True)
class Seen:
    """What autopilot made of one server when it last looked."""

    id: str
    address: str
    voter: bool
    name: str = ""  # "" when gossip did not know it and no earlier look did
    status: str = ALIVE
    healthy: bool = False
    stable_since: float = 0.0  # when it was first seen: what came later never moves it (recordings/http 205, 267)
    figures_at: float | None = None  # when it last answered: the figures shown are of then


@dataclass(slots=True, kw_only=True)
class AutopilotSettings:
    """Autopilot's configuration; durations in seconds."""

    cleanup_dead_servers: bool = True
    last_contact_threshold: float = 0.2
    max_trailing_logs: int = 250
    min_quorum: int = 0
    stabilization: float = 10.0
    modify_index: int = 4


@dataclass(slots=True, kw_only=True)
class RaftCluster:
    """One raft cluster: the configuration its leader committed last, and who leads."""

    id: str
    region: str
    peers: list[Peer]
    leader: str = ""  # address; it may be dead and nobody has noticed yet
    established_at: float | None = None  # when the leader began to serve; None: not yet
    term: int = 1
    index: int = 1
    election: int = 0  # elections called; earlier ones are void
    electing: bool = False
    wounded: bool = False  # the last leader was lost while a voter did not answer
    pass_due: bool = False
    acl_index: int = 0  # when its ACLs were bootstrapped ...
    acl_secret: str = ""  # ... and the SHA-256 of the management token that this made
    autopilot: AutopilotSettings = field(default_factory=AutopilotSettings)
    seen: dict[str, Seen] = field(default_factory=dict)  # by server id
    shown: bool = False  # before its second look a wounded cluster's autopilot tells of no server
    look_due: bool = False
    act_due: bool = False


@dataclass(slots=True, kw_only=True)
class ServersState:
    """All server agents, dead ones included."""

    agents: dict[str, ServerAgent] = field(default_factory=dict)  # by address
    clusters: dict[str, RaftCluster] = field(default_factory=dict)
    primary: str = ""  # the cluster that holds the jobs: the first one formed
