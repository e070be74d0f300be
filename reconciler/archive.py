"""Whether a snapshot of the servers' state can be read back: its digest, and the sums inside it. Pure."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from datetime import datetime

SUMS, STATE, ENDING = "SHA256SUMS", "state.bin", ".snap"


def unreadable(archive: bytes, sha256: str) -> str | None:
    """Say why an archive cannot be restored; None: it holds a state whose sum is right.

    ``sha256``: hexadecimal, as Nomad gave it with the snapshot.
    """
    if hashlib.sha256(archive).hexdigest() != sha256:
        return f"its {len(archive)} bytes do not have the digest that Nomad gave"
    try:
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            files = {m.name: _content(tar, m) for m in tar.getmembers() if m.isfile()}
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError) as broken:
        return f"it is no archive: {broken}"
    if STATE not in files or SUMS not in files:
        return f"it holds {', '.join(sorted(files)) or 'nothing'}, and no {STATE} with its sum"
    for line in files[SUMS].decode(errors="replace").splitlines():
        wanted, _, name = line.partition(" ")
        name = name.strip()
        if name not in files or hashlib.sha256(files[name]).hexdigest() != wanted:
            return f"{name} is missing or does not have the sum that {SUMS} names"
    return None


def snapshot_name(group: str, at: datetime) -> str:
    """Name a group's snapshot so that names sort by time."""
    return f"{group}-{at:%Y%m%dT%H%M%SZ}{ENDING}"


def surplus(names: tuple[str, ...], group: str, keep: int) -> tuple[str, ...]:
    """Give the names of a group's snapshots beyond the newest ``keep``; what is named otherwise is not ours."""
    stamp = len(f"-20260101T000000Z{ENDING}")
    ours = sorted(n for n in names if n.endswith(ENDING) and n[:-stamp] == group)
    return tuple(ours[: max(0, len(ours) - keep)])


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""
