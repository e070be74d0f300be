"""The calls about servers: what one agent says at its own address, what the leader says of all, and steps on raft."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import anyio
import msgspec

from providers.http import Answer, HttpError
from providers.nomad import translate_servers
from providers.nomad.channel import STALE, Channel, Query
from providers.nomad.faults import is_html
from providers.nomad.shapes import HalfAnswerError, an_object
from schemas.faults import Refusal, RefusedError, Source, UnansweredError
from schemas.names import host_of
from schemas.servers import Autopilot, Member, StateSnapshot
from schemas.world import RaftPeer, ServerView

T = TypeVar("T")

ALIVE = "alive"
NOT_A_PEER = "was not found in the Raft configuration"
SNAPSHOT_SECONDS = 120.0
_SHAPE = (KeyError, TypeError, AttributeError, ValueError)


class ServerCalls:
    """See the module."""

    def __init__(self, channel: Channel) -> None:
        self.channel = channel

    # --- one agent

    async def server_view(self, address: str) -> ServerView:
        """Ask one server at its own address, with stale reads; never raises."""
        said: dict[str, Any] = {}

        async def look(name: str, path: str, query: Query) -> None:
            said[name] = await self._said_at(address, path, query)

        async with anyio.create_task_group() as group:
            group.start_soon(look, "leader", "/v1/status/leader", STALE)
            group.start_soon(look, "raft", "/v1/operator/raft/configuration", STALE)
            group.start_soon(look, "gossip", "/v1/agent/members", ())
        leader = said["leader"]
        if not isinstance(leader, str):
            return ServerView(address=host_of(address), reachable=False)
        gossip = _shaped(translate_servers.members, said["gossip"])
        health = await self._said_at(address, "/v1/agent/health", (("type", "server"),)) if leader else None
        return ServerView(
            address=host_of(address),
            reachable=True,
            leader=leader,
            peers=_shaped(translate_servers.raft_peers, said["raft"]),
            members=None if gossip is None else tuple(m.address for m in gossip if m.status == ALIVE),
            gossip=gossip,
            ready=health is not None,
        )

    async def join(self, address: str, addresses: Sequence[str]) -> int:
        """Tell the agent at ``address`` to join others; gives how many it reached."""
        whom = tuple(("address", host_of(a)) for a in addresses)
        answer = await self.channel.tell(self.channel.endpoint(address), "/v1/agent/join", whom)
        try:
            joined = an_object(answer, "num_joined")["num_joined"]
        except msgspec.MsgspecError as error:
            raise UnansweredError(Source.NOMAD, f"PUT /v1/agent/join at {address}", str(error)) from error
        return int(joined)

    # --- all servers

    async def autopilot(self) -> Autopilot:
        """Give what autopilot on the leader believes; 429 with a body is an answer."""
        needed = ("Healthy", "FailureTolerance")
        return await self.channel.read(
            "/v1/operator/autopilot/health",
            decode=lambda a: translate_servers.autopilot({"Servers": None, **an_object(a, *needed)}),
            accept=lambda a: a.status == 200 or (a.status == 429 and a.text.startswith("{")),
        )

    async def raft_configuration(self) -> tuple[RaftPeer, ...]:
        """Give the leader's raft configuration; needs a management token."""
        return await self.channel.read(
            "/v1/operator/raft/configuration", decode=lambda a: translate_servers.raft_peers(an_object(a, "Servers"))
        )

    async def members(self) -> tuple[Member, ...]:
        """Give the servers that gossip knows, as whichever agent answers knows them."""
        return await self.channel.read(
            "/v1/agent/members", decode=lambda a: translate_servers.members(an_object(a, "Members"))
        )

    async def remove_peer(self, peer_id: str) -> None:
        """Take a peer out of raft by its id; one that is not in it is out."""
        await self.channel.write(
            "DELETE",
            "/v1/operator/raft/peer",
            (("id", peer_id),),
            accept=lambda a: a.status == 200 or (a.status in {400, 500} and NOT_A_PEER in a.text),
        )

    async def force_leave(self, name: str) -> None:
        """Make gossip forget a failed member, by its name with region; unknown and living ones stay."""
        await self.channel.write("PUT", "/v1/agent/force-leave", (("node", name), ("prune", "true")))

    async def transfer_leadership(self, peer_id: str) -> None:
        """Hand leadership to a voter by its raft id; to the one that leads already changes nothing."""
        path = "/v1/operator/raft/transfer-leadership"
        answer = await self.channel.write("PUT", path, (("id", peer_id),))
        error = an_object(answer).get("Err")
        if error:
            raise RefusedError(Source.NOMAD, f"PUT {path}?id={peer_id}", str(error), why=Refusal.INVALID)

    async def snapshot(self) -> StateSnapshot:
        """Save the servers' state; an archive that does not match its digest is no answer."""
        return await self.channel.read(
            "/v1/operator/snapshot", decode=_checked_snapshot, seconds=SNAPSHOT_SECONDS, silence=SNAPSHOT_SECONDS
        )

    async def _said_at(self, address: str, path: str, query: Query) -> Any:
        """Give what an agent answers by itself; None when it does not, or not with success."""
        try:
            answer = await self.channel.look(self.channel.endpoint(address), path, query)
            return msgspec.json.decode(answer.body) if answer.status == 200 and not is_html(answer) else None
        except (HttpError, msgspec.MsgspecError):
            return None


def _shaped(translation: Callable[[Any], T], said: Any) -> T | None:
    """Translate what one agent said; what has another shape was not said."""
    try:
        return None if said is None else translation(said)
    except _SHAPE:
        return None


def _checked_snapshot(answer: Answer) -> StateSnapshot:
    named = answer.headers.get("digest", "")
    algorithm, _, text = named.partition("=")
    digest = hashlib.sha256(answer.body)
    if algorithm != "sha-256" or not answer.body:
        raise HalfAnswerError(f"the snapshot has {len(answer.body)} bytes and header Digest {named!r}")
    if base64.b64encode(digest.digest()).decode() != text:
        raise HalfAnswerError(f"the snapshot's {len(answer.body)} bytes do not have the digest that its header names")
    return StateSnapshot(archive=bytes(answer.body), sha256=digest.hexdigest())
