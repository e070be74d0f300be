"""Documents below a prefix of Consul's key-value store: read once, or watched by blocking queries.

Indexes only wait; content decides. What an answer leaves out is not gone until the sentinel was in the same answer: a
token that lost its rights sees an empty prefix (source: facts consul §4, §6).
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import anyio

from providers.consul.listing import SENTINEL, Listing, NoListingError, listing_from
from providers.consul.settings import Location
from providers.http import App, Http, HttpError, Request
from schemas.document.texts import AbsentError, SilentError, Texts

WAIT: Final = 60.0
"""Seconds that a blocking query may be held back; Consul adds up to a sixteenth."""
SLACK: Final = 10.0
"""Seconds for the answer itself: a prefix may be megabytes."""
ONCE: Final = 20.0
ATTEMPTS: Final = 3
PAUSE_FIRST, PAUSE_MOST = 1.0, 60.0
POLL: Final = 10.0
SPIN: Final = 1.0
"""At most one answer in so many seconds: the watch of an empty prefix wakes at any write to Consul."""


@dataclass(slots=True, kw_only=True)
class ConsulPlace:
    """A prefix; ``app`` stands in for the network in tests, which also shorten ``wait`` and ``spin``."""

    location: Location
    app: App | None = None
    wait: float = WAIT
    spin: float = SPIN
    chance: Callable[[], float] = random.random
    _http: Http | None = field(default=None, init=False)

    @property
    def name(self) -> str:
        """How a person names it."""
        return self.location.name

    async def read(self) -> Texts:
        """Read all documents once. Raises AbsentError, SilentError: also when some are known to be hidden."""
        try:
            listing = await self._patiently()
        finally:
            await self.aclose()
        if not listing.values and not listing.expected:
            raise AbsentError(
                f"{self.name}: no key below {self.location.prefix} in Consul, or the token in CONSUL_HTTP_TOKEN may not"
                " read there: Consul answers both alike"
            )
        if listing.hidden:
            raise SilentError(f"{self.name}: {self._missing(listing.hidden)}")
        return Texts(of=self._named(listing.values))

    async def watch(self) -> AsyncIterator[Texts]:
        """Give what is there, and again whenever it differs, for ever; silence and hidden keys are troubles."""
        known: dict[str, bytes] = {}
        told: Texts | None = None
        index, failures = 0, 0
        try:
            while True:
                asked = anyio.current_time()
                try:
                    listing = await self._ask(index, self.location.query)
                except NoListingError as no:
                    index, failures = 0, failures + 1
                    texts = Texts(of=self._named(known), troubles=(f"{self.name}: {no}",))
                    pause = min(PAUSE_MOST, PAUSE_FIRST * 2.0 ** (failures - 1)) * (0.5 + self.chance() / 2)
                else:
                    if listing.index < index or listing.index < 1:  # Consul was rebuilt or restored: its word is old
                        index = 0
                        if listing.index >= 1:
                            continue
                    else:
                        index = listing.index
                    failures = 0
                    known, troubles = self._after(known, listing)
                    texts = Texts(of=self._named(known), troubles=troubles)
                    pause = max(0.0, self.spin - (anyio.current_time() - asked)) if told is not None else 0.0
                    if index == 0:  # nothing to wait by: somebody in between takes Consul's headers away
                        pause = POLL
                if texts != told:
                    told = texts
                    yield texts
                await anyio.sleep(pause)
        finally:
            with anyio.CancelScope(shield=True):
                await self.aclose()

    async def aclose(self) -> None:
        """Close connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    # --- what an answer means

    def _after(self, known: Mapping[str, bytes], listing: Listing) -> tuple[dict[str, bytes], tuple[str, ...]]:
        """Tell what is known after an answer: whatever is in it, and what it does not prove to be gone."""
        vanished = sorted(set(known) - set(listing.values))
        kept = vanished if not listing.whole else [key for key in vanished if key in listing.expected]
        now = {**{key: known[key] for key in kept}, **listing.values}
        troubles = []
        if listing.hidden:
            troubles.append(f"{self.name}: {self._missing(listing.hidden)}")
        elif kept:
            troubles.append(
                f"{self.name}: {_few(kept)} vanished, and nothing proves that it was deleted: the token may have lost"
                f" its rights. What was there stays in force; write the key {self.location.prefix}{SENTINEL} to have"
                " deletions believed"
            )
        return dict(sorted(now.items())), tuple(troubles)

    def _missing(self, keys: tuple[str, ...]) -> str:
        return (
            f"{_few(keys)} is named by {self.location.prefix}{SENTINEL} and is not in the answer: the token in"
            " CONSUL_HTTP_TOKEN may not read it, or it was deleted and is still named"
        )

    def _named(self, values: Mapping[str, bytes]) -> dict[str, bytes]:
        return {self.location.file(key): value for key, value in values.items()}

    # --- asking

    async def _patiently(self) -> Listing:
        """Ask a few times. Raises SilentError."""
        for attempt in range(ATTEMPTS):
            try:
                return await self._ask(0, self.location.strictest)
            except NoListingError as no:
                if not no.passing or attempt == ATTEMPTS - 1:
                    raise SilentError(f"{self.name}: {no}") from no
            await anyio.sleep(PAUSE_FIRST * (0.5 + self.chance() / 2))
        raise AssertionError

    async def _ask(self, index: int, query: Sequence[tuple[str, str]]) -> Listing:
        """Ask once; with an index, as soon as there is a later one. Raises NoListingError."""
        location = self.location
        blocking = (("index", str(index)), ("wait", f"{self.wait:g}s")) if index else ()
        headers = {"X-Consul-Token": location.settings.token} if location.settings.token else {}
        request = Request(
            method="GET",
            url=f"{location.settings.base}{location.path}",
            query=(("recurse", ""), *query, *blocking),
            headers=headers,
            seconds=self.wait * 17 / 16 + SLACK if index else ONCE,
        )
        try:
            answer = await self._connected().ask(request)
        except HttpError as error:
            raise NoListingError(f"{location.settings.base} does not answer ({error})", passing=True) from error
        return listing_from(answer, location.prefix)

    def _connected(self) -> Http:
        if self._http is None:
            tls = self.location.settings.tls
            try:
                context = tls.context() if self.app is None else None
            except OSError as error:
                raise NoListingError(
                    f"the TLS files of CONSUL_CACERT … cannot be used ({error})", passing=False
                ) from error
            self._http = Http(tls=context, app=self.app)
        return self._http


def _few(keys: list[str] | tuple[str, ...]) -> str:
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
