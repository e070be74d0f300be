"""What the simulated servers save of their state; only the sandbox could take it back."""

from __future__ import annotations

import gzip
import hashlib
from typing import TYPE_CHECKING

import msgspec

from schemas.servers import StateSnapshot

if TYPE_CHECKING:
    from providers.sandbox.world.world import World


def archived(world: World) -> StateSnapshot:
    """Give an archive of the state with its digest."""
    archive = gzip.compress(msgspec.json.encode(world.nomad.state), mtime=0)
    return StateSnapshot(archive=archive, sha256=hashlib.sha256(archive).hexdigest())
