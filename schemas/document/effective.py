"""What a pool's machines or the servers are really made from: the group's machine with their overrides applied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from schemas.document.group import ClusterGroup
from schemas.document.machine import AgentConfigSource, Download
from schemas.document.pool import Pool
from schemas.document.servers import Servers


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectiveMachine:
    """What a pool's machines or the servers are made from, overrides applied."""

    images: Mapping[str, str]
    """Image by architecture."""
    install: Literal["baked", "apt"] | Download
    agent_config: Mapping[str, Any]
    """Empty when it lies elsewhere."""
    agent_config_source: AgentConfigSource | None


def with_machines(group: ClusterGroup) -> tuple[Servers | Pool, ...]:
    """List the parts of a group that have machines: its servers, if it manages them, and its pools."""
    servers = group.spec.servers
    return (*(() if servers is None else (servers,)), *group.spec.pools)


def effective_machine(group: ClusterGroup, of: Pool | Servers) -> EffectiveMachine:
    """Merge `spec.machine` with what a pool or the servers override."""
    base, over = group.spec.machine, of.machine
    agent = base.agent_config if over.agent_config is None else over.agent_config
    return EffectiveMachine(
        images={str(arch): image for arch, image in (*base.images.items(), *(over.images or {}).items())},
        install=base.install if over.install is None else over.install,
        agent_config={} if isinstance(agent, AgentConfigSource) else agent,
        agent_config_source=agent if isinstance(agent, AgentConfigSource) else None,
    )
