"""HTTP as our providers speak it: a request gives one whole answer, or an error that says whether it was sent.

The only module that imports httpx; its errors do not leave it. ``app`` in place of the network is any ASGI application
(the sandbox's wire), answered in process, streams included.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import anyio
import httpx

CONNECTIONS = 20  # httpx's pool is quadratic in its size, and Nomad allows 100 for an address
CONNECT, WRITE, POOL = 3.0, 10.0, 5.0  # seconds

Message = MutableMapping[str, Any]
App = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]  # ASGI 3


class HttpError(Exception):
    """No whole answer; the subclass says whether the request may have been read."""


class NotSentError(HttpError):
    """Nobody took the request: nothing happened."""


class CutShortError(HttpError):
    """The request was sent and no whole answer came back: it may or may not have happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request; ``seconds`` bounds the whole exchange, a slow body included."""

    method: str
    url: str
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    seconds: float = 20.0
    silence: float | None = None  # seconds before the first byte and between any two; None: as long as the whole
    server_name: str | None = None  # expected in the certificate, when it is not the URL's host


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer, decompressed; header names in lower case. ``received`` counts bytes on the wire."""

    status: int
    headers: Mapping[str, str]
    body: bytes | bytearray
    received: int = 0

    @property
    def text(self) -> str:
        """The body as a person reads it, its beginning at most."""
        return bytes(self.body[:2000]).decode(errors="replace").strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """PEM files: whom we trust (None: the system's authorities), and who we are."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None

    def context(self) -> ssl.SSLContext:
        """Build the context that all connections share. Raises OSError (``ssl.SSLError`` is one) for unusable files."""
        if self == Tls():
            return _system_context()
        made = ssl.create_default_context(cafile=self.ca)
        if self.cert is not None:
            made.load_cert_chain(self.cert, self.key)
        return made


@cache
def _system_context() -> ssl.SSLContext:
    return ssl.create_default_context()  # reading the system's authorities takes some 70 ms: once is enough


class Http:
    """A pool of connections for one purpose; belongs to the event loop in which it was first used."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, socket: str | None = None, app: App | None = None) -> None:
        """Speak over the network, over a unix socket, or in process to ``app``."""
        self._tls, self._socket, self._app = tls, socket, app
        self._made: httpx.AsyncClient | None = None

    async def ask(self, request: Request) -> Answer:
        """Send a request and wait for its whole answer. Raises NotSentError, CutShortError."""
        body = bytearray()
        try:
            with anyio.fail_after(request.seconds):
                async with self._opened(request, idle=request.silence or request.seconds) as response:
                    async for chunk in response.aiter_bytes():
                        body += chunk
        except TimeoutError as slow:
            raise CutShortError(f"no whole answer within {request.seconds:g} s") from slow
        return Answer(
            status=response.status_code,
            headers={name.lower(): value for name, value in response.headers.items()},
            body=body,
            received=response.num_bytes_downloaded,
        )

    @asynccontextmanager
    async def lines(self, request: Request, *, idle: float) -> AsyncIterator[tuple[int, AsyncIterator[str]]]:
        """Open an answer without end: its status, and its lines as they come; ``idle`` seconds of silence end it.

        Raises NotSentError, CutShortError, also while lines are read.
        """
        async with self._opened(request, idle=idle) as response:
            yield response.status_code, _translated_lines(response)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._made is not None:
            await self._made.aclose()
            self._made = None

    @asynccontextmanager
    async def _opened(self, request: Request, *, idle: float) -> AsyncIterator[httpx.Response]:
        client = self._client()
        sent = client.build_request(
            request.method,
            request.url,
            params=list(request.query) or None,
            headers={"Accept-Encoding": "gzip", **request.headers},
            content=request.body,
            timeout=httpx.Timeout(connect=CONNECT, write=WRITE, pool=POOL, read=idle),
            extensions={"sni_hostname": request.server_name} if request.server_name else None,
        )
        with _translated():
            response = await client.send(sent, stream=True)
            try:
                yield response
            finally:
                with anyio.CancelScope(shield=True):
                    await response.aclose()

    def _client(self) -> httpx.AsyncClient:
        if self._made is None:
            limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
            transport = (
                _InProcess(self._app)
                if self._app is not None
                else httpx.AsyncHTTPTransport(
                    verify=self._tls or _system_context(), limits=limits, uds=self._socket, trust_env=False
                )
            )
            self._made = httpx.AsyncClient(transport=transport, trust_env=False)
        return self._made


class _translated:  # noqa: N801 - used as a statement
    """Lets no error of httpx's out. Plain class, as a generator would lose the traceback of what it wraps."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        match error:
            case httpx.ConnectError() | httpx.ConnectTimeout() | httpx.PoolTimeout() | httpx.UnsupportedProtocol():
                raise NotSentError(_words(error)) from error
            case httpx.TransportError() | httpx.DecodingError() | httpx.StreamError():
                raise CutShortError(_words(error)) from error
            case ssl.SSLError() if "_ALERT_" in str(error):  # TLS 1.3 tells after the request was sent: nobody read it
                raise NotSentError(f"TLS is refused: {error.reason or error}") from error
            case OSError():  # what httpx lets through as it is
                raise CutShortError(_words(error)) from error
            case httpx.InvalidURL():
                raise NotSentError(f"not a URL: {error}") from error
            case _:
                pass


def _words(error: Exception) -> str:
    text = str(error) or (str(error.__cause__) if error.__cause__ else "")
    known: dict[type[Exception], str] = {
        httpx.ConnectTimeout: f"no connection within {CONNECT:g} s",
        httpx.PoolTimeout: f"no free connection within {POOL:g} s",
        httpx.ReadTimeout: "silence",
    }
    kind = known.get(type(error), type(error).__name__)
    return f"{kind}: {text}" if text else kind


async def _translated_lines(response: httpx.Response) -> AsyncIterator[str]:
    with _translated():
        async for line in response.aiter_lines():
            yield line


# --- in process ------------------------------------------------------------------------------------------------------


class _InProcess(httpx.AsyncBaseTransport):
    """Hands requests to an ASGI application in this process; its answer streams, read timeouts count.

    ``ConnectionRefusedError`` out of the application before it answered is what it says; any other error of its a
    connection that broke.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        call = _Call(await request.aread(), request.extensions.get("timeout", {}).get("read"))
        url = request.url
        call.start(
            self._app,
            {
                "type": "http",
                "asgi": {"version": "3.0"},
                "http_version": "1.1",
                "method": request.method,
                "scheme": url.scheme,
                "path": url.path,
                "raw_path": url.raw_path.split(b"?")[0],
                "query_string": url.query,
                "root_path": "",
                "headers": [(name.lower(), value) for name, value in request.headers.raw],
                "server": (url.host, url.port or (443 if url.scheme == "https" else 80)),
                "client": ("127.0.0.1", 0),
            },
        )
        try:
            first = await call.next()
        except BaseException:
            await call.aclose()
            raise
        return httpx.Response(first["status"], headers=first.get("headers", []), stream=call)


class _Call(httpx.AsyncByteStream):
    """One run of the application, and its answer's body as it comes."""

    def __init__(self, body: bytes, idle: float | None) -> None:
        self._body, self._idle = body, idle
        self._sent: asyncio.Queue[Message | None] = asyncio.Queue(maxsize=1)
        self._left = asyncio.Event()
        self._task: asyncio.Task[None]

    def start(self, app: App, scope: Message) -> None:
        self._task = asyncio.create_task(self._run(app, scope))

    async def _run(self, app: App, scope: Message) -> None:
        try:
            await app(scope, self._receive, self._sent.put)
        finally:
            with anyio.move_on_after(0 if self._left.is_set() else None):
                await self._sent.put(None)

    async def _receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None  # type: ignore[assignment]
            return {"type": "http.request", "body": body, "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def next(self) -> Message:
        """Wait for the application's next message."""
        try:
            with anyio.fail_after(self._idle):
                message = await self._sent.get()
        except TimeoutError as silence:
            raise httpx.ReadTimeout("") from silence
        if message is None:
            error = None if self._task.cancelled() else await self._ended()
            if isinstance(error, ConnectionRefusedError):
                raise httpx.ConnectError(str(error)) from error
            raise httpx.ReadError(f"the application ended: {error!r}") from error
        return message

    async def _ended(self) -> BaseException | None:
        await asyncio.wait([self._task])
        return self._task.exception()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while True:
            message = await self.next()
            yield message.get("body", b"")
            if not message.get("more_body", False):
                return

    async def aclose(self) -> None:
        self._left.set()
        self._task.cancel()
        await asyncio.wait([self._task])
        if not self._task.cancelled():
            self._task.exception()  # looked at: whoever asked has heard of it
