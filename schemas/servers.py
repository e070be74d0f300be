"""What is known of the Nomad servers: what each witness says of them, and what we remember of our own steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A server as one agent's gossip knows it (source: ``GET /v1/agent/members``)."""

    name: str  # with region: "i-0abc.global"
    address: str
    status: str  # alive | leaving | left | failed
    id: str = ""  # its raft id, the tag ``id``
    build: str = ""  # its agent's version


@dataclass(frozen=True, slots=True, kw_only=True)
class AutopilotServer:
    """What autopilot on the leader believes of one server; it believes too long (facts: nomad §6.4)."""

    id: str
    name: str
    address: str  # host:port of its RPC
    healthy: bool
    voter: bool
    leader: bool
    last_contact: str = ""  # as it was answered: two looks that show the same saw nothing move
    stable_since: datetime | None = None
    serf_status: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Autopilot:
    """``GET /v1/operator/autopilot/health``, a consistent read; 429 is an answer too."""

    healthy: bool
    failure_tolerance: int
    servers: tuple[AutopilotServer, ...] = ()  # empty for some seconds after an election


@dataclass(frozen=True, slots=True, kw_only=True)
class StateSnapshot:
    """A snapshot of the servers' state, whose digest was checked (source: ``GET /v1/operator/snapshot``)."""

    archive: bytes = field(repr=False)
    sha256: str  # hexadecimal


# --- ours ------------------------------------------------------------------------------------------------------------


class StepKind(StrEnum):
    """What a server step does; a replacement is two of them."""

    ADD = "add"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStep:
    """The one server step that was begun: written before its first effect, gone when all of it is seen to be done."""

    kind: StepKind
    reason: str
    begun_at: datetime
    voluntary: bool
    claim: str = ""  # of an added server; asking twice for a claim is asking once
    template: str = ""  # name of the launch template that holds the whole request
    zone: str = ""
    instance_id: str = ""  # the added one once EC2 told it, or the one that goes
    address: str = ""  # private address of the one that goes
    peer_id: str = ""  # raft id of the one that goes, "" where it has none
    sure: bool = False  # what was begun can not be taken back: the machine was asked for, or told to end
    voted_at: datetime | None = None  # since when an added server is seen as a healthy voter, each look


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenSince:
    """Server steps were frozen, and why; over after two clean looks."""

    runbook: str
    message: str
    since: datetime
    clean_looks: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedSnapshot:
    """A snapshot that was saved, and read back."""

    name: str
    at: datetime
    sha256: str  # hexadecimal
    size: int  # bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class ServersRecord:
    """What must be remembered of the servers between two looks; part of the journal."""

    step: ServerStep | None = None
    lives: int = 0  # the highest life ever used in a claim after forming
    failing: Mapping[str, datetime] = field(default_factory=dict)  # instance → since when it is seen failed, each look
    known: Mapping[str, str] = field(default_factory=dict)  # instance → address, of every server that was ever ours
    frozen: FrozenSince | None = None
    barren: int = 0  # servers in a row that never joined ...
    barren_revision: str = ""  # ... of this revision
    barren_at: datetime | None = None
    saved: SavedSnapshot | None = None  # the last one
    save_failed_at: datetime | None = None  # when saving was last tried in vain
