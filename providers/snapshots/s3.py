"""Snapshots as objects under ``s3://bucket/prefix``, encrypted as the bucket has it, checked by S3 on their way."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from providers.aws.call import Caller
from schemas.faults import Source

if TYPE_CHECKING:
    from providers.aws.clients import Clients


class S3:
    """Satisfies ``reconciler.ports.SnapshotPlace`` for ``s3://bucket/prefix``."""

    def __init__(self, clients: Clients, *, inline: bool = False) -> None:
        self._clients, self._caller = clients, Caller(Source.SNAPSHOTS, inline=inline)

    async def put(self, place: str, name: str, data: bytes) -> None:
        """Keep a snapshot; put twice is put once."""
        bucket, key = _where(place, name)
        await self._caller.write(
            f"PutObject {key}",
            lambda: self._clients.s3().put_object(Bucket=bucket, Key=key, Body=data, ChecksumAlgorithm="SHA256"),
        )

    async def get(self, place: str, name: str) -> bytes:
        """Read a snapshot."""
        bucket, key = _where(place, name)

        def read() -> bytes:
            found = self._clients.s3().get_object(Bucket=bucket, Key=key, ChecksumMode="ENABLED")
            data: bytes = found["Body"].read()
            return data

        return await self._caller.read(f"GetObject {key}", read)

    async def names(self, place: str) -> tuple[str, ...]:
        """List the snapshots that are there, all pages."""
        bucket, prefix = _where(place, "")

        def listed() -> tuple[str, ...]:
            pages = self._clients.s3().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
            return tuple(sorted(k[len(prefix) :] for k in keys if "/" not in k[len(prefix) :]))

        return await self._caller.read(f"ListObjectsV2 {bucket}/{prefix}", listed)

    async def delete(self, place: str, name: str) -> None:
        """Remove a snapshot; one that is not there is removed."""
        bucket, key = _where(place, name)
        await self._caller.write(
            f"DeleteObject {key}", lambda: self._clients.s3().delete_object(Bucket=bucket, Key=key)
        )


def _where(place: str, name: str) -> tuple[str, str]:
    url = urlsplit(place)
    prefix = url.path.strip("/")
    return url.netloc, f"{prefix}/{name}" if prefix else name
