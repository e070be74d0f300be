"""The simulated Nomad as an ASGI application: every agent of the world at its own address.

The address is the host that the request names; a host name stands for a load balancer before all servers. Time is the
world's: calls that wait, wait in it.
"""

from __future__ import annotations

import gzip
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

import msgspec

from providers.sandbox.doors.time import Clock, catch_up
from providers.sandbox.wire.nomad import absent, agents, clients, events, nodes, variables, views, work
from providers.sandbox.wire.nomad.call import Call, Reply
from providers.sandbox.wire.nomad.route import Route
from providers.sandbox.world.nomad.agent import UP
from providers.sandbox.world.nomad.errors import ApiError
from providers.sandbox.world.servers import answers
from providers.sandbox.world.servers.answers import ServerError
from providers.sandbox.world.servers.state import FROZEN

if TYPE_CHECKING:
    from providers.sandbox.world.world import World

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

ROUTES: list[Route] = [
    *nodes.ROUTES,
    *work.ROUTES,
    *views.ROUTES,
    *agents.ROUTES,
    *clients.ROUTES,
    *variables.ROUTES,
    *absent.ROUTES,
]
_CORS = ("/v1/var/", "/v1/vars", "/v1/client/")  # what the web page asks other servers
PLAIN, JSON = "text/plain; charset=utf-8", "application/json"
ZIPPED_FROM = 1400  # bytes
_LOOK_AGAIN = 1.0  # seconds between two looks for a leader
_WAKE = 0.5  # seconds between two looks of a blocking query


@dataclass(frozen=True, slots=True)
class Asked:
    """The server that answers, and whether a client agent was asked, which forwards."""

    server: str
    client: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What came with a request beside its address."""

    body: bytes
    token: str


class NomadWire:
    """Answers requests to the world's Nomad. Nobody at the address: ``ConnectionRefusedError``, as networks say it."""

    def __init__(self, world: World, clock: Clock) -> None:
        self._world, self._clock = world, clock

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request (ASGI 3, http alone)."""
        if scope["type"] != "http":
            return
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        asked = self._at(_host(scope, headers))
        if asked is None:
            while message["type"] != "http.disconnect":  # a frozen process: its kernel takes the connection
                message = await receive()
            return
        path = scope.get("raw_path", scope["path"].encode()).decode()
        if path == "/v1/event/stream" and scope["method"] == "GET":
            await self._stream(parse_qs(scope["query_string"].decode(), keep_blank_values=True), send)
            return
        sent = Sent(body=body, token=headers.get("x-nomad-token", ""))
        reply = await self._reply(scope["method"], path, scope["query_string"].decode(), asked, sent)
        await _send(reply, send, path=path, zipped="gzip" in headers.get("accept-encoding", ""))

    async def _stream(self, query: dict[str, list[str]], send: Send) -> None:
        """Tell what changes until the subscriber leaves."""
        text = query.get("index", ["0"])[0]
        if not text.isdigit():
            no = f'Unable to parse index: strconv.Atoi: parsing "{text}": invalid syntax'
            await _send(_refused(400, no), send, path="", zipped=False)
            return
        there = self._world.nomad.state.namespaces
        wanted = events.Wanted.read(query.get("topic", ()), query.get("namespace", ["default"])[0], there)
        tail = events.Tail(catch_up(self._world, self._clock), wanted, int(text))
        pairs = [(name.encode(), value.encode()) for name, value in {**events.HEAD, "Vary": "Accept-Encoding"}.items()]
        await send({"type": "http.response.start", "status": 200, "headers": pairs})
        quiet = events.HEARTBEAT  # the first heartbeat comes at once
        while True:
            if quiet >= events.HEARTBEAT:
                quiet = 0.0
                await send({"type": "http.response.body", "body": b"{}\n", "more_body": True})
            for line in tail.lines():
                await send({"type": "http.response.body", "body": line, "more_body": True})
            await self._clock.sleep(events.LOOK)
            quiet += events.LOOK
            catch_up(self._world, self._clock)

    def _at(self, host: str) -> Asked | None:
        """Give who answers there: a server, or a client with the server it forwards to; None for one that hangs."""
        world = catch_up(self._world, self._clock)
        servers = world.state.servers.agents
        behind = [host] if host.replace(".", "").isdigit() else list(servers)
        if (up := next((h for h in behind if world.servers.answering(h) is not None), None)) is not None:
            return Asked(up)
        if any(h in servers and servers[h].process == FROZEN for h in behind):
            return None
        running = (agent for agent in world.nomad.state.agents.values() if agent.status == UP)
        forwards = next((h for h in servers if world.servers.up(h) is not None), None)
        if forwards is not None and any(agent.spec.address == host for agent in running):
            return Asked(forwards, client=True)
        raise ConnectionRefusedError(f"dial tcp {host}:4646: connect: connection refused")

    async def _reply(self, method: str, path: str, query: str, asked: Asked, sent: Sent) -> Reply:
        if path == "/":
            page = b'<a href="/ui/">Temporary Redirect</a>.\n\n'
            return Reply(status=307, raw=page, headers={"Location": "/ui/", "Content-Type": "text/html; charset=utf-8"})
        found = [(r, m) for r in ROUTES if (m := r.pattern.fullmatch(path)) is not None]
        if not found:
            return Reply(status=404, empty=True)
        route, match = next(((r, m) for r, m in found if r.takes(method)), (None, None))
        if route is None or match is None:
            return _refused(405, "Invalid method")
        if path in (agents.SERVERS_ALONE if asked.client else agents.CLIENTS_ALONE):
            return _refused(501, "Invalid method")
        if asked.client and path == "/v1/agent/health":
            return Reply(body={"client": {"message": "ok", "ok": True}})
        call = Call(
            world=self._world,
            address=asked.server,
            method=method,
            path={name: unquote(text) for name, text in match.groupdict().items()},
            query=parse_qs(query, keep_blank_values=True),
            body=sent.body,
            token=sent.token,
        )
        try:
            call.index, call.wait, call.stale, call.number("per_page")
            region = call.option("region")
            if region and region not in agents.regions(call):
                return _refused(500, "No path to region")
            return await self._blocking(route, call)
        except ApiError as no:
            return _refused(no.status, no.text, self._as_of(route, call, no))
        except (TypeError, AttributeError, ValueError) as wrong:
            if not call.body:  # then it is ours
                raise
            return _refused(400, f"json: cannot unmarshal into Go value: {wrong}")
        except ServerError as no:
            told = {"X-Nomad-Index": "0"} if path.startswith("/v1/var/") and method != "GET" else {}
            return _refused(no.status, no.text, told)

    async def _blocking(self, route: Route, call: Call) -> Reply:
        """Answer once the index has passed the one that was named, or the wait is over."""
        waited = 0.0
        while True:
            reply = await self._held(route, call)
            if route.method != "GET" or not call.index or reply.index is None or reply.index > call.index:
                break
            if waited >= call.wait:
                break
            await self._clock.sleep(_WAKE)
            waited += _WAKE
            catch_up(self._world, self._clock)
        if reply.index is not None:
            told = {"X-Nomad-Index": str(reply.index)}
            reply.headers = {**(self._meta(call) if reply.read else {}), **told, **reply.headers}
        return reply

    async def _held(self, route: Route, call: Call) -> Reply:
        """Answer; a server that knows no leader holds the call back for some seconds."""
        waited = 0.0
        while True:
            world = catch_up(self._world, self._clock)
            try:
                if route.forwarded and not (route.method == "GET" and call.stale):
                    answers.require_leader(world.servers, call.address)
                return route.answer(call)
            except ServerError as no:
                if waited >= no.took:
                    raise
                await self._clock.sleep(_LOOK_AGAIN)
                waited += _LOOK_AGAIN

    def _as_of(self, route: Route, call: Call, no: ApiError) -> dict[str, str]:
        """Say as of when a no holds: who reads what is not there has looked, a variable's write asked the leader."""
        if no.status == 404 and route.method == "GET" and not route.path.startswith("/v1/client/"):
            return self._meta(call)
        return {"X-Nomad-Index": "0"} if no.text.lower().startswith(("rpc error: ", "rpc error:: ")) else {}

    def _meta(self, call: Call) -> dict[str, str]:
        """Say what a read's headers say; since when a leaderless server is one, the world does not keep."""
        known = bool(answers.status_leader(self._world.servers, call.address, stale=True))
        return {
            "X-Nomad-Index": str(max(1, self._world.nomad.api.index)),
            "X-Nomad-Knownleader": str(known).lower(),
            "X-Nomad-Lastcontact": "0" if known else "10000",
        }


def _host(scope: Message, headers: dict[str, str]) -> str:
    named = headers.get("host", "")
    return named.rpartition(":")[0] or named or str(scope["server"][0])


def _refused(status: int, text: str, headers: dict[str, str] | None = None) -> Reply:
    return Reply(status=status, raw=text.encode(), headers={"Content-Type": PLAIN, **(headers or {})})


async def _send(reply: Reply, send: Send, *, path: str, zipped: bool) -> None:
    headers = dict(reply.headers)
    body = b"" if reply.empty else reply.raw if reply.raw is not None else msgspec.json.encode(reply.body)
    if not reply.empty:
        headers.setdefault("Content-Type", JSON if reply.status < 300 else PLAIN)
    headers["Vary"] = "Origin" if path.startswith(_CORS) else "Accept-Encoding"
    if zipped and len(body) >= ZIPPED_FROM:
        body, headers["Content-Encoding"] = gzip.compress(body, compresslevel=1), "gzip"
    headers["Content-Length"] = str(len(body))
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
