"""Nomad's answers about its servers become our values: gossip, raft configuration, autopilot's health."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from schemas.servers import Autopilot, AutopilotServer, Member
from schemas.world import RaftPeer

Json = Mapping[str, Any]


def members(answer: Json) -> tuple[Member, ...]:
    """Read ``GET /v1/agent/members``."""
    return tuple(
        Member(
            name=m["Name"],
            address=m["Addr"],
            status=m["Status"],
            id=(m.get("Tags") or {}).get("id", ""),
            build=(m.get("Tags") or {}).get("build", ""),
        )
        for m in answer["Members"] or ()
    )


def raft_peers(answer: Json) -> tuple[RaftPeer, ...]:
    """Read ``GET /v1/operator/raft/configuration``; a peer that gossip has forgotten is named ``(unknown)``."""
    return tuple(
        RaftPeer(id=p["ID"], name=p["Node"], address=p["Address"], leader=p["Leader"], voter=p["Voter"])
        for p in answer["Servers"] or ()
    )


def autopilot(answer: Json) -> Autopilot:
    """Read ``GET /v1/operator/autopilot/health``, whether it came as 200 or 429."""
    return Autopilot(
        healthy=answer["Healthy"],
        failure_tolerance=answer["FailureTolerance"],
        servers=tuple(
            AutopilotServer(
                id=s["ID"],
                name=s["Name"],
                address=s["Address"],
                healthy=s["Healthy"],
                voter=s["Voter"],
                leader=s["Leader"],
                last_contact=str(s["LastContact"]),
                stable_since=_time(s.get("StableSince", "")),
                serf_status=s.get("SerfStatus", ""),
                version=s.get("Version", ""),
            )
            for s in answer["Servers"] or ()
        ),
    )


def _time(text: str) -> datetime | None:
    """Read RFC 3339; Go's zero time is none, and so is what cannot be read."""
    if not text or text.startswith("0001-"):
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None
