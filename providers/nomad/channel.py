"""One cluster's HTTP API through any of its addresses: in turn, with retries for reads and none for writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import anyio
import msgspec
import tenacity

from providers.http import Answer, CutShortError, Http, HttpError, NotSentError, Request
from providers.nomad.faults import fault_of, is_html, leaderless, passing
from providers.nomad.settings import Endpoint, NomadSettings
from schemas.faults import Fault, OutcomeUnknownError, Source, UnansweredError

T = TypeVar("T")
Query = Sequence[tuple[str, str]]

AT_ONCE = 16  # requests of ours under way at a time; Nomad allows 100 connections for an address
PATIENCE = 8.0  # seconds from a read's first attempt in which another one may begin: an election takes 2 to 6
ATTEMPTS = 8
SILENCE = 8.0  # seconds without a byte of a read's answer: a server holds a call for 5 while there is no leader
WAIT_FIRST, WAIT_MOST = 0.25, 2.0  # seconds between attempts, doubled each time, with full jitter
STALE: Query = (("stale", "true"),)
LOOK = 2.0  # seconds for a look at another server, which answers from its own memory


@dataclass(slots=True, kw_only=True)
class Traffic:
    """What was asked of a cluster since it was last looked at: for figures, tests and logs."""

    requests: int = 0
    received: int = 0  # bytes on the wire, bodies only


@dataclass(slots=True, kw_only=True)
class Pools:
    """Connections, shared by everything that talks to Nomad in one event loop: made at first use, closed together."""

    make: Callable[[str | None], Http]  # of a unix socket's path, or None for the network
    made: dict[str | None, Http] = field(default_factory=dict)

    def at(self, endpoint: Endpoint) -> Http:
        """Give the connections that lead to an endpoint."""
        if endpoint.socket not in self.made:
            self.made[endpoint.socket] = self.make(endpoint.socket)
        return self.made[endpoint.socket]

    async def aclose(self) -> None:
        """Close all of them."""
        for http in self.made.values():
            await http.aclose()
        self.made.clear()


class Channel:
    """Asks a cluster. ``preferred`` is the address that answered last; the others follow in their order."""

    def __init__(
        self,
        pools: Pools,
        settings: NomadSettings,
        addresses: Sequence[str],
        *,
        chance: Callable[[], float],
        source: Source = Source.NOMAD,
    ) -> None:
        self._pools, self._settings, self._chance, self._source = pools, settings, chance, source
        self.endpoints = tuple(dict.fromkeys(settings.endpoint(a) for a in addresses))
        self.preferred = 0
        self.traffic = Traffic()
        self._turns = anyio.Semaphore(AT_ONCE)

    @property
    def has_token(self) -> bool:
        """Whether it asks as somebody."""
        return bool(self._settings.token)

    def speaking_for(self, source: Source) -> Channel:
        """Give this channel for another source: its faults are then named so; addresses and figures stay shared."""
        twin = object.__new__(Channel)
        twin.__dict__.update(self.__dict__)
        twin._source = source
        return twin

    async def read(
        self,
        path: str,
        query: Query = (),
        *,
        decode: Callable[[Answer], T],
        seconds: float = 20.0,
        missing: tuple[str, T] | None = None,
        accept: Callable[[Answer], bool] = lambda answer: answer.status == 200,
        silence: float = SILENCE,
        question: Any = None,
        token: str | None = None,
    ) -> T:
        """Ask until there is a whole answer that ``decode`` can read, or patience ends.

        Who breaks off or keeps silent is left for the next address, until each was asked once. ``missing``: Nomad's own
        words for what is not there, and what to give then. ``question``: a body, for what is asked by ``POST`` and
        writes nothing. ``token``: to be asked with, instead of ours. Raises UnansweredError.
        """
        method = "GET" if question is None else "POST"
        what, content = f"{method} {path}", None if question is None else msgspec.json.encode(question)
        begun = anyio.current_time()

        async def attempt() -> T:
            answer, where = await self._in_turn(method, path, query, content, seconds, silence=silence, token=token)
            if missing is not None and answer.status == 404 and missing[0] in answer.text and not is_html(answer):
                return missing[1]
            if accept(answer) and not is_html(answer):
                return self._decoded(answer, decode, what, where)
            fault = fault_of(answer, self._source, what, where=where, writes=False)
            if leaderless(answer):
                raise _AgainError(fault) if await self._another_knows_a_leader() else fault
            raise _AgainError(fault, wait=_retry_after(answer)) if passing(answer) else fault

        def tired(state: tenacity.RetryCallState) -> bool:
            error = state.outcome.exception() if state.outcome is not None else None
            if isinstance(error, _AgainError) and error.broken and state.attempt_number < len(self.endpoints):
                return False
            return state.attempt_number >= ATTEMPTS or anyio.current_time() - begun >= PATIENCE

        def pause(state: tenacity.RetryCallState) -> float:
            error = state.outcome.exception() if state.outcome is not None else None
            asked = error.wait if isinstance(error, _AgainError) else 0.0
            return max(asked, min(WAIT_MOST, WAIT_FIRST * 2.0**state.attempt_number) * self._chance())

        again = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(_AgainError),
            stop=tired,
            wait=pause,
            sleep=anyio.sleep,
            reraise=True,
        )
        try:
            return await again(attempt)
        except _AgainError as over:
            raise over.fault from over

    async def write(
        self,
        method: str,
        path: str,
        query: Query = (),
        body: Any = None,
        *,
        seconds: float = 10.0,
        accept: Callable[[Answer], bool] = lambda answer: 200 <= answer.status < 300,
    ) -> Answer:
        """Send a write once: another address only when nobody took it. Raises all three faults."""
        what = f"{method} {path}"
        content = msgspec.json.encode(body) if body is not None else None
        try:
            answer, where = await self._in_turn(method, path, query, content, seconds, writes=True)
        except _AgainError as unsent:
            raise unsent.fault from unsent
        if accept(answer) and not is_html(answer):
            return answer
        raise fault_of(answer, self._source, what, where=where, writes=True)

    async def look(self, endpoint: Endpoint, path: str, query: Query = (), *, seconds: float = LOOK) -> Answer:
        """Ask one address, once, and give whatever it answers. Raises HttpError."""
        return await self._send(endpoint, "GET", path, query, seconds=seconds)

    async def tell(self, endpoint: Endpoint, path: str, query: Query, *, seconds: float = 10.0) -> Answer:
        """Send a write to one agent alone. Raises all three faults."""
        what = f"PUT {path} at {endpoint.name}"
        try:
            answer = await self._send(endpoint, "PUT", path, query, seconds=seconds)
        except NotSentError as silent:
            raise UnansweredError(self._source, what, f"nobody answers there ({silent})") from silent
        except CutShortError as cut:
            raise OutcomeUnknownError(self._source, what, f"sent, and no whole answer came ({cut})") from cut
        if answer.status == 200 and not is_html(answer):
            return answer
        raise fault_of(answer, self._source, what, where=endpoint.name, writes=True)

    def endpoint(self, address: str) -> Endpoint:
        """Say how one address is asked."""
        return self._settings.endpoint(address)

    @asynccontextmanager
    async def lines(self, path: str, query: Query, *, idle: float) -> AsyncIterator[Any]:
        """Open a stream at the preferred address. Raises HttpError, UnansweredError when there is no address."""
        if not self.endpoints:
            raise UnansweredError(self._source, f"GET {path}", "no address to ask")
        endpoint = self.endpoints[self.preferred]
        request = self._request(endpoint, "GET", path, query, seconds=idle)
        self.traffic.requests += 1
        async with self._pools.at(endpoint).lines(request, idle=idle) as opened:
            yield opened

    # --- one attempt

    async def _in_turn(
        self,
        method: str,
        path: str,
        query: Query,
        body: bytes | None,
        seconds: float,
        *,
        writes: bool = False,
        silence: float | None = None,
        token: str | None = None,
    ) -> tuple[Answer, str]:
        """Ask the first address that takes the request; who broke off is not preferred any longer."""
        what = f"{method} {path}"
        unreached: list[str] = []
        for place in self._order():
            endpoint = self.endpoints[place]
            try:
                answer = await self._send(
                    endpoint, method, path, query, body=body, seconds=seconds, silence=silence, token=token
                )
            except NotSentError as error:
                unreached.append(f"{endpoint.name} ({error})")
                continue
            except CutShortError as cut:
                self._turn_away_from(place)
                said = f"{endpoint.name} broke off ({cut})"
                if writes:
                    sorry = f"{said}: it may have happened. Look before you repeat it."
                    raise OutcomeUnknownError(self._source, what, sorry) from cut
                raise _AgainError(UnansweredError(self._source, what, said), broken=True) from cut
            self.preferred = place
            return answer, endpoint.name
        tried = ", ".join(unreached) or "no address is known"
        raise UnansweredError(self._source, what, f"nobody answers at {tried}")

    def _order(self) -> list[int]:
        places = range(len(self.endpoints))
        return [*places[self.preferred :], *places[: self.preferred]]

    def _turn_away_from(self, place: int) -> None:
        self.preferred = (place + 1) % len(self.endpoints)

    async def _another_knows_a_leader(self) -> bool:
        """Find another server that knows a leader, and prefer it: the one that was asked may be cut off by itself."""
        silent = self.preferred
        for place in self._order()[1:]:
            try:
                answer = await self.look(self.endpoints[place], "/v1/status/leader", STALE)
            except HttpError:
                continue
            if answer.status == 200 and len(answer.text) > len('""'):
                self.preferred = place
                return True
        self._turn_away_from(silent)
        return False

    async def _send(
        self,
        endpoint: Endpoint,
        method: str,
        path: str,
        query: Query,
        *,
        body: bytes | None = None,
        seconds: float,
        silence: float | None = None,
        token: str | None = None,
    ) -> Answer:
        request = self._request(endpoint, method, path, query, body=body, seconds=seconds, token=token)
        request = replace(request, silence=min(silence, seconds)) if silence is not None else request
        async with self._turns:
            self.traffic.requests += 1
            answer = await self._pools.at(endpoint).ask(request)
        self.traffic.received += answer.received
        return answer

    def _request(
        self,
        endpoint: Endpoint,
        method: str,
        path: str,
        query: Query,
        *,
        body: bytes | None = None,
        seconds: float,
        token: str | None = None,
    ) -> Request:
        token = self._settings.token if token is None else token
        headers = {"X-Nomad-Token": token} if token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        region = (("region", self._settings.region),) if self._settings.region else ()
        return Request(
            method=method,
            url=f"{endpoint.url}{path}",
            query=(*query, *region),
            headers=headers,
            body=body,
            seconds=seconds,
            server_name=endpoint.server_name,
        )

    def _decoded(self, answer: Answer, decode: Callable[[Answer], T], what: str, where: str) -> T:
        try:
            return decode(answer)
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError, AttributeError) as error:
            begins = " ".join(answer.text.split())[:80]
            said = (
                f"{where} answers 200 with what is not whole Nomad JSON ({error}; it begins {begins!r});"
                " if it stays so, look for a proxy in between."
            )
            raise _AgainError(UnansweredError(self._source, what, said)) from error


class _AgainError(Exception):
    """An attempt failed in a way that may pass; carries the fault for when patience ends."""

    def __init__(self, fault: Fault, *, wait: float = 0.0, broken: bool = False) -> None:
        self.fault, self.wait, self.broken = fault, wait, broken
        super().__init__(str(fault))


def _retry_after(answer: Answer) -> float:
    text = answer.headers.get("retry-after", "")
    return min(float(text), PATIENCE) if text.isdigit() else 0.0
