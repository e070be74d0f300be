"""Consul's key-value store in this process, with its odd habits (facts consul §2-§6); held to the same contract."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, unquote

import anyio

from providers.http import Message

SECONDS = re.compile(r"(\d+(?:\.\d+)?)s")


@dataclass(slots=True)
class FakeConsul:
    """An ASGI application. Without ``readable`` there are no ACLs; with it, what prefixes each token may read."""

    readable: dict[str, tuple[str, ...]] | None = None
    index: int = 10
    leader: bool = True
    tells_of_filtering: bool = False  # newer versions do
    tokens: list[str] = field(default_factory=list)  # as they came
    urls: list[str] = field(default_factory=list)
    _kv: dict[str, tuple[bytes, int]] = field(default_factory=dict)
    _graves: dict[str, int] = field(default_factory=dict)
    _changed: anyio.Event = field(default_factory=anyio.Event)

    def put(self, key: str, value: bytes) -> None:
        """Write; the same value again is no write at all."""
        if key in self._kv and self._kv[key][0] == value:
            return
        self.index += 1
        self._kv[key] = (value, self.index)
        self._wake()

    def delete(self, key: str) -> None:
        """Delete."""
        self.index += 1
        self._kv.pop(key, None)
        self._graves[key] = self.index
        self._wake()

    def restart_empty(self) -> None:
        """Lose everything, as an agent in development mode does: the index starts anew."""
        self.index = 5
        self._kv, self._graves = {}, {}
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def __call__(
        self, scope: Message, _: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
    ) -> None:
        """Answer one request."""
        query = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        self.tokens.append(headers.get("x-consul-token", ""))
        self.urls.append(f"{scope['raw_path'].decode()}?{scope['query_string'].decode()}")
        prefix = unquote(scope["raw_path"].decode()).removeprefix("/v1/kv/")
        status, headers_out, body = await self._answer(prefix, query, self.tokens[-1])
        listed = [(k.encode(), v.encode()) for k, v in headers_out.items()]
        await send({"type": "http.response.start", "status": status, "headers": listed})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, prefix: str, query: Mapping[str, str], token: str) -> tuple[int, dict[str, str], bytes]:
        if not self.leader:
            return 500, {}, b"No cluster leader"
        if "stale" in query and "consistent" in query:
            return 400, {}, b"Cannot specify ?stale with ?consistent, conflicting semantics."
        waiting = SECONDS.fullmatch(query.get("wait", "300s"))
        if waiting is None or not query.get("index", "0").isdigit():
            return 400, {}, b"Invalid wait time or index"
        if self.readable is not None and token not in self.readable:
            return 403, {}, b"ACL not found"
        after = int(query.get("index", 0))
        with anyio.move_on_after(float(waiting[1])):
            while after and self._index_of(prefix) <= after:
                await self._changed.wait()
        return self._listing(prefix, token)

    def _index_of(self, prefix: str) -> int:
        """Give a prefix's index: that of its keys and graves, or that of everything where it is empty."""
        if not any(key.startswith(prefix) for key in self._kv):
            return self.index
        indexes = [i for k, (_, i) in self._kv.items() if k.startswith(prefix)]
        return max(indexes + [i for k, i in self._graves.items() if k.startswith(prefix)])

    def _listing(self, prefix: str, token: str) -> tuple[int, dict[str, str], bytes]:
        may = self.readable[token] if self.readable is not None else ("",)
        there = [(k, v, i) for k, (v, i) in sorted(self._kv.items()) if k.startswith(prefix)]
        shown = [row for row in there if row[0].startswith(may)]
        headers = {"X-Consul-Index": str(self._index_of(prefix)), "Content-Type": "application/json"}
        if self.tells_of_filtering and len(shown) < len(there):
            headers["X-Consul-Results-Filtered-By-ACLs"] = "true"
        if not shown:
            return 404, headers, b""
        rows: list[dict[str, Any]] = [
            {"LockIndex": 0, "Key": k, "Flags": 0, "Value": base64.b64encode(v).decode() or None, "ModifyIndex": i}
            for k, v, i in shown
        ]
        return 200, headers, json.dumps(rows).encode()
