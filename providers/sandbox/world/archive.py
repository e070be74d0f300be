"""What the simulated servers save of their state, packed as Nomad packs it; only the sandbox could take it back."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from typing import TYPE_CHECKING

import msgspec

from schemas.servers import StateSnapshot

if TYPE_CHECKING:
    from providers.sandbox.world.world import World


def archived(world: World) -> StateSnapshot:
    """Give an archive of the state with its digest."""
    state = msgspec.json.encode(world.nomad.state)
    meta = msgspec.json.encode({"ID": f"sandbox-{world.now:.0f}", "Size": len(state), "Version": 1})
    sums = "".join(f"{hashlib.sha256(d).hexdigest()}  {n}\n" for n, d in (("meta.json", meta), ("state.bin", state)))
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in (("meta.json", meta), ("state.bin", state), ("SHA256SUMS", sums.encode())):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    archive = gzip.compress(packed.getvalue(), mtime=0)
    return StateSnapshot(archive=archive, sha256=hashlib.sha256(archive).hexdigest())
