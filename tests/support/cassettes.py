"""Cassettes of HTTP exchanges (vcrpy): recorded from a real Nomad, replayed without it, whole or not at all.

A miss is an error even if somebody swallowed it, and so is what was recorded and never asked for. Host and port do not
matter, so a cassette does not depend on where it was recorded. ``--update-golden`` records anew.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import vcr  # type: ignore[import-untyped]

KEPT = {"x-nomad-index", "x-nomad-knownleader", "x-nomad-nexttoken", "content-type", "digest"}

KEPT_ATTRIBUTES = ("kernel.name", "cpu.arch", "cpu.totalcompute", "nomad.version", "driver.raw_exec", "os.name")


UNKEPT = ("accept", "accept-encoding", "connection", "user-agent", "host")
_DRAWN = re.compile(rb"ClientToken=[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class MissedError(AssertionError):
    """What was asked and what was recorded are not the same."""


@contextmanager
def cassette(path: Path, *, record: bool, hidden: Sequence[str] = ()) -> Iterator[None]:
    """Record into a file, or play it; at the end everything was played and nothing was missed.

    ``hidden`` names headers of requests that are not kept.
    """
    recorder = vcr.VCR(
        record_mode="all" if record else "none",
        match_on=["method", "path", "sorted_query", "body"],
        decode_compressed_response=True,
        filter_headers=[("x-nomad-token", "<token>"), *UNKEPT, *hidden],
        before_record_request=_anywhere,
        before_record_response=_bare,
        serializer="readable",
    )
    recorder.register_serializer("readable", Readable())
    recorder.register_matcher("sorted_query", _same_query)
    if record:
        path.unlink(missing_ok=True)
    with recorder.use_cassette(str(path)) as tape:
        missed: list[str] = []
        if not record:
            tape.can_play_response_for = _noting(tape, missed)
        yield
        if missed:
            raise MissedError(f"{path.name} has no answer for {missed}; record it with --update-golden")
        if not record and not tape.all_played:
            raise MissedError(f"{path.name}: {tape.play_count} of {len(tape)} exchanges were asked for")


def _noting(tape: Any, missed: list[str]) -> Any:
    """Look over the tape's shoulder: what it raises for a miss may never reach the test."""
    can_play = tape.can_play_response_for

    def noting(request: Any) -> bool:
        if can_play(request):
            return True
        missed.append(f"{request.method} {request.uri}")
        return False

    return noting


def _same_query(left: Any, right: Any) -> None:
    if sorted(left.query) != sorted(right.query):
        raise AssertionError


def _anywhere(request: Any) -> Any:
    """Leave out where it was recorded, and what botocore draws by chance for the templates that it makes."""
    request.uri = urlunsplit(urlsplit(request.uri)._replace(netloc="nomad:4646"))
    if isinstance(request.body, bytes):
        request.body = _DRAWN.sub(b"ClientToken=drawn", request.body)
    return request


def _bare(response: dict[str, Any]) -> dict[str, Any]:
    """Keep the headers that mean something."""
    response["headers"] = {k: v for k, v in response["headers"].items() if k.lower() in KEPT}
    return response


def _lean(said: Any) -> Any:
    """Leave out of a node's attributes what only tells of the machine that it was recorded on."""
    if isinstance(said, list):
        return [_lean(one) for one in said]
    if not isinstance(said, dict):
        return said
    kept = {k: _lean(v) for k, v in said.items()}
    if isinstance(kept.get("Attributes"), dict):
        kept["Attributes"] = {k: v for k, v in kept["Attributes"].items() if k.startswith(KEPT_ATTRIBUTES)}
    return kept


def _short(response: dict[str, Any]) -> None:
    """Put a short archive in the place of a whole state, with a digest of its own."""
    archive = gzip.compress(b"the state was here", mtime=0)
    response["body"]["string"] = archive
    digest = base64.b64encode(hashlib.sha256(archive).digest()).decode()
    response["headers"] = {**response["headers"], "digest": [f"sha-256={digest}"]}


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


class Readable:
    """Writes cassettes as JSON with JSON bodies laid out, so that a change of them can be read."""

    def serialize(self, tape: dict[str, Any]) -> str:
        for exchange in tape["interactions"]:
            if exchange["request"]["uri"].endswith("/v1/operator/snapshot"):
                _short(exchange["response"])
            body = exchange["response"]["body"]
            if isinstance(body["string"], bytes) and not _is_text(body["string"]):
                body["base64"] = base64.b64encode(body.pop("string")).decode()
                continue
            with suppress(ValueError):
                body["json"] = _lean(json.loads(body["string"]))
                del body["string"]
        return json.dumps(tape, indent=1, sort_keys=True, default=bytes.decode) + "\n"  # botocore writes bytes

    def deserialize(self, text: str) -> dict[str, Any]:
        tape: dict[str, Any] = json.loads(text)
        for exchange in tape["interactions"]:
            body = exchange["response"]["body"]
            if "base64" in body:
                body["string"] = base64.b64decode(body.pop("base64"))
            if "json" in body:
                body["string"] = json.dumps(body.pop("json"))
        return tape
